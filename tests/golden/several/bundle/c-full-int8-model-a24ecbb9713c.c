/* several: c full-int8. Made by gatelet: do not edit. */
/* several: c full-int8. Made by gatelet; see docs/c.md for how to use it.
 *
 * Nothing here allocates, keeps state, or needs more of libc than memcpy, memmove, memset and
 * memcmp. The caller gives the weights, aligned to 4 bytes (64 is faster), and the scratch memory,
 * aligned to 64 as well (to 4 it works, and is slower). One scratch serves one thread at a time.
 */
#ifndef SEVERAL_H
#define SEVERAL_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum several_result {
    SEVERAL_OK = 0,
    SEVERAL_BAD_ARGUMENT = 1, /* NULL, not aligned to 4, negative rows, a size out of range */
    SEVERAL_BAD_ID = 2,       /* an id outside the vocabulary */
    SEVERAL_BAD_WEIGHTS = 3   /* not the weights that belong to this code */
};

#define SEVERAL_INPUTS 2
#define SEVERAL_OUTPUTS 3
#define SEVERAL_SIZES 2 /* sizes that the caller decides, such as the timesteps */
#define SEVERAL_LARGEST_SIZE 1048576
#define SEVERAL_WEIGHTS_BYTES ((size_t)15616)

/* Rows that run together; more of them share the reading of weights, and take more memory. */
#ifndef SEVERAL_ROWS_AT_ONCE
#define SEVERAL_ROWS_AT_ONCE 8
#endif

/* The bytes of scratch memory for B rows: a constant where the sizes are. */
#define SEVERAL_SCRATCH_BYTES(B, T0, T1) \
    SEVERAL_SCRATCH_OF(((B) < SEVERAL_ROWS_AT_ONCE ? (B) : SEVERAL_ROWS_AT_ONCE), (T0), (T1))
#define SEVERAL_ROUNDED_(floats) (((size_t)(floats) + 15) / 16 * 16)
#define SEVERAL_SCRATCH_OF(B, T0, T1) \
    ((size_t)4 * (SEVERAL_ROUNDED_((size_t)(B) * (size_t)(T0)) + \
      SEVERAL_ROUNDED_(((size_t)(B) * (size_t)(T0) * (size_t)16 * 2 + 3) / 4) + \
      SEVERAL_ROUNDED_(((size_t)(B) * (size_t)(T0) * 1 + 3) / 4) + \
      SEVERAL_ROUNDED_(((size_t)(B) * (size_t)16 * 2 + 3) / 4) + \
      SEVERAL_ROUNDED_(192) + \
      SEVERAL_ROUNDED_(((size_t)(B) * (size_t)16 * 2 + 3) / 4) + \
      SEVERAL_ROUNDED_(((size_t)(B) * (size_t)32 * 2 + 3) / 4) + \
      SEVERAL_ROUNDED_(((size_t)(B) * (size_t)(T1) * (size_t)4 * 2 + 3) / 4) + \
      SEVERAL_ROUNDED_(((size_t)(B) * (size_t)(T1) * (size_t)20 * 2 + 3) / 4) + \
      SEVERAL_ROUNDED_(200) + \
      SEVERAL_ROUNDED_(((size_t)(B) * (size_t)12 * 2 + 3) / 4) + \
      SEVERAL_ROUNDED_(144) + \
      SEVERAL_ROUNDED_(((size_t)(B) * (size_t)44 * 2 + 3) / 4) + \
      SEVERAL_ROUNDED_(((size_t)(B) * (size_t)3 * 2 + 3) / 4) + \
      SEVERAL_ROUNDED_(((size_t)(B) * (size_t)3 * 2 + 3) / 4) + \
      SEVERAL_ROUNDED_(((size_t)(B) * (size_t)2 * 2 + 3) / 4) + \
      SEVERAL_ROUNDED_(((size_t)(B) * (size_t)(T1) * (size_t)2 * 2 + 3) / 4) + \
      SEVERAL_ROUNDED_(((size_t)(B) * (size_t)(T1) * (size_t)2 * 2 + 3) / 4) + \
      SEVERAL_ROUNDED_((size_t)(B) * (size_t)3) + \
      SEVERAL_ROUNDED_((size_t)(B) * (size_t)2) + \
      SEVERAL_ROUNDED_((size_t)(B) * (size_t)(T1) * (size_t)2)))

/* The weights of a program without files: link what the bundle names 'array'. */
extern const unsigned char several_weights[];

/* Tells whether these are the weights of this code. */
int several_check(const void *weights, size_t bytes);

/* As SEVERAL_SCRATCH_BYTES, for sizes that are known late; SIZE_MAX for a NULL, and where there is no
 * such memory. */
size_t several_scratch_bytes(int32_t rows, const int32_t *sizes);

/* Gives the shape of an output, at most 8 sizes, and returns their number, or -1. */
int32_t several_output_shape(int32_t output, int32_t rows, const int32_t *sizes, int32_t *shape);

/* Runs rows, any number of them.
 *
 * inputs: one array each: int32_t ids [rows, ?], float [rows, ?, 4].
 * sizes: axis 1 of ids, axis 1 of features.
 * outputs: one array of floats each: [rows, 3], [rows, 2], [rows, ?, 2].
 */
int several_run(const void *weights, const void *const *inputs, const int32_t *sizes,
                  int32_t rows, float *const *outputs, void *scratch);

#ifdef __cplusplus
}
#endif

#endif

#define GATELET_SINGLE_FILE
/* Activations by Keras' names; the equations are those of runtime/backends/reference/activations.py.
 *
 * Not the cell of the usual LSTM, which has its own: see lstm.c.
 */
/* Activations by Keras' names, in the order of docs/graph.md. */
#ifndef GATELET_ACTIVATIONS_H
#define GATELET_ACTIVATIONS_H

/* What every kernel needs: types, and how a kernel is declared.
 *
 * Not the vectors: see vector.h. C11, no libc but memcpy, memmove and memset, no memory of its own.
 */
#ifndef GATELET_COMMON_H
#define GATELET_COMMON_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__BYTE_ORDER__) && defined(__ORDER_BIG_ENDIAN__)
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#error "the weights are little-endian, and so must be the processor"
#endif
#endif

#if defined(__GNUC__)
#define GATELET_INLINE static inline __attribute__((always_inline, unused))
#define GATELET_UNUSED __attribute__((unused))
#define GATELET_PREFETCH(from) __builtin_prefetch(from)
#else
#define GATELET_INLINE static inline
#define GATELET_UNUSED
#define GATELET_PREFETCH(from) ((void)(from))
#endif

/* In the single file that is shipped the kernels are static; separate objects link them. */
#if defined(GATELET_SINGLE_FILE)
#define GATELET_KERNEL static GATELET_UNUSED
#else
#define GATELET_KERNEL
#endif

/* The units of a tile: every packed matrix is padded to whole tiles. */
#define GATELET_LANES 16
#define GATELET_ROUND_UP(n) (((n) + GATELET_LANES - 1) / GATELET_LANES * GATELET_LANES)
#define GATELET_MAX_RANK 8

#endif

enum gatelet_activation_kind {
    GATELET_LINEAR,
    GATELET_RELU,
    GATELET_SIGMOID,
    GATELET_HARD_SIGMOID,
    GATELET_HARD_SIGMOID_KERAS2,
    GATELET_TANH,
    GATELET_SOFTMAX,
    GATELET_LOG_SOFTMAX,
    GATELET_ELU,
    GATELET_SELU,
    GATELET_SOFTPLUS,
    GATELET_SOFTSIGN,
    GATELET_EXPONENTIAL,
    GATELET_SILU,
    GATELET_GELU,
    GATELET_LEAKY_RELU,
    GATELET_RELU6,
    GATELET_MISH,
    GATELET_CELU,
    GATELET_HARD_TANH,
    GATELET_HARD_SILU,
    GATELET_LOG_SIGMOID,
    GATELET_TANH_SHRINK,
    GATELET_HARD_SHRINK,
    GATELET_SOFT_SHRINK,
    GATELET_SQUAREPLUS,
    GATELET_SPARSE_PLUS,
    GATELET_SPARSE_SIGMOID,
    GATELET_GLU,
    GATELET_SPARSEMAX,
    GATELET_THRESHOLD
};

/* a, b and c are its parameters: relu's negative_slope, threshold and max_value (infinity: none);
 * the slope, alpha, threshold or b of the others; threshold's default_value is b, gelu is
 * approximate where a is not 0. */
struct gatelet_activation {
    int32_t kind;
    float a, b, c;
};

/* y[i] = f(x[i]) for a kind without an axis. x may be y. */
GATELET_KERNEL void gatelet_activate(struct gatelet_activation f, const float *x, float *y,
                                     size_t n);

/* softmax, log_softmax, glu or sparsemax along the middle axis of x [outer, n, inner]; y is another
 * array, [outer, n, inner], or [outer, n / 2, inner] of glu. Any other kind does as above. */
GATELET_KERNEL void gatelet_activate_axis(struct gatelet_activation f, const float *x, float *y,
                                          size_t outer, int32_t n, size_t inner);

#endif

/* e^x, log, tanh, sigmoid, erf and the square root, for vectors; no libm.
 *
 * Not activations: see activations.c. Each is within a few units in the last place; NaN gives NaN.
 * Polynomials: least squares at Chebyshev nodes of the range named beside each.
 */
#ifndef GATELET_ELEMENTARY_H
#define GATELET_ELEMENTARY_H

#include <float.h>

/* Vectors of floats by the compiler's own extension, as wide as the processor; one float otherwise.
 *
 * Intrinsics only for what compilers do not see in plain words. GATELET_PLAIN asks for the plain C
 * path, which the others are tested against.
 */
#ifndef GATELET_VECTOR_H
#define GATELET_VECTOR_H


#if defined(GATELET_PLAIN) || !defined(__GNUC__)
#define GATELET_VL 1
#elif defined(__AVX512F__)
#define GATELET_VL 16
#elif defined(__AVX__)
#define GATELET_VL 8
#elif defined(__SSE2__) || defined(__ARM_NEON) || defined(__wasm_simd128__)
#define GATELET_VL 4
#else
#define GATELET_VL 1
#endif

#if GATELET_VL > 1 && (defined(__x86_64__) || defined(__i386__))
#define GATELET_X86
#include <immintrin.h>
#endif

#if GATELET_VL == 1

typedef float vfloat;
typedef int32_t vint;
GATELET_INLINE vfloat v_splat(float x) { return x; }
GATELET_INLINE vint v_bits(vfloat x) {
    vint bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}
GATELET_INLINE vfloat v_of_bits(vint bits) {
    vfloat x;
    memcpy(&x, &bits, sizeof x);
    return x;
}
#define v_select(mask, a, b) ((mask) ? (a) : (b))
#define v_larger(a, b) ((a) > (b) ? (a) : (b))
#define v_shift_left(bits, n) ((vint)((uint32_t)(bits) << (n)))
#define v_first(x) (x)

#else

typedef float vfloat __attribute__((vector_size(4 * GATELET_VL)));
typedef int32_t vint __attribute__((vector_size(4 * GATELET_VL)));
GATELET_INLINE vfloat v_splat(float x) { return x - (vfloat){0.0f}; }
GATELET_INLINE vint v_bits(vfloat x) { return (vint)x; }
GATELET_INLINE vfloat v_of_bits(vint bits) { return (vfloat)bits; }
GATELET_INLINE vfloat v_select(vint mask, vfloat a, vfloat b) {
    return (vfloat)((mask & (vint)a) | (~mask & (vint)b));
}
GATELET_INLINE vint v_larger(vint a, vint b) {
    vint mask = a > b;
    return (mask & a) | (~mask & b);
}
#define v_shift_left(bits, n) ((bits) << (n))
#define v_first(x) ((x)[0])

#endif

GATELET_INLINE vfloat v_load(const float *from) {
    vfloat x;
    memcpy(&x, from, sizeof x);
    return x;
}
GATELET_INLINE void v_store(float *to, vfloat x) { memcpy(to, &x, sizeof x); }

/* The first n < GATELET_VL floats; the others are 0. */
GATELET_INLINE vfloat v_load_some(const float *from, int32_t n) {
    float lanes[GATELET_VL] = {0.0f};
    memcpy(lanes, from, (size_t)n * sizeof(float));
    return v_load(lanes);
}
GATELET_INLINE void v_store_some(float *to, vfloat x, int32_t n) {
    memcpy(to, &x, (size_t)n * sizeof(float));
}

/* Both give NaN for a NaN in x, as the processor's own do where it is the second operand. */
GATELET_INLINE vfloat v_at_most(vfloat x, float limit) {
#if defined(GATELET_X86) && GATELET_VL == 16
    return (vfloat)_mm512_min_ps((__m512)v_splat(limit), (__m512)x);
#elif defined(GATELET_X86) && GATELET_VL == 8
    return (vfloat)_mm256_min_ps((__m256)v_splat(limit), (__m256)x);
#else
    return v_select(x > v_splat(limit), v_splat(limit), x);
#endif
}
GATELET_INLINE vfloat v_at_least(vfloat x, float limit) {
#if defined(GATELET_X86) && GATELET_VL == 16
    return (vfloat)_mm512_max_ps((__m512)v_splat(limit), (__m512)x);
#elif defined(GATELET_X86) && GATELET_VL == 8
    return (vfloat)_mm256_max_ps((__m256)v_splat(limit), (__m256)x);
#else
    return v_select(x < v_splat(limit), v_splat(limit), x);
#endif
}
GATELET_INLINE vfloat v_abs(vfloat x) {
#if GATELET_VL == 1
    return v_of_bits(v_bits(x) & 0x7fffffff);
#else
    return v_of_bits(v_bits(x) & (0x7fffffff - (vint){0}));
#endif
}
/* The largest of all lanes. */
GATELET_INLINE int32_t v_largest(vint x) {
    int32_t lanes[GATELET_VL];
    memcpy(lanes, &x, sizeof lanes);
    for (int half = GATELET_VL / 2; half > 0; half /= 2) {
        for (int lane = 0; lane < half; lane++) {
            lanes[lane] = lanes[lane] > lanes[lane + half] ? lanes[lane] : lanes[lane + half];
        }
    }
    return lanes[0];
}
/* x 2^n for a whole n from -126 to 127. */
GATELET_INLINE vfloat v_scale(vfloat x, vfloat n) {
#if defined(GATELET_X86) && GATELET_VL == 16
    return (vfloat)_mm512_scalef_ps((__m512)x, (__m512)n);
#else
    /* added, n + 127 stands in the low bits; shifted, in those of the exponent */
    return x * v_of_bits(v_shift_left(v_bits(n + 12583039.0f), 23));
#endif
}
/* The magnitude of x with the sign of sign. */
GATELET_INLINE vfloat v_copy_sign(vfloat x, vfloat sign) {
    vint negative = v_bits(sign) ^ v_bits(v_abs(sign));
    return v_of_bits(v_bits(v_abs(x)) | negative);
}

#endif

/* Sums are taken in the order they stand in: ROUNDER below is lost where a compiler may reorder. */
#if defined(__FAST_MATH__) || defined(__ASSOCIATIVE_MATH__) || defined(_M_FP_FAST)
#error "compile the model without -ffast-math and -Ofast, which would give other scores"
#endif

#define GATELET_LOG2_E 1.44269504088896341f
/* ln 2 in two parts; a product of the first with a small integer is exact (Cody & Waite 1980) */
#define GATELET_LN2_HIGH 0.693359375f
#define GATELET_LN2_LOW -2.12194440e-4f
/* adding it rounds to the nearest integer, which then stands in the low bits */
#define GATELET_ROUNDER 12582912.0f

/* The x87 of 32-bit x86 computes with more digits than a float has, of which a store takes them. */
GATELET_INLINE vfloat v_stored(vfloat x) {
#if GATELET_VL == 1 && defined(FLT_EVAL_METHOD) && FLT_EVAL_METHOD != 0
    volatile float stored = x;
    return stored;
#else
    return x;
#endif
}

/* x = n ln 2 + r. Gives r, and n + ROUNDER in `rounded`. */
GATELET_INLINE vfloat v_reduce(vfloat x, vfloat *rounded) {
    vfloat t = v_stored(x * GATELET_LOG2_E + GATELET_ROUNDER);
    vfloat n = t - GATELET_ROUNDER;
    vfloat r = x - n * GATELET_LN2_HIGH;
    *rounded = t;
    return r - n * GATELET_LN2_LOW;
}

/* e^r - 1 for |r| <= ln(2) / 2. */
GATELET_INLINE vfloat v_small_expm1(vfloat r) {
    vfloat p = r * 0.000199004438f + 0.00139345445f;
    p = p * r + 0.00833329706f;
    p = p * r + 0.0416664568f;
    p = p * r + 0.166666667f;
    p = p * r + 0.500000001f;
    return p * (r * r) + r;
}

/* 2^n for n + ROUNDER; -126 <= n <= 127. The low 9 bits of ROUNDER are 0. */
GATELET_INLINE vfloat v_power_of_2(vfloat rounded) {
    return v_of_bits(v_shift_left(v_bits(rounded), 23) + v_bits(v_splat(1.0f)));
}

#define GATELET_LARGEST_POWER 39.0f

/* factor x = (n + r) ln 2 with |r| <= 1/2, both ends of n + r clipped. Gives 2^r - 1 and n. The
 * product is rounded, which a large x feels: 2^(n + r) is within |n| 2^-24 of itself, a share that
 * is small where the result is compared with 1. */
GATELET_INLINE vfloat v_exp2_rest(float factor, vfloat x, vfloat *n) {
    vfloat y = x * (factor * GATELET_LOG2_E);
    y = v_at_least(v_at_most(y, GATELET_LARGEST_POWER), -GATELET_LARGEST_POWER);
    *n = v_stored(y + GATELET_ROUNDER) - GATELET_ROUNDER;
    vfloat r = y - *n;
    vfloat p = r * 0.000154614474f + 0.00133908674f;
    p = p * r + 0.00961805667f;
    p = p * r + 0.055503571f;
    p = p * r + 0.240226509f;
    p = p * r + 0.693147188f;
    return p * r;
}

/* e^(factor x) where that is within 2^-39 and 2^39, and the nearer of them elsewhere: three can be
 * multiplied. */
GATELET_INLINE vfloat v_exp_39(float factor, vfloat x) {
    vfloat n, q = v_exp2_rest(factor, x, &n);
    return v_scale(q + 1.0f, n);
}

/* e^(factor x) - 1, exact near 0, likewise clipped. */
GATELET_INLINE vfloat v_expm1_39(float factor, vfloat x) {
    vfloat n, q = v_exp2_rest(factor, x, &n), s = v_scale(v_splat(1.0f), n);
    return s * q + (s - 1.0f);
}

/* e^x on the whole range of float. */
GATELET_INLINE vfloat v_exp(vfloat x) {
    vfloat clipped = v_at_least(v_at_most(x, 89.0f), -104.0f), t;
    vfloat p = v_small_expm1(v_reduce(clipped, &t)) + 1.0f;
    /* 2^n as the product of two, since n reaches from -150 to 128 */
    vfloat half = v_stored((t - GATELET_ROUNDER) * 0.5f + GATELET_ROUNDER);
    vfloat rest = (t - half) + GATELET_ROUNDER;
    p = p * v_power_of_2(half) * v_power_of_2(rest);
    return v_select(x == x, p, x);
}

/* log(1 + x) for -0.3 <= x <= 1, as 2 artanh(x / (2 + x)). */
GATELET_INLINE vfloat v_log1p(vfloat x) {
    vfloat s = x / (x + 2.0f), z = s * s;
    vfloat p = z * (1.0f / 17) + 1.0f / 15;
    p = p * z + 1.0f / 13;
    p = p * z + 1.0f / 11;
    p = p * z + 1.0f / 9;
    p = p * z + 1.0f / 7;
    p = p * z + 1.0f / 5;
    p = p * z + 1.0f / 3;
    return 2.0f * s + 2.0f * s * z * p;
}

/* log(x) of a number from 1 on. */
GATELET_INLINE float gatelet_log(float x) {
    uint32_t bits;
    if (!(x < 3.0e38f)) {
        return x; /* infinity or NaN */
    }
    memcpy(&bits, &x, sizeof bits);
    uint32_t exponent = (bits - 0x3f3504f3u) >> 23; /* the mantissa is then 0.707 to 1.414 */
    bits -= exponent << 23;
    memcpy(&x, &bits, sizeof bits);
    vfloat y = v_log1p(v_splat(x - 1.0f));
    return (float)exponent * GATELET_LN2_HIGH + ((float)exponent * GATELET_LN2_LOW + v_first(y));
}

GATELET_INLINE vfloat v_tanh(vfloat x) {
    vfloat m = v_expm1_39(2.0f, v_abs(x));
    return v_copy_sign(m / (m + 2.0f), x);
}

/* 1 / (1 + e^-x), with an exponential of negative numbers only: it cannot overflow. */
GATELET_INLINE vfloat v_sigmoid(vfloat x) {
    vfloat small = v_exp(-v_abs(x));
    vfloat r = 1.0f / (small + 1.0f);
    return v_select(x < v_splat(0.0f), small * r, r);
}

/* log(1 + e^x). */
GATELET_INLINE vfloat v_softplus(vfloat x) {
    return v_at_least(x, 0.0f) + v_log1p(v_exp(-v_abs(x)));
}

/* erf(x) = x P(x^2) for |x| <= 1; 1 - e^(-|x| Q(|x|)) up to 4.1, where it is 1. */
GATELET_INLINE vfloat v_erf(vfloat x) {
    vfloat a = v_at_most(v_abs(x), 4.1f), z = x * x;
    vfloat p = z * 7.88249712e-05f + -0.000801885499f;
    p = p * z + 0.00518931194f;
    p = p * z + -0.0268543288f;
    p = p * z + 0.112835975f;
    p = p * z + -0.376126269f;
    p = p * z + 1.12837917f;
    vfloat q = a * -2.29264126e-07f + 3.5551013e-06f;
    q = q * a + -4.88819993e-06f;
    q = q * a + -0.000313079057f;
    q = q * a + 0.00377307296f;
    q = q * a + -0.0242042302f;
    q = q * a + 0.106865588f;
    q = q * a + 0.634722281f;
    q = q * a + 1.12876341f;
    vfloat far = v_copy_sign(1.0f - v_exp(-a * q), x);
    return v_select(a < v_splat(1.0f), x * p, far);
}

/* The square root of 0 and more, by Newton's method from a guess of its inverse. */
GATELET_INLINE vfloat v_sqrt(vfloat x) {
#if GATELET_VL == 1
    vint guess = 0x5f3759df - (vint)((uint32_t)v_bits(x) >> 1);
#else
    vint guess = 0x5f3759df - (v_bits(x) >> 1);
#endif
    vfloat y = v_of_bits(guess);
    for (int turn = 0; turn < 3; turn++) {
        y = y * (1.5f - 0.5f * x * y * y);
    }
    vfloat root = x * y;
    root = root + 0.5f * y * (x - root * root);
    return v_select(x > v_splat(0.0f), v_select(x < v_splat(3.0e38f), root, x), x);
}

GATELET_INLINE float gatelet_exp(float x) { return v_first(v_exp(v_splat(x))); }
GATELET_INLINE float gatelet_sqrt(float x) { return v_first(v_sqrt(v_splat(x))); }

#endif

GATELET_INLINE vfloat v_relu(vfloat x, struct gatelet_activation f) {
    vfloat zero = v_splat(0.0f);
    vfloat above = f.b != 0.0f ? v_select(x > v_splat(f.b), x, zero) : v_at_least(x, 0.0f);
    above = v_at_most(above, f.c);
    if (f.a == 0.0f) {
        return above;
    }
    return above - f.a * v_at_least(f.b - x, 0.0f);
}

GATELET_INLINE vfloat v_elu(vfloat x, float alpha) {
    return v_select(x > v_splat(0.0f), x, alpha * v_expm1_39(1.0f, v_at_most(x, 0.0f)));
}

GATELET_INLINE vfloat v_hard_sigmoid(vfloat x) {
    return v_at_most(v_at_least(x + 3.0f, 0.0f), 6.0f) / 6.0f;
}

GATELET_INLINE vfloat v_gelu(vfloat x, int approximate) {
    if (approximate) {
        vfloat inner = 0.797884560802865f * (x + 0.044715f * x * x * x);
        return 0.5f * x * (v_tanh(inner) + 1.0f);
    }
    return 0.5f * x * (v_erf(x * 0.707106781186548f) + 1.0f);
}

GATELET_INLINE vfloat v_soft_shrink(vfloat x, float threshold) {
    vfloat shrunk = x - v_copy_sign(v_splat(threshold), x);
    return v_select(v_abs(x) > v_splat(threshold), shrunk, v_splat(0.0f));
}

GATELET_INLINE vfloat v_sparse_plus(vfloat x) {
    vfloat between = (x + 1.0f) * (x + 1.0f) / 4.0f;
    return v_select(x <= v_splat(-1.0f), v_splat(0.0f), v_select(x < v_splat(1.0f), between, x));
}

GATELET_INLINE vfloat v_celu(vfloat x, float alpha) {
    return v_at_least(x, 0.0f) + alpha * v_expm1_39(1.0f, v_at_most(x, 0.0f) / alpha);
}

/* Evaluates `expression` of the vector x over all n elements. */
#define GATELET_EACH(expression)                                       \
    do {                                                               \
        for (; i + GATELET_VL <= n; i += GATELET_VL) {                 \
            vfloat x = v_load(from + i);                               \
            v_store(to + i, (expression));                             \
        }                                                              \
        if (i < n) {                                                   \
            vfloat x = v_load_some(from + i, (int32_t)(n - i));        \
            v_store_some(to + i, (expression), (int32_t)(n - i));      \
        }                                                              \
    } while (0)

GATELET_KERNEL void gatelet_activate(struct gatelet_activation f, const float *from, float *to,
                                     size_t n) {
    size_t i = 0;
    const float a = f.a, b = f.b;
    switch (f.kind) {
    case GATELET_RELU: GATELET_EACH(v_relu(x, f)); break;
    case GATELET_SIGMOID: GATELET_EACH(v_sigmoid(x)); break;
    case GATELET_HARD_SIGMOID: GATELET_EACH(v_hard_sigmoid(x)); break;
    case GATELET_HARD_SIGMOID_KERAS2:
        GATELET_EACH(v_at_most(v_at_least(0.2f * x + 0.5f, 0.0f), 1.0f));
        break;
    case GATELET_TANH: GATELET_EACH(v_tanh(x)); break;
    case GATELET_ELU: GATELET_EACH(v_elu(x, a)); break;
    case GATELET_SELU: /* Klambauer et al. 2017 */
        GATELET_EACH(1.0507009873554805f * v_elu(x, 1.6732632423543772f));
        break;
    case GATELET_SOFTPLUS: GATELET_EACH(v_softplus(x)); break;
    case GATELET_SOFTSIGN: GATELET_EACH(x / (v_abs(x) + 1.0f)); break;
    case GATELET_EXPONENTIAL: GATELET_EACH(v_exp(x)); break;
    case GATELET_SILU: GATELET_EACH(x * v_sigmoid(x)); break;
    case GATELET_GELU: GATELET_EACH(v_gelu(x, a != 0.0f)); break; /* Hendrycks & Gimpel 2016 */
    case GATELET_LEAKY_RELU: GATELET_EACH(v_select(x > v_splat(0.0f), x, a * x)); break;
    case GATELET_RELU6: GATELET_EACH(v_at_most(v_at_least(x, 0.0f), 6.0f)); break;
    case GATELET_MISH: GATELET_EACH(x * v_tanh(v_softplus(x))); break; /* Misra 2019 */
    case GATELET_CELU: GATELET_EACH(v_celu(x, a)); break;              /* Barron 2017 */
    case GATELET_HARD_TANH: GATELET_EACH(v_at_most(v_at_least(x, -1.0f), 1.0f)); break;
    case GATELET_HARD_SILU: GATELET_EACH(x * v_hard_sigmoid(x)); break;
    case GATELET_LOG_SIGMOID: GATELET_EACH(-v_softplus(-x)); break;
    case GATELET_TANH_SHRINK: GATELET_EACH(x - v_tanh(x)); break;
    case GATELET_HARD_SHRINK:
        GATELET_EACH(v_select(v_abs(x) > v_splat(a), x, v_splat(0.0f)));
        break;
    case GATELET_SOFT_SHRINK: GATELET_EACH(v_soft_shrink(x, a)); break;
    case GATELET_SQUAREPLUS: GATELET_EACH((x + v_sqrt(x * x + a)) / 2.0f); break;
    case GATELET_SPARSE_PLUS: GATELET_EACH(v_sparse_plus(x)); break;
    case GATELET_SPARSE_SIGMOID:
        GATELET_EACH(v_at_most(v_at_least(0.5f * (x + 1.0f), 0.0f), 1.0f));
        break;
    case GATELET_THRESHOLD: GATELET_EACH(v_select(x > v_splat(a), x, v_splat(b))); break;
    default:
        if (from != to) {
            memmove(to, from, n * sizeof(float));
        }
    }
}

/* y = x - the largest of its line; a NaN is the largest. */
static GATELET_UNUSED void subtract_largest(const float *x, float *y, int32_t n, size_t stride) {
    float largest = x[0];
    for (int32_t i = 1; i < n; i++) {
        float value = x[(size_t)i * stride];
        largest = largest != largest || largest >= value ? largest : value;
    }
    for (int32_t i = 0; i < n; i++) {
        y[(size_t)i * stride] = x[(size_t)i * stride] - largest;
    }
}

/* Keras' own threshold, which the paper's (Martins & Astudillo 2016) is not for two and more. */
static GATELET_UNUSED void sparsemax_line(const float *x, float *y, int32_t n, size_t stride) {
    for (int32_t i = 0; i < n; i++) { /* sorted into y, the largest first */
        float value = x[(size_t)i * stride];
        int32_t place = i;
        for (; place > 0 && y[(size_t)(place - 1) * stride] < value; place--) {
            y[(size_t)place * stride] = y[(size_t)(place - 1) * stride];
        }
        y[(size_t)place * stride] = value;
    }
    double total = 0.0, supported = 0.0;
    int32_t count = 0;
    for (int32_t i = 0; i < n; i++) {
        total += (double)y[(size_t)i * stride];
        if ((double)y[(size_t)i * stride] - (total - 1.0) / (i + 1) > 0.0) {
            supported += total;
            count++;
        }
    }
    float tau = (float)((supported - 1.0) / count);
    for (int32_t i = 0; i < n; i++) {
        float above = x[(size_t)i * stride] - tau;
        y[(size_t)i * stride] = above < 0.0f ? 0.0f : above;
    }
}

static GATELET_UNUSED void glu_line(const float *x, float *y, int32_t n, size_t stride) {
    for (int32_t i = 0; i < n / 2; i++) { /* Dauphin et al. 2016 */
        vfloat gate = v_sigmoid(v_splat(x[(size_t)(i + n / 2) * stride]));
        y[(size_t)i * stride] = x[(size_t)i * stride] * v_first(gate);
    }
}

static GATELET_UNUSED void normalize_line(int32_t kind, float *y, int32_t n, size_t stride) {
    double sum = 0.0;
    for (int32_t i = 0; i < n; i++) {
        float value = y[(size_t)i * stride];
        sum += (double)(kind == GATELET_SOFTMAX ? value : gatelet_exp(value));
    }
    const float total = (float)sum;
    const float log_total = kind == GATELET_SOFTMAX ? 0.0f : gatelet_log(total);
    for (int32_t i = 0; i < n; i++) {
        float *value = y + (size_t)i * stride;
        *value = kind == GATELET_SOFTMAX ? *value / total : *value - log_total;
    }
}

GATELET_KERNEL void gatelet_activate_axis(struct gatelet_activation f, const float *x, float *y,
                                          size_t outer, int32_t n, size_t inner) {
    const int by_line = f.kind == GATELET_SPARSEMAX || f.kind == GATELET_GLU;
    const int shifted = f.kind == GATELET_SOFTMAX || f.kind == GATELET_LOG_SOFTMAX;
    const size_t after = f.kind == GATELET_GLU ? (size_t)n / 2 : (size_t)n;
    if (!by_line && !shifted) {
        gatelet_activate(f, x, y, outer * (size_t)n * inner);
        return;
    }
    for (size_t line = 0; line < outer * inner; line++) {
        const float *from = x + line / inner * (size_t)n * inner + line % inner;
        float *to = y + line / inner * after * inner + line % inner;
        if (f.kind == GATELET_SPARSEMAX) {
            sparsemax_line(from, to, n, inner);
        } else if (f.kind == GATELET_GLU) {
            glu_line(from, to, n, inner);
        } else {
            subtract_largest(from, to, n, inner);
        }
    }
    if (f.kind == GATELET_SOFTMAX) {
        struct gatelet_activation exponential = {GATELET_EXPONENTIAL, 0.0f, 0.0f, 0.0f};
        gatelet_activate(exponential, y, y, outer * (size_t)n * inner);
    }
    for (size_t line = 0; shifted && line < outer * inner; line++) {
        normalize_line(f.kind, y + line / inner * (size_t)n * inner + line % inner, n, inner);
    }
}

/* The int8 product: 8-bit weights, activations of 14 bits with a scale a row, sums of 32 bits.
 *
 * Not quantization of weights, which is done at conversion. Every path sums the same integers. An
 * activation q is 128 high + low with unsigned low for VNNI, which multiplies unsigned by signed
 * bytes; AVX2 and SSE4.1 multiply 16 by 16 bits.
 */
/* The int8 product: 8-bit weights, activations of 14 bits with a scale a row, sums of 32 bits. */
#ifndef GATELET_PRODUCT_INT8_H
#define GATELET_PRODUCT_INT8_H

/* Matrix products with packed weights: z = start + x W. */
#ifndef GATELET_PRODUCT_H
#define GATELET_PRODUCT_H


/* The integers that a row of activations is rounded to: 14 bits and a sign. */
#define GATELET_ACTIVATION_LIMIT 16383

/* Activations that are rounded at a time; so many products never overflow a sum of 32 bits. */
#define GATELET_INT8_CHUNK 256

/* Weights [rows, columns], packed in tiles of some columns, zeros behind the last.
 *
 * float32: [tiles][rows][tile]. int8: [tiles][rows / 4, rounded up][tile][4], so that four products
 * that are added lie together; a column's weights are values * scales[column]. */
struct gatelet_matrix {
    const float *floats;   /* or NULL */
    const int8_t *values;  /* or NULL */
    const float *scales;   /* of int8: [tiles * tile] */
    const int16_t *sums;   /* of int8: each column's sum, [rows / INT8_CHUNK, up][tiles * tile] */
    int32_t rows, tiles, tile;
    int32_t limit;         /* of int8: what activations are rounded to, 127 where that is exact */
};

/* The rows that a product is taken of: for each, z = start + x W. */
struct gatelet_rows {
    int32_t count;
    size_t x_stride, start_stride, z_stride; /* in floats; a stride of 0 repeats a row */
    const float *x;                          /* [count, rows of W] */
    const float *start;                      /* columns as of z, which it may be; NULL: zeros */
    float *z;                                /* [count, columns of W] */
};

/* The columns of some tiles; start and z begin at those of the first. */
GATELET_KERNEL void gatelet_product(const struct gatelet_matrix *w, int32_t first, int32_t tiles,
                                    const struct gatelet_rows *rows);

#endif

GATELET_KERNEL void gatelet_product_int8(const struct gatelet_matrix *w, int32_t first,
                                         int32_t tiles, const struct gatelet_rows *rows);

#endif


#if !defined(GATELET_PLAIN) && defined(__GNUC__) && defined(__SSE4_1__)
#include <immintrin.h>
#if defined(__AVX512VNNI__) && defined(__AVX512BW__)
#define GATELET_INT8_VNNI
#elif defined(__AVX2__)
#define GATELET_INT8_AVX2
#else
#define GATELET_INT8_SSE41
#endif
#endif

#define GATELET_MAX_TILE 64

/* Rows that are rounded, and then multiplied, together. */
#if defined(GATELET_INT8_VNNI)
#define GATELET_INT8_ROWS 4
#else
#define GATELET_INT8_ROWS 1
#endif

/* A row's integers; for VNNI high has 128 added to it. */
struct rounded {
    float scale, inverse;
#if defined(GATELET_INT8_VNNI)
    uint8_t high[GATELET_INT8_CHUNK], low[GATELET_INT8_CHUNK];
#else
    int16_t q[GATELET_INT8_CHUNK];
#endif
};

/* Some columns of one tile and one chunk of K, for some rows: z = start + q W. */
struct part {
    const int8_t *w;
    const int16_t *sums;
    const float *scales;
    int32_t tile, fours, limit;
    const float *start;
    float *z;
    size_t start_stride, z_stride;
};

/* The scale that lets a row's largest magnitude be `limit`; NaN where a number is not finite, since
 * the bits of infinity and NaN are larger than those of any number. */
static void choose_scale(const float *x, int32_t n, int32_t limit, struct rounded *r) {
    vint largest = v_bits(v_splat(0.0f));
    int32_t i = 0;
    for (; i + GATELET_VL <= n; i += GATELET_VL) {
        largest = v_larger(largest, v_bits(v_abs(v_load(x + i))));
    }
    if (i < n) {
        largest = v_larger(largest, v_bits(v_abs(v_load_some(x + i, n - i))));
    }
    const int32_t bits = v_largest(largest);
    float most;
    memcpy(&most, &bits, sizeof most);
    r->scale = most * (1.0f / (float)limit) + most * 0.0f;
    r->inverse = r->scale > 0.0f ? (float)limit / most : 0.0f;
}

#if defined(GATELET_INT8_VNNI)

/* The integers of x / scale, rounded to even; zeros up to a multiple of 16. */
static void round_row(const float *x, int32_t n, int32_t limit, struct rounded *r) {
    const __m512 inverse = _mm512_set1_ps(r->inverse);
    for (int32_t k = 0; k < n; k += 16) {
        const __mmask16 some = (__mmask16)(n - k < 16 ? (1u << (n - k)) - 1u : 0xffffu);
        const __m512 value = _mm512_mul_ps(_mm512_maskz_loadu_ps(some, x + k), inverse);
        const __m512i q = _mm512_cvtps_epi32(value);
        const __m512i above = limit <= 127 ? q : _mm512_srai_epi32(q, 7);
        const __m512i shifted = _mm512_add_epi32(above, _mm512_set1_epi32(128));
        const __m512i below = _mm512_and_si512(q, _mm512_set1_epi32(127));
        _mm_storeu_si128((__m128i *)(void *)(r->high + k), _mm512_cvtepi32_epi8(shifted));
        _mm_storeu_si128((__m128i *)(void *)(r->low + k), _mm512_cvtepi32_epi8(below));
    }
}

/* 16 columns a vector; `single` where high is all there is. */
GATELET_INLINE void columns_int8(const struct part *p, const struct rounded *r, const int rows,
                                 const int vectors, const int single) {
    __m512i a[GATELET_INT8_ROWS][4], b[GATELET_INT8_ROWS][4];
    for (int s = 0; s < rows; s++) {
        for (int v = 0; v < vectors; v++) {
            a[s][v] = _mm512_setzero_si512();
            b[s][v] = _mm512_setzero_si512();
        }
    }
    for (int32_t k = 0; k < p->fours; k++) {
        const int8_t *from = p->w + (size_t)k * (size_t)p->tile * 4;
        __m512i weights[4];
        for (int v = 0; v < vectors; v++) {
            weights[v] = _mm512_loadu_si512(from + 64 * v);
        }
        for (int s = 0; s < rows; s++) {
            int32_t high, low;
            memcpy(&high, r[s].high + 4 * k, 4);
            memcpy(&low, r[s].low + 4 * k, 4);
            for (int v = 0; v < vectors; v++) {
                a[s][v] = _mm512_dpbusd_epi32(a[s][v], _mm512_set1_epi32(high), weights[v]);
                if (!single) {
                    b[s][v] = _mm512_dpbusd_epi32(b[s][v], _mm512_set1_epi32(low), weights[v]);
                }
            }
        }
    }
    for (int v = 0; v < vectors; v++) {
        /* high is 128 too large, for every weight */
        const __m512i sums = _mm512_cvtepi16_epi32(
            _mm256_loadu_si256((const __m256i *)(const void *)(p->sums + 16 * v)));
        const __m512i offset = _mm512_slli_epi32(sums, single ? 7 : 14);
        const __m512 scales = _mm512_loadu_ps(p->scales + 16 * v);
        for (int s = 0; s < rows; s++) {
            __m512i sum = a[s][v];
            if (!single) {
                sum = _mm512_add_epi32(_mm512_slli_epi32(sum, 7), b[s][v]);
            }
            __m512 value = _mm512_cvtepi32_ps(_mm512_sub_epi32(sum, offset));
            __m512 z = _mm512_setzero_ps(), scale = _mm512_set1_ps(r[s].scale);
            if (p->start != NULL) {
                z = _mm512_loadu_ps(p->start + (size_t)s * p->start_stride + 16 * v);
            }
            z = _mm512_fmadd_ps(value, _mm512_mul_ps(scales, scale), z);
            _mm512_storeu_ps(p->z + (size_t)s * p->z_stride + 16 * v, z);
        }
    }
}

#define GATELET_INT8_COLUMNS(vectors)                                                 \
    if (p->limit <= 127 && rows == GATELET_INT8_ROWS) {                               \
        columns_int8(p, r, GATELET_INT8_ROWS, (vectors), 1);                          \
    } else if (p->limit <= 127) {                                                     \
        columns_int8(p, r, 1, (vectors), 1);                                          \
    } else if (rows == GATELET_INT8_ROWS) {                                           \
        struct part second = *p;                                                      \
        second.z += 2 * p->z_stride;                                                  \
        second.start = p->start != NULL ? p->start + 2 * p->start_stride : NULL;      \
        columns_int8(p, r, 2, (vectors), 0);                                          \
        columns_int8(&second, r + 2, 2, (vectors), 0);                                \
    } else {                                                                          \
        columns_int8(p, r, 1, (vectors), 0);                                          \
    }

/* One tile of one row, or of GATELET_INT8_ROWS. */
static void tile_int8(const struct part *p, const struct rounded *r, int32_t rows) {
    switch (p->tile / 16) {
    case 1: GATELET_INT8_COLUMNS(1) break;
    case 2: GATELET_INT8_COLUMNS(2) break;
    case 3: GATELET_INT8_COLUMNS(3) break;
    default: GATELET_INT8_COLUMNS(4)
    }
}

#else

/* The integers of x / scale, rounded to even; zeros up to a multiple of 4. */
static void round_row(const float *x, int32_t n, int32_t limit, struct rounded *r) {
    const float rounder = 12582912.0f; /* adding it leaves an integer in the low bits */
    (void)limit;
    for (int32_t i = 0; i < n; i++) {
        float value = x[i] * r->inverse + rounder;
        int32_t bits;
        memcpy(&bits, &value, sizeof bits);
        r->q[i] = (int16_t)(uint16_t)((uint32_t)bits & 0xffffu);
    }
    for (int32_t i = n; i % 4 != 0; i++) {
        r->q[i] = 0;
    }
}

#if defined(GATELET_INT8_AVX2)

GATELET_INLINE void columns_int8(const struct part *p, const int16_t *q, int32_t *total) {
    for (int32_t column = 0; column < p->tile; column += 16) {
        __m256i sums[4];
        for (int v = 0; v < 4; v++) {
            sums[v] = _mm256_setzero_si256();
        }
        for (int32_t k = 0; k < p->fours; k++) {
            int64_t four;
            memcpy(&four, q + 4 * k, 8);
            const __m256i x = _mm256_set1_epi64x(four);
            const int8_t *from = p->w + ((size_t)k * (size_t)p->tile + (size_t)column) * 4;
            for (int v = 0; v < 4; v++) {
                __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)(from + 16 * v));
                __m256i weights = _mm256_cvtepi8_epi16(bytes);
                sums[v] = _mm256_add_epi32(sums[v], _mm256_madd_epi16(weights, x));
            }
        }
        for (int v = 0; v < 4; v += 2) { /* two neighbours make a column */
            const __m256i pairs = _mm256_hadd_epi32(sums[v], sums[v + 1]);
            _mm256_storeu_si256((__m256i *)(void *)(total + column + 4 * v),
                                _mm256_permute4x64_epi64(pairs, 0xd8));
        }
    }
}

#elif defined(GATELET_INT8_SSE41)

GATELET_INLINE void columns_int8(const struct part *p, const int16_t *q, int32_t *total) {
    for (int32_t column = 0; column < p->tile; column += 8) {
        __m128i sums[4];
        for (int v = 0; v < 4; v++) {
            sums[v] = _mm_setzero_si128();
        }
        for (int32_t k = 0; k < p->fours; k++) {
            int64_t four;
            memcpy(&four, q + 4 * k, 8);
            const __m128i x = _mm_set1_epi64x(four);
            const int8_t *from = p->w + ((size_t)k * (size_t)p->tile + (size_t)column) * 4;
            for (int v = 0; v < 4; v++) {
                __m128i bytes = _mm_loadl_epi64((const __m128i *)(const void *)(from + 8 * v));
                __m128i weights = _mm_cvtepi8_epi16(bytes);
                sums[v] = _mm_add_epi32(sums[v], _mm_madd_epi16(weights, x));
            }
        }
        for (int v = 0; v < 4; v += 2) {
            _mm_storeu_si128((__m128i *)(void *)(total + column + 2 * v),
                             _mm_hadd_epi32(sums[v], sums[v + 1]));
        }
    }
}

#else

GATELET_INLINE void columns_int8(const struct part *p, const int16_t *q, int32_t *total) {
    memset(total, 0, (size_t)p->tile * sizeof *total);
    for (int32_t k = 0; k < p->fours; k++) {
        const int32_t x0 = q[4 * k], x1 = q[4 * k + 1], x2 = q[4 * k + 2], x3 = q[4 * k + 3];
        const int8_t *row = p->w + (size_t)k * (size_t)p->tile * 4;
        for (int32_t column = 0; column < p->tile; column++) {
            const int8_t *four = row + 4 * column;
            total[column] += four[0] * x0 + four[1] * x1 + four[2] * x2 + four[3] * x3;
        }
    }
}

#endif

/* One tile of one row. */
static void tile_int8(const struct part *p, const struct rounded *r, int32_t rows) {
    int32_t total[GATELET_MAX_TILE];
    (void)rows;
    columns_int8(p, r->q, total);
    for (int32_t i = 0; i < p->tile; i++) {
        const float start = p->start != NULL ? p->start[i] : 0.0f;
        p->z[i] = start + (float)total[i] * (r->scale * p->scales[i]);
    }
}

#endif

/* One chunk of K, from `from` on, of some rows. */
static void chunk_int8(const struct gatelet_matrix *w, int32_t first, int32_t tiles, int32_t from,
                       const struct gatelet_rows *rows, struct rounded *r) {
    const int32_t left = w->rows - from;
    const int32_t n = left < GATELET_INT8_CHUNK ? left : GATELET_INT8_CHUNK;
    const size_t tile = (size_t)w->tile, padded = (size_t)(w->rows + 3) / 4 * 4;
    const size_t sums = (size_t)(from / GATELET_INT8_CHUNK) * (size_t)w->tiles * tile;
    for (int32_t s = 0; s < rows->count; s++) {
        round_row(rows->x + (size_t)s * rows->x_stride + from, n, w->limit, r + s);
    }
    for (size_t t = 0; t < (size_t)tiles; t++) {
        const size_t at = (size_t)first + t;
        struct part p = {w->values + (at * padded + (size_t)from) * tile,
                         w->sums + sums + at * tile,
                         w->scales + at * tile,
                         w->tile,
                         (n + 3) / 4,
                         w->limit,
                         rows->start != NULL ? rows->start + t * tile : NULL,
                         rows->z + t * tile,
                         rows->start_stride,
                         rows->z_stride};
        if (from > 0) { /* the chunks before are in z */
            p.start = p.z;
            p.start_stride = p.z_stride;
        }
        tile_int8(&p, r, rows->count);
    }
}

GATELET_KERNEL void gatelet_product_int8(const struct gatelet_matrix *w, int32_t first,
                                         int32_t tiles, const struct gatelet_rows *rows) {
    struct rounded r[GATELET_INT8_ROWS];
    for (int32_t row = 0; row < rows->count;) {
        struct gatelet_rows some = *rows;
        const size_t at = (size_t)row;
        some.count = rows->count - row < GATELET_INT8_ROWS ? 1 : GATELET_INT8_ROWS;
        some.x += at * rows->x_stride;
        some.z += at * rows->z_stride;
        some.start = rows->start != NULL ? rows->start + at * rows->start_stride : NULL;
        for (int32_t s = 0; s < some.count; s++) {
            choose_scale(some.x + (size_t)s * rows->x_stride, w->rows, w->limit, r + s);
        }
        for (int32_t from = 0; from < w->rows || from == 0; from += GATELET_INT8_CHUNK) {
            chunk_int8(w, first, tiles, from, &some, r);
        }
        row += some.count;
    }
}

/* Matrix products with packed weights: the float32 one, and the choice between it and int8.
 *
 * Not the int8 product: see product_int8.c. Some columns of some rows stay in registers while the
 * inner dimension runs; a wider processor takes more of both: see product_block.h.
 */

/* What of a product stays in registers: some columns of some rows, while K runs.
 *
 * Not the way through all columns and rows: see product.c. Inline, since a step of a recurrence does
 * something with each tile at once.
 */
#ifndef GATELET_PRODUCT_BLOCK_H
#define GATELET_PRODUCT_BLOCK_H


#if defined(__clang__)
#define GATELET_UNROLL _Pragma("clang loop unroll(full)")
#elif defined(__GNUC__)
#define GATELET_UNROLL _Pragma("GCC unroll 8")
#else
#define GATELET_UNROLL
#endif

/* Rows at once, and the most vectors of columns at once: as registers allow. */
#if defined(__AVX512F__) || defined(__aarch64__)
#define GATELET_ROWS 4
#else
#define GATELET_ROWS 2
#endif
#define GATELET_MANY 8

/* n weights a column, w_stride apart, and some rows. */
struct gatelet_block {
    const float *w;
    size_t w_stride;
    int32_t n;
    struct gatelet_rows rows;
};

typedef vfloat gatelet_sums[GATELET_MANY];

GATELET_INLINE const float *gatelet_moved(const float *p, size_t floats) {
    return p != NULL ? p + floats : NULL;
}

GATELET_INLINE void gatelet_clear(gatelet_sums *total, const int rows, const int vectors) {
    GATELET_UNROLL
    for (int s = 0; s < rows; s++) {
        GATELET_UNROLL
        for (int v = 0; v < vectors; v++) {
            total[s][v] = v_splat(0.0f);
        }
    }
}

/* Adds the products with the weights of one k, at w; x is b's at this k. */
GATELET_INLINE void gatelet_add(const struct gatelet_block *b, const float *w, const float *x,
                                gatelet_sums *total, const int rows, const int vectors) {
    vfloat weights[GATELET_MANY];
    GATELET_UNROLL
    for (int v = 0; v < vectors; v++) {
        weights[v] = v_load(w + v * GATELET_VL);
    }
    GATELET_UNROLL
    for (int s = 0; s < rows; s++) {
        const float value = x[(size_t)s * b->rows.x_stride];
        GATELET_UNROLL
        for (int v = 0; v < vectors; v++) {
            total[s][v] += value * weights[v];
        }
    }
}

/* z = start + total; the sum is taken apart from start, which may be much larger than its terms. */
GATELET_INLINE void gatelet_put(const struct gatelet_block *b, gatelet_sums *total, const int rows,
                                const int vectors) {
    const int from_zero = b->rows.start == NULL;
    GATELET_UNROLL
    for (int s = 0; s < rows; s++) {
        const float *start = gatelet_moved(b->rows.start, (size_t)s * b->rows.start_stride);
        float *z = b->rows.z + (size_t)s * b->rows.z_stride;
        GATELET_UNROLL
        for (int v = 0; v < vectors; v++) {
            vfloat sum = from_zero ? total[s][v] : v_load(start + v * GATELET_VL) + total[s][v];
            v_store(z + v * GATELET_VL, sum);
        }
    }
}

/* `rows` and `vectors` are constants where it is used. */
GATELET_INLINE void gatelet_multiply(const struct gatelet_block *b, const int rows,
                                     const int vectors) {
    const float *w = b->w, *x = b->rows.x;
    gatelet_sums total[GATELET_ROWS];
    gatelet_clear(total, rows, vectors);
    for (int32_t k = 0; k < b->n; k++, w += b->w_stride, x++) {
        gatelet_add(b, w, x, total, rows, vectors);
    }
    gatelet_put(b, total, rows, vectors);
}

GATELET_INLINE void gatelet_skip(struct gatelet_block *b, int columns) {
    b->w += columns;
    b->rows.z += columns;
    b->rows.start = gatelet_moved(b->rows.start, (size_t)columns);
}

/* A tile of one row. `columns`, the tile's, is a constant where it is used. */
GATELET_INLINE void gatelet_multiply_row(struct gatelet_block b, const int columns) {
    const int vectors = columns / GATELET_VL;
    const int most = vectors % 8 == 0 ? 8 : vectors % 6 == 0 ? 6 : vectors;
    for (int i = 0; i < vectors; i += most, gatelet_skip(&b, most * GATELET_VL)) {
        gatelet_multiply(&b, 1, most);
    }
}

/* A tile of GATELET_ROWS rows. */
GATELET_INLINE void gatelet_multiply_rows(struct gatelet_block b, const int columns) {
    const int vectors = columns / GATELET_VL;
    const int most = vectors % 4 == 0 ? 4 : vectors % 3 == 0 ? 3 : vectors;
    for (int i = 0; i < vectors; i += most, gatelet_skip(&b, most * GATELET_VL)) {
        gatelet_multiply(&b, GATELET_ROWS, most);
    }
}

#endif

/* The rows from one on. */
static struct gatelet_rows rows_from(const struct gatelet_rows *rows, int32_t row) {
    const size_t s = (size_t)row;
    struct gatelet_rows rest = *rows;
    rest.count -= row;
    rest.x += s * rows->x_stride;
    rest.z += s * rows->z_stride;
    rest.start = gatelet_moved(rows->start, s * rows->start_stride);
    return rest;
}

/* A tile of some rows; `columns` is a constant where it is used. */
GATELET_INLINE void tile_of_rows(struct gatelet_block b, const int columns) {
    const struct gatelet_rows all = b.rows;
    int32_t row = 0;
    for (; row + GATELET_ROWS <= all.count; row += GATELET_ROWS) {
        b.rows = rows_from(&all, row);
        gatelet_multiply_rows(b, columns);
    }
    for (; row < all.count; row++) {
        b.rows = rows_from(&all, row);
        gatelet_multiply_row(b, columns);
    }
}

GATELET_KERNEL void gatelet_product(const struct gatelet_matrix *w, int32_t first, int32_t tiles,
                                    const struct gatelet_rows *rows) {
    if (w->values != NULL) {
        gatelet_product_int8(w, first, tiles, rows);
        return;
    }
    const size_t tile = (size_t)w->tile, floats = (size_t)w->rows * tile;
    struct gatelet_block b = {w->floats + (size_t)first * floats, tile, w->rows, *rows};
    for (int32_t t = 0; t < tiles; t++) {
        switch (w->tile) {
        case 16: tile_of_rows(b, 16); break;
        case 32: tile_of_rows(b, 32); break;
        case 48: tile_of_rows(b, 48); break;
        default: tile_of_rows(b, 64);
        }
        gatelet_skip(&b, w->tile);
        b.w += floats - tile;
    }
}

/* The walk over time that LSTM, GRU and SimpleRNN share: projection, masks, outputs.
 *
 * Not a step: see lstm.c, gru.c and simple_rnn.c. At a masked timestep a row's states stay, and its
 * output is the previous one (zeros before the first), or zeros; see docs/graph.md.
 */
/* The recurrences over [B, T, F]: what LSTM, GRU and SimpleRNN share. */
#ifndef GATELET_RECURRENCE_H
#define GATELET_RECURRENCE_H

/* A step's product, and a piece of the projection of later timesteps in the same loop.
 *
 * A step reads each recurrent weight once, and where they do not fit into the first-level cache the
 * multipliers wait for them. Eight rows of inputs use each weight eight times, and wait for the
 * multipliers. In one loop both take little longer than either. Only where the registers hold the
 * sums of both: AVX-512. The sums are those of product.c, to the bit.
 */
#ifndef GATELET_AHEAD_H
#define GATELET_AHEAD_H


/* Timesteps, which are rows of the product. */
#define GATELET_AHEAD 8

#if GATELET_VL == 16
#define GATELET_GOES_AHEAD 1
#else
#define GATELET_GOES_AHEAD 0
#endif

/* The projection of GATELET_AHEAD timesteps. A piece is 16 columns of half the inner dimension: as
 * many steps, with a piece for each of their tiles, take all. */
struct gatelet_ahead {
    const struct gatelet_matrix *w;
    struct gatelet_rows rows;
    int32_t next, pieces; /* the first that is not done; of all */
};

#if GATELET_GOES_AHEAD

/* The next piece. `columns` is the tile of w. */
GATELET_INLINE struct gatelet_block gatelet_piece(const struct gatelet_ahead *a,
                                                  const uint32_t columns) {
    const uint32_t column = (uint32_t)a->next / 2 * GATELET_VL;
    const size_t n = (size_t)a->w->rows, half = n / 2;
    const float *w = a->w->floats + column / columns * columns * n + column % columns;
    struct gatelet_block piece = {w, columns, (int32_t)half, a->rows};
    piece.rows.z += column;
    piece.rows.start = NULL;
    if (a->next % 2 != 0) {
        piece.w += half * columns;
        piece.n = (int32_t)(n - half);
        piece.rows.x += half;
        piece.rows.start = gatelet_moved(a->rows.start, column);
    }
    return piece;
}

/* The product of b, `vectors` of one row, and the next piece. */
GATELET_INLINE void gatelet_multiply_both(const struct gatelet_block *b, const int vectors,
                                          struct gatelet_ahead *a, const uint32_t columns) {
    const struct gatelet_block piece = gatelet_piece(a, columns);
    const int32_t pairs = b->n / 2, both = pairs < piece.n ? pairs : piece.n;
    const float *w = b->w, *x = b->rows.x, *later_w = piece.w, *later_x = piece.rows.x;
    gatelet_sums total[1], later[GATELET_AHEAD];
    gatelet_clear(total, 1, vectors);
    for (size_t s = 0; s < GATELET_AHEAD; s++) {
        later[s][0] = a->next % 2 ? v_load(piece.rows.z + s * piece.rows.z_stride) : v_splat(0.0f);
    }
    for (int32_t i = 0; i < both; i++, w += 2 * b->w_stride, later_w += piece.w_stride) {
        gatelet_add(b, w, x + 2 * i, total, 1, vectors);
        gatelet_add(&piece, later_w, later_x + i, later, GATELET_AHEAD, 1);
        gatelet_add(b, w + b->w_stride, x + 2 * i + 1, total, 1, vectors);
    }
    for (int32_t i = both; i < piece.n; i++, later_w += piece.w_stride) {
        gatelet_add(&piece, later_w, later_x + i, later, GATELET_AHEAD, 1);
    }
    for (int32_t i = 2 * both; i < b->n; i++, w += b->w_stride) {
        gatelet_add(b, w, x + i, total, 1, vectors);
    }
    if (vectors > 0) {
        gatelet_put(b, total, 1, vectors);
    }
    gatelet_put(&piece, later, GATELET_AHEAD, 1);
    a->next++;
}

#endif

/* A tile of one row, and the next piece where there is one. `columns`, the tile's, is a constant
 * where it is used. */
GATELET_INLINE void gatelet_multiply_row_ahead(const struct gatelet_block *b, const int columns,
                                               struct gatelet_ahead *a) {
#if GATELET_GOES_AHEAD
    if (a->next < a->pieces) {
        gatelet_multiply_both(b, columns / GATELET_VL, a, (uint32_t)columns);
        return;
    }
#endif
    (void)a;
    gatelet_multiply_row(*b, columns);
}

/* A recurrent product, all tiles, and as many pieces. */
GATELET_INLINE void gatelet_product_ahead(const struct gatelet_matrix *u,
                                          const struct gatelet_rows *rows, const int columns,
                                          struct gatelet_ahead *a) {
    if (a->next == a->pieces) {
        gatelet_product(u, 0, u->tiles, rows);
        return;
    }
    struct gatelet_block b = {u->floats, (size_t)columns, u->rows, *rows};
    for (int32_t tile = 0; tile < u->tiles; tile++) {
        gatelet_multiply_row_ahead(&b, columns, a);
        gatelet_skip(&b, columns);
        b.w += (size_t)(u->rows - 1) * (size_t)columns;
    }
}

/* All pieces that are left: those of a tile that is begun, and then whole tiles. */
GATELET_INLINE void gatelet_finish(struct gatelet_ahead *a) {
#if GATELET_GOES_AHEAD
    const struct gatelet_block nothing = {NULL, 0, 0, {0}};
    const int32_t columns = a->w->tile, pieces = columns / GATELET_VL * 2;
    while (a->next % pieces != 0) {
        gatelet_multiply_both(&nothing, 0, a, (uint32_t)columns);
    }
    const int32_t tile = a->next / pieces;
    struct gatelet_rows rest = a->rows;
    rest.z += (size_t)tile * (size_t)columns;
    rest.start = gatelet_moved(rest.start, (size_t)tile * (size_t)columns);
    gatelet_product(a->w, tile, a->w->tiles - tile, &rest);
    a->next = a->pieces;
#endif
    (void)a;
}

#endif

enum {
    GATELET_BACKWARDS = 1,
    GATELET_SEQUENCES = 2,
    GATELET_ZERO_OUTPUT_FOR_MASK = 4,
    GATELET_OUTPUT_INITIAL_STATE = 8
};

/* Timesteps whose inputs are projected at a time. */
#define GATELET_STEPS 16

struct gatelet_recurrence {
    int32_t rows, timesteps, features, units;
    const float *x;                          /* [rows, timesteps, features] */
    struct gatelet_matrix kernel, recurrent; /* columns: [tiles][gates][16] (SimpleRNN: plain) */
    struct gatelet_matrix candidate;         /* of a GRU that resets before the product */
    const float *bias, *recurrent_bias;      /* packed as the columns, or NULL */
    const uint8_t *mask;                     /* [rows, timesteps], or NULL */
    const float *h0, *c0;                    /* [rows, units], or NULL for zeros */
    struct gatelet_activation activation, recurrent_activation;
    int32_t flags;
    float *y;      /* [rows, timesteps, units] with SEQUENCES, else [rows, units] */
    float *h, *c;  /* the last states [rows, units], or NULL */
    /* With C the kernel's columns and P the units rounded up to tiles, floats:
     * rows C min(timesteps, GATELET_STEPS) + 5 rows P + (rows + 3) C. */
    float *work;
};

/* Where a step finds and leaves things, of all rows. States are [rows, units rounded up]. */
struct gatelet_step {
    float *z; /* [rows, columns], the projected input; may be overwritten */
    const float *h, *c;
    float *h_next, *c_next;
    float *spare; /* (rows + 3) columns floats */
    struct gatelet_ahead *ahead; /* which a step may take pieces of */
};

typedef void gatelet_stepper(const struct gatelet_recurrence *r, const struct gatelet_step *s);

/* Takes all steps. `has_cell` says whether c is a state too. From `least_features` on a step gains
 * by taking projections along; with 0 it takes none. */
GATELET_KERNEL void gatelet_walk(const struct gatelet_recurrence *r, gatelet_stepper *step,
                                 int has_cell, int32_t least_features);

/* Copies a row's packed gates [tiles][gates][16] to gates[g][units]. */
GATELET_KERNEL void gatelet_unpack_gates(const float *z, int32_t gates, int32_t units, float *to);

#endif

struct walk {
    int32_t columns, padded, steps; /* of z; units rounded up; timesteps at a time */
    int goes_ahead;
    float *z, *z_later, *h, *c, *h_next, *c_next, *y, *spare; /* z_later: of the next timesteps */
    struct gatelet_ahead *ahead; /* apart: steps write it, and the others then stay in registers */
};

/* Whether the timesteps to come are projected along with steps, and not between them, which takes
 * as many as GATELET_STEPS at a time: of fewer all at once. */
static int goes_ahead(const struct gatelet_recurrence *r, int32_t least_features) {
    return GATELET_GOES_AHEAD && r->rows == 1 && r->timesteps >= GATELET_STEPS &&
           least_features > 0 && r->features >= least_features && r->kernel.floats != NULL &&
           r->recurrent.floats != NULL;
}

static struct walk lay_out(const struct gatelet_recurrence *r, int32_t least_features) {
    struct walk w = {0};
    w.columns = r->kernel.tiles * r->kernel.tile;
    w.padded = GATELET_ROUND_UP(r->units);
    const int32_t most = r->timesteps < GATELET_STEPS ? r->timesteps : GATELET_STEPS;
    w.goes_ahead = goes_ahead(r, least_features);
    w.steps = w.goes_ahead ? GATELET_AHEAD : most;
    const size_t state = (size_t)r->rows * (size_t)w.padded;
    w.z = r->work;
    w.z_later = w.z + (size_t)(most - w.steps) * (size_t)w.columns;
    w.h = w.z + (size_t)r->rows * (size_t)w.columns * (size_t)most;
    w.c = w.h + state;
    w.h_next = w.c + state;
    w.c_next = w.h_next + state;
    w.y = w.c_next + state;
    w.spare = w.y + state;
    return w;
}

static void start_at(float *state, const float *initial, int32_t rows, int32_t units,
                     int32_t padded) {
    memset(state, 0, (size_t)rows * (size_t)padded * sizeof(float));
    for (int32_t b = 0; initial != NULL && b < rows; b++) {
        memcpy(state + (size_t)b * (size_t)padded, initial + (size_t)b * (size_t)units,
               (size_t)units * sizeof(float));
    }
}

static void give(float *to, const float *state, int32_t rows, int32_t units, int32_t padded) {
    for (int32_t b = 0; to != NULL && b < rows; b++) {
        memcpy(to + (size_t)b * (size_t)units, state + (size_t)b * (size_t)padded,
               (size_t)units * sizeof(float));
    }
}

/* z[t][row] = x[row][first + t] kernel + bias for `count` timesteps, or what steps left of that. */
static void project(const struct gatelet_recurrence *r, struct walk *w, int32_t first,
                    int32_t count) {
    const size_t columns = (size_t)w->columns, features = (size_t)r->features;
    if (w->ahead->next > 0) {
        gatelet_finish(w->ahead);
        return;
    }
    for (size_t b = 0; b < (size_t)r->rows; b++) {
        const size_t place = b * (size_t)r->timesteps + (size_t)first;
        const struct gatelet_rows rows = {count, features, 0, (size_t)r->rows * columns,
                                          r->x + place * features, r->bias, w->z + b * columns};
        gatelet_product(&r->kernel, 0, r->kernel.tiles, &rows);
    }
}

/* Lets steps take the projection of the timesteps from `first` on, if any, into w->z_later. */
static void plan(const struct gatelet_recurrence *r, struct walk *w, int32_t first) {
    const size_t columns = (size_t)w->columns, features = (size_t)r->features;
    w->ahead->next = w->ahead->pieces = 0;
    if (w->goes_ahead && first >= 0 && first < r->timesteps) {
        const struct gatelet_rows rows = {GATELET_AHEAD, features, 0, columns,
                                          r->x + (size_t)first * features, r->bias, w->z_later};
        const struct gatelet_ahead ahead = {&r->kernel, rows, 0, w->columns / GATELET_LANES * 2};
        *w->ahead = ahead;
    }
}

static int counts_anywhere(const struct gatelet_recurrence *r, int32_t t) {
    for (int32_t b = 0; b < r->rows; b++) {
        if (r->mask[(size_t)b * (size_t)r->timesteps + (size_t)t]) {
            return 1;
        }
    }
    return 0;
}

/* Lets masked rows keep their states, and keeps each row's output in w->y. */
static void mask_rows(const struct gatelet_recurrence *r, const struct walk *w, int32_t t,
                      int has_cell) {
    const size_t bytes = (size_t)w->padded * sizeof(float);
    for (int32_t b = 0; b < r->rows; b++) {
        const size_t row = (size_t)b * (size_t)w->padded;
        if (r->mask[(size_t)b * (size_t)r->timesteps + (size_t)t]) {
            memcpy(w->y + row, w->h_next + row, bytes);
            continue;
        }
        memcpy(w->h_next + row, w->h + row, bytes);
        if (has_cell) {
            memcpy(w->c_next + row, w->c + row, bytes);
        }
        if (r->flags & GATELET_ZERO_OUTPUT_FOR_MASK) {
            memset(w->y + row, 0, bytes);
        }
    }
}

static void swap(float **a, float **b) {
    float *kept = *a;
    *a = *b;
    *b = kept;
}

static void put_output(const struct gatelet_recurrence *r, const struct walk *w, int32_t t,
                       const float *y) {
    for (int32_t b = 0; b < r->rows; b++) {
        const size_t place = (size_t)b * (size_t)r->timesteps + (size_t)t;
        memcpy(r->y + place * (size_t)r->units, y + (size_t)b * (size_t)w->padded,
               (size_t)r->units * sizeof(float));
    }
}

static void step_at(const struct gatelet_recurrence *r, struct walk *w, gatelet_stepper *step,
                    float *z, int32_t t, int has_cell) {
    if (r->mask == NULL || counts_anywhere(r, t)) {
        const struct gatelet_step s = {z, w->h, w->c, w->h_next, w->c_next, w->spare,
                                       w->ahead};
        step(r, &s);
    }
    if (r->mask != NULL) {
        mask_rows(r, w, t, has_cell);
    }
    swap(&w->h, &w->h_next);
    if (has_cell) {
        swap(&w->c, &w->c_next);
    }
    if (r->flags & GATELET_SEQUENCES) {
        put_output(r, w, t, r->mask == NULL ? w->h : w->y);
    }
}

GATELET_KERNEL void gatelet_walk(const struct gatelet_recurrence *r, gatelet_stepper *step,
                                 int has_cell, int32_t least_features) {
    struct gatelet_ahead ahead = {0};
    struct walk w = lay_out(r, least_features);
    w.ahead = &ahead;
    const int backwards = (r->flags & GATELET_BACKWARDS) != 0;
    const size_t step_floats = (size_t)r->rows * (size_t)w.columns;
    start_at(w.h, r->h0, r->rows, r->units, w.padded);
    start_at(w.c, r->c0, r->rows, r->units, w.padded);
    start_at(w.y, r->flags & GATELET_OUTPUT_INITIAL_STATE ? r->h0 : NULL, r->rows, r->units,
             w.padded);
    /* the first may be fewer, so that all that follow are as many */
    int32_t count = r->timesteps > 0 ? (r->timesteps - 1) % w.steps + 1 : 0;
    for (int32_t done = 0; done < r->timesteps; done += count, count = w.steps) {
        const int32_t first = backwards ? r->timesteps - done - count : done;
        project(r, &w, first, count);
        plan(r, &w, backwards ? first - w.steps : first + count);
        for (int32_t i = 0; i < count; i++) {
            const int32_t t = backwards ? count - 1 - i : i;
            step_at(r, &w, step, w.z + (size_t)t * step_floats, first + t, has_cell);
        }
        swap(&w.z, &w.z_later);
    }
    if (!(r->flags & GATELET_SEQUENCES)) {
        give(r->y, r->mask == NULL && r->timesteps > 0 ? w.h : w.y, r->rows, r->units, w.padded);
    }
    give(r->h, w.h, r->rows, r->units, w.padded);
    give(r->c, w.c, r->rows, r->units, w.padded);
}

GATELET_KERNEL void gatelet_unpack_gates(const float *z, int32_t gates, int32_t units, float *to) {
    for (int32_t from = 0; from < units; from += GATELET_LANES) {
        const int32_t count = units - from < GATELET_LANES ? units - from : GATELET_LANES;
        for (int32_t g = 0; g < gates; g++) {
            memcpy(to + (size_t)g * (size_t)units + (size_t)from, z, (size_t)count * sizeof(float));
            z += GATELET_LANES;
        }
    }
}

/* Products, normalisations, reductions, and the operations that combine or rearrange values.
 *
 * Not recurrences, convolutions and masks, which have files of their own.
 */
/* Products, normalisations, reductions, and the operations that combine or rearrange values. */
#ifndef GATELET_LAYERS_H
#define GATELET_LAYERS_H


/* A table [vocabulary, features]: float32, int8 or 4-bit with a scale a row, told by a byte.
 *
 * int8: values * scales[code]. 4 bits: (levels - 7.5) * code * scales[0]; the low half of a byte is
 * column k, the high one column k + features / 2, rounded up. */
struct gatelet_table {
    const float *floats;   /* or NULL */
    const int8_t *bytes;   /* or NULL */
    const uint8_t *halves;
    const uint8_t *codes;  /* [vocabulary] */
    const float *scales;   /* as many as there are codes, or one */
    int32_t vocabulary, features;
};

/* An id outside the table is the nearest one inside; a negative one counts from the end. */
GATELET_KERNEL void gatelet_embedding(const struct gatelet_table *table, const int32_t *ids,
                                      size_t n, float *y);

/* y [m, units] = x [m, features] W + bias; work has tiles * tile floats. */
GATELET_KERNEL void gatelet_dense(const struct gatelet_matrix *w, const float *bias,
                                  const float *x, size_t m, int32_t units, float *y, float *work);

enum gatelet_combination {
    GATELET_ADD,
    GATELET_MULTIPLY,
    GATELET_SUBTRACT,
    GATELET_MAXIMUM,
    GATELET_MINIMUM,
    GATELET_PRELU, /* a where it is above 0, else a * b (He et al. 2015) */
    GATELET_AND,
    GATELET_OR
};

/* y = a o b, broadcast: shape is y's, a stride of 0 repeats. y may be a where their shapes agree. */
GATELET_KERNEL void gatelet_combine(int32_t operation, const float *a, const size_t *a_strides,
                                    const float *b, const size_t *b_strides, const int32_t *shape,
                                    int32_t rank, float *y);
GATELET_KERNEL void gatelet_combine_masks(int32_t operation, const uint8_t *a, const uint8_t *b,
                                          size_t n, uint8_t *y);
GATELET_KERNEL void gatelet_divide(float *x, size_t n, float divisor);

enum gatelet_reduction { GATELET_MAX, GATELET_MEAN, GATELET_NORMALIZE };

/* Over the axes whose flag is set. MAX and MEAN give one number for the others; NORMALIZE gives x
 * less its mean, over the root of the variance plus epsilon (Ba, Kiros & Hinton 2016). */
GATELET_KERNEL void gatelet_reduce(int32_t reduction, const float *x, const int32_t *shape,
                                   const uint8_t *reduced, int32_t rank, float epsilon, float *y);

/* y[b] = the mean of x[b, t] over the timesteps that count; 0/0 where none does. */
GATELET_KERNEL void gatelet_average_time(const float *x, const uint8_t *mask, int32_t rows,
                                         int32_t timesteps, size_t features, float *y);

/* One part of a concatenation: to [outer, total] at `offset`, from [outer, part], in bytes. */
GATELET_KERNEL void gatelet_put_part(const void *from, size_t outer, size_t part, void *to,
                                     size_t total, size_t offset);

/* y [rows, n, ...] repeats x [rows, ...], in bytes. */
GATELET_KERNEL void gatelet_repeat(const void *x, int32_t rows, int32_t n, size_t bytes, void *y);

/* Along axis 1, in bytes. */
GATELET_KERNEL void gatelet_reverse(const void *x, int32_t rows, int32_t timesteps, size_t bytes,
                                    void *y);

GATELET_KERNEL void gatelet_transpose(const float *x, const int32_t *shape, const int32_t *perm,
                                      int32_t rank, float *y);

GATELET_KERNEL void gatelet_floats_of(const int32_t *x, size_t n, float *y);
GATELET_KERNEL void gatelet_floats_of_mask(const uint8_t *x, size_t n, float *y);
GATELET_KERNEL void gatelet_integers_of(const float *x, size_t n, int32_t *y);

#endif


static size_t row_of(const struct gatelet_table *table, int32_t id) {
    int64_t row = id < 0 ? (int64_t)id + table->vocabulary : id;
    row = row < 0 ? 0 : row >= table->vocabulary ? table->vocabulary - 1 : row;
    return (size_t)row;
}

/* The table is larger than the caches, and its rows come in no order: the first lines of one are
 * asked for some rows ahead. */
static void ask_for_row(const struct gatelet_table *table, int32_t id) {
    const size_t row = row_of(table, id), features = (size_t)table->features;
    const size_t bytes = table->floats != NULL ? 4 * features
                         : table->bytes != NULL ? features
                                                : (features + 1) / 2;
    const char *rows = table->floats != NULL ? (const char *)table->floats
                       : table->bytes != NULL ? (const char *)table->bytes
                                              : (const char *)table->halves;
    for (size_t at = 0; at < bytes && at < 512; at += 64) {
        GATELET_PREFETCH(rows + row * bytes + at);
    }
    if (table->floats == NULL) {
        GATELET_PREFETCH(table->codes + row);
    }
}

static void copy_floats(const float *from, size_t n, float *to) {
    const size_t whole = n / GATELET_VL * GATELET_VL;
    for (size_t i = 0; i < whole; i += GATELET_VL) {
        v_store(to + i, v_load(from + i));
    }
    for (size_t i = whole; i < n; i++) {
        to[i] = from[i];
    }
}

GATELET_KERNEL void gatelet_embedding(const struct gatelet_table *table, const int32_t *ids,
                                      size_t n, float *y) {
    const size_t features = (size_t)table->features, ahead = 8;
    for (size_t i = 0; i < n && i < ahead; i++) {
        ask_for_row(table, ids[i]);
    }
    for (size_t i = 0; i < n; i++) {
        const size_t row = row_of(table, ids[i]);
        float *to = y + i * features;
        if (i + ahead < n) {
            ask_for_row(table, ids[i + ahead]);
        }
        if (table->floats != NULL) {
            copy_floats(table->floats + row * features, features, to);
            continue;
        }
        const uint8_t code = table->codes[row];
        if (table->bytes != NULL) {
            const float scale = table->scales[code];
            const int8_t *from = table->bytes + row * features;
            for (size_t k = 0; k < features; k++) {
                to[k] = (float)from[k] * scale;
            }
            continue;
        }
        const size_t low = (features + 1) / 2;
        const uint8_t *from = table->halves + row * low;
        const float half = 0.5f * table->scales[0] * (float)code;
        for (size_t k = 0; k < low; k++) {
            to[k] = (float)(2 * (from[k] & 15) - 15) * half;
        }
        for (size_t k = low; k < features; k++) {
            to[k] = (float)(2 * (from[k - low] >> 4) - 15) * half;
        }
    }
}

GATELET_KERNEL void gatelet_dense(const struct gatelet_matrix *w, const float *bias,
                                  const float *x, size_t m, int32_t units, float *y, float *work) {
    const size_t columns = (size_t)(w->tiles * w->tile), features = (size_t)w->rows;
    if (columns == (size_t)units) {
        const struct gatelet_rows rows = {(int32_t)m, features, 0, columns, x, bias, y};
        gatelet_product(w, 0, w->tiles, &rows);
        return;
    }
    for (size_t row = 0; row < m; row += 4) {
        const int32_t count = m - row < 4 ? (int32_t)(m - row) : 4;
        const float *from = x + row * features;
        const struct gatelet_rows rows = {count, features, 0, columns, from, bias, work};
        gatelet_product(w, 0, w->tiles, &rows);
        for (size_t i = 0; i < (size_t)count; i++) {
            memcpy(y + (row + i) * (size_t)units, work + i * columns, (size_t)units * sizeof(float));
        }
    }
}

static float combined(int32_t operation, float a, float b) {
    switch (operation) {
    case GATELET_ADD: return a + b;
    case GATELET_MULTIPLY: return a * b;
    case GATELET_SUBTRACT: return a - b;
    case GATELET_MAXIMUM: return a != a || a >= b ? a : b;
    case GATELET_MINIMUM: return a != a || a <= b ? a : b;
    default: return a > 0.0f ? a : a * b;
    }
}

static size_t elements(const int32_t *shape, int32_t rank) {
    size_t n = 1;
    for (int32_t axis = 0; axis < rank; axis++) {
        n *= (size_t)shape[axis];
    }
    return n;
}

/* Advances an index over all axes but the last `skip`; the offsets follow by their strides. */
static void advance(int32_t *index, const int32_t *shape, int32_t axes, const size_t *a_strides,
                    const size_t *b_strides, size_t *a, size_t *b) {
    for (int32_t axis = axes - 1; axis >= 0; axis--) {
        *a += a_strides[axis];
        *b += b_strides[axis];
        if (++index[axis] < shape[axis]) {
            return;
        }
        *a -= a_strides[axis] * (size_t)shape[axis];
        *b -= b_strides[axis] * (size_t)shape[axis];
        index[axis] = 0;
    }
}

GATELET_KERNEL void gatelet_combine(int32_t operation, const float *a, const size_t *a_strides,
                                    const float *b, const size_t *b_strides, const int32_t *shape,
                                    int32_t rank, float *y) {
    int32_t index[GATELET_MAX_RANK] = {0};
    const size_t n = elements(shape, rank);
    const size_t inner = rank > 0 ? (size_t)shape[rank - 1] : 1;
    const size_t a_step = rank > 0 ? a_strides[rank - 1] : 0;
    const size_t b_step = rank > 0 ? b_strides[rank - 1] : 0;
    size_t a_at = 0, b_at = 0;
    for (size_t done = 0; done < n; done += inner) {
        for (size_t i = 0; i < inner; i++) {
            y[done + i] = combined(operation, a[a_at + i * a_step], b[b_at + i * b_step]);
        }
        advance(index, shape, rank - 1, a_strides, b_strides, &a_at, &b_at);
    }
}

GATELET_KERNEL void gatelet_combine_masks(int32_t operation, const uint8_t *a, const uint8_t *b,
                                          size_t n, uint8_t *y) {
    for (size_t i = 0; i < n; i++) {
        y[i] = (uint8_t)(operation == GATELET_AND ? a[i] & b[i] : a[i] | b[i]);
    }
}

GATELET_KERNEL void gatelet_divide(float *x, size_t n, float divisor) {
    for (size_t i = 0; i < n; i++) {
        x[i] /= divisor;
    }
}

/* What one number of a reduction is taken over: the offsets of its elements from `x`. */
struct lines {
    int32_t rank;
    int32_t shape[GATELET_MAX_RANK];
    size_t strides[GATELET_MAX_RANK];
};

static struct lines axes_of(const int32_t *shape, const uint8_t *reduced, int32_t rank,
                            uint8_t flag) {
    struct lines found = {0};
    for (int32_t axis = 0; axis < rank; axis++) {
        if ((reduced[axis] != 0) == flag) {
            found.shape[found.rank] = shape[axis];
            found.strides[found.rank++] = elements(shape + axis + 1, rank - axis - 1);
        }
    }
    return found;
}

/* The sum over one line of x, or of the squares of its distances from `centre`; or its maximum. */
static double over_line(int32_t reduction, const float *x, const struct lines *line, double centre) {
    int32_t index[GATELET_MAX_RANK] = {0};
    size_t at = 0, unused = 0;
    const size_t n = elements(line->shape, line->rank);
    double total = 0.0;
    float largest = x[0];
    for (size_t i = 0; i < n; i++) {
        const float value = x[at];
        largest = largest != largest || largest >= value ? largest : value;
        const double away = (double)value - centre;
        total += reduction == GATELET_NORMALIZE ? away * away : (double)value;
        advance(index, line->shape, line->rank, line->strides, line->strides, &at, &unused);
    }
    return reduction == GATELET_MAX ? (double)largest : total;
}

static void standardize_line(const float *x, const struct lines *line, float epsilon, float *y) {
    int32_t index[GATELET_MAX_RANK] = {0};
    size_t at = 0, unused = 0;
    const size_t n = elements(line->shape, line->rank);
    const double mean = over_line(GATELET_MEAN, x, line, 0.0) / (double)n;
    const double variance = over_line(GATELET_NORMALIZE, x, line, mean) / (double)n;
    const float deviation = gatelet_sqrt((float)variance + epsilon);
    for (size_t i = 0; i < n; i++) {
        y[at] = (float)((double)x[at] - mean) / deviation;
        advance(index, line->shape, line->rank, line->strides, line->strides, &at, &unused);
    }
}

GATELET_KERNEL void gatelet_reduce(int32_t reduction, const float *x, const int32_t *shape,
                                   const uint8_t *reduced, int32_t rank, float epsilon, float *y) {
    const struct lines kept = axes_of(shape, reduced, rank, 0);
    const struct lines line = axes_of(shape, reduced, rank, 1);
    const size_t n = elements(kept.shape, kept.rank);
    const double count = (double)elements(line.shape, line.rank);
    int32_t index[GATELET_MAX_RANK] = {0};
    size_t at = 0, unused = 0;
    for (size_t i = 0; i < n; i++) {
        if (reduction == GATELET_NORMALIZE) {
            standardize_line(x + at, &line, epsilon, y + at);
        } else {
            const double found = over_line(reduction, x + at, &line, 0.0);
            y[i] = (float)(reduction == GATELET_MEAN ? found / count : found);
        }
        advance(index, kept.shape, kept.rank, kept.strides, kept.strides, &at, &unused);
    }
}

GATELET_KERNEL void gatelet_average_time(const float *x, const uint8_t *mask, int32_t rows,
                                         int32_t timesteps, size_t features, float *y) {
    for (int32_t b = 0; b < rows; b++) {
        const size_t first = (size_t)b * (size_t)timesteps;
        for (size_t k = 0; k < features; k++) {
            double total = 0.0, count = 0.0;
            for (size_t t = first; t < first + (size_t)timesteps; t++) {
                if (mask == NULL || mask[t]) {
                    total += (double)x[t * features + k];
                    count += 1.0;
                }
            }
            y[(size_t)b * features + k] = (float)total / (float)count;
        }
    }
}

GATELET_KERNEL void gatelet_put_part(const void *from, size_t outer, size_t part, void *to,
                                     size_t total, size_t offset) {
    for (size_t i = 0; i < outer; i++) {
        memcpy((char *)to + i * total + offset, (const char *)from + i * part, part);
    }
}

GATELET_KERNEL void gatelet_repeat(const void *x, int32_t rows, int32_t n, size_t bytes, void *y) {
    for (size_t i = 0; i < (size_t)rows * (size_t)n; i++) {
        memcpy((char *)y + i * bytes, (const char *)x + i / (size_t)n * bytes, bytes);
    }
}

GATELET_KERNEL void gatelet_reverse(const void *x, int32_t rows, int32_t timesteps, size_t bytes,
                                    void *y) {
    for (size_t b = 0; b < (size_t)rows; b++) {
        for (size_t t = 0; t < (size_t)timesteps; t++) {
            const size_t to = b * (size_t)timesteps + t;
            const size_t from = (b + 1) * (size_t)timesteps - 1 - t;
            memcpy((char *)y + to * bytes, (const char *)x + from * bytes, bytes);
        }
    }
}

GATELET_KERNEL void gatelet_transpose(const float *x, const int32_t *shape, const int32_t *perm,
                                      int32_t rank, float *y) {
    int32_t to_shape[GATELET_MAX_RANK] = {0}, index[GATELET_MAX_RANK] = {0};
    size_t strides[GATELET_MAX_RANK] = {0}, at = 0, unused = 0;
    for (int32_t axis = 0; axis < rank; axis++) {
        to_shape[axis] = shape[perm[axis]];
        strides[axis] = elements(shape + perm[axis] + 1, rank - perm[axis] - 1);
    }
    const size_t n = elements(shape, rank);
    for (size_t i = 0; i < n; i++) {
        y[i] = x[at];
        advance(index, to_shape, rank, strides, strides, &at, &unused);
    }
}

GATELET_KERNEL void gatelet_floats_of(const int32_t *x, size_t n, float *y) {
    for (size_t i = 0; i < n; i++) {
        y[i] = (float)x[i];
    }
}

GATELET_KERNEL void gatelet_floats_of_mask(const uint8_t *x, size_t n, float *y) {
    for (size_t i = 0; i < n; i++) {
        y[i] = x[i] ? 1.0f : 0.0f;
    }
}

GATELET_KERNEL void gatelet_integers_of(const float *x, size_t n, int32_t *y) {
    for (size_t i = 0; i < n; i++) {
        const float value = x[i]; /* a conversion out of range is undefined */
        y[i] = value >= 2.0e9f ? 2000000000 : value > -2.0e9f ? (int32_t)value : -2000000000;
    }
}

/* Masks, bytes that are 1 where a timestep counts, and padding that all rows share: its columns, and
 * the states that it leads to.
 *
 * Not what a recurrence does at a masked timestep: that is in recurrence.c.
 */
/* Masks, and padding that all rows share. */
#ifndef GATELET_MASKS_H
#define GATELET_MASKS_H


GATELET_KERNEL void gatelet_mask_ids(const int32_t *ids, size_t n, uint8_t *mask);

/* 1 where some of the features is not `value`; x [n, features]. */
GATELET_KERNEL void gatelet_mask_features(const float *x, float value, size_t n, size_t features,
                                          uint8_t *mask);

/* y = x where the mask is 1, else `other`, or 0 where that is NULL; [n, features]. */
GATELET_KERNEL void gatelet_select(const float *x, const float *other, const uint8_t *mask,
                                   size_t n, size_t features, float *y);

/* Columns of ids [rows, timesteps] that are 0 in every row: the number in front, at most `limit`
 * (negative: no limit), and with `trailing` the others behind. One column stays.
 *
 * Returns the number of columns that stay; `start` is the number in front. */
GATELET_KERNEL int32_t gatelet_find_padding(const int32_t *ids, int32_t rows, int32_t timesteps,
                                            int32_t limit, int32_t trailing, int32_t *start);

/* y [rows, kept] = ids[:, start : start + kept]. */
GATELET_KERNEL void gatelet_keep_columns(const int32_t *ids, int32_t rows, int32_t timesteps,
                                         int32_t start, int32_t kept, int32_t *y);

/* States after 0, 1, 2 ... pads: rows of a table, of which some are stored, and the others lie on
 * straight lines between those. */
struct gatelet_lines {
    const int8_t *values;  /* [count, units], multiples of `unit` */
    const int32_t *knots;  /* [count]: which rows they are, from 0 to the last */
    int32_t count, units;
    float unit;
};

/* y [rows, units]: the states after `start` pads, for each row. */
GATELET_KERNEL void gatelet_pad_state(const struct gatelet_lines *lines, int32_t start,
                                      int32_t rows, float *y);

#endif

GATELET_KERNEL void gatelet_mask_ids(const int32_t *ids, size_t n, uint8_t *mask) {
    for (size_t i = 0; i < n; i++) {
        mask[i] = ids[i] != 0;
    }
}

GATELET_KERNEL void gatelet_mask_features(const float *x, float value, size_t n, size_t features,
                                          uint8_t *mask) {
    for (size_t i = 0; i < n; i++) {
        mask[i] = 0;
        for (size_t k = 0; k < features; k++) {
            if (x[i * features + k] != value) {
                mask[i] = 1;
            }
        }
    }
}

GATELET_KERNEL void gatelet_select(const float *x, const float *other, const uint8_t *mask,
                                   size_t n, size_t features, float *y) {
    for (size_t i = 0; i < n; i++) {
        if (mask[i]) {
            memcpy(y + i * features, x + i * features, features * sizeof(float));
        } else if (other != NULL) {
            memcpy(y + i * features, other + i * features, features * sizeof(float));
        } else {
            memset(y + i * features, 0, features * sizeof(float));
        }
    }
}

static int is_padding(const int32_t *ids, int32_t rows, int32_t timesteps, int32_t t) {
    for (int32_t b = 0; b < rows; b++) {
        if (ids[(size_t)b * (size_t)timesteps + (size_t)t] != 0) {
            return 0;
        }
    }
    return 1;
}

GATELET_KERNEL int32_t gatelet_find_padding(const int32_t *ids, int32_t rows, int32_t timesteps,
                                            int32_t limit, int32_t trailing, int32_t *start) {
    const int32_t last = timesteps - 1;
    int32_t first = 0, end = last;
    while (first < last && is_padding(ids, rows, timesteps, first)) {
        first++;
    }
    if (trailing) {
        while (end > first && is_padding(ids, rows, timesteps, end)) {
            end--;
        }
    }
    if (limit >= 0 && first > limit) {
        first = limit;
    }
    *start = first;
    return end - first + 1;
}

GATELET_KERNEL void gatelet_keep_columns(const int32_t *ids, int32_t rows, int32_t timesteps,
                                         int32_t start, int32_t kept, int32_t *y) {
    for (size_t b = 0; b < (size_t)rows; b++) {
        memcpy(y + b * (size_t)kept, ids + b * (size_t)timesteps + (size_t)start,
               (size_t)kept * sizeof(int32_t));
    }
}

GATELET_KERNEL void gatelet_pad_state(const struct gatelet_lines *lines, int32_t start,
                                      int32_t rows, float *y) {
    const int32_t units = lines->units, *knots = lines->knots;
    int32_t i = 0;
    while (i + 2 < lines->count && knots[i + 1] <= start) {
        i++;
    }
    /* integers up to here, so that every processor gives the same */
    const int8_t *from = lines->values + (size_t)i * (size_t)units;
    const int8_t *to = lines->count > 1 ? from + units : from;
    const int32_t length = lines->count > 1 ? knots[i + 1] - knots[i] : 1;
    const int32_t done = start - knots[i];
    const float share = lines->unit / (float)length;
    for (int32_t b = 0; b < rows; b++) {
        for (int32_t k = 0; k < units; k++) {
            y[(size_t)b * (size_t)units + (size_t)k] =
                (float)(from[k] * (length - done) + to[k] * done) * share;
        }
    }
}

/* Layers in integers: the walk over time with the steps of LSTM, GRU and SimpleRNN, and what is
 * around it. The equations are those of lstm.c, gru.c and simple_rnn.c.
 *
 * Not for speed: plain C, for processors without a floating-point unit. Everything between the
 * border functions at the end is integer arithmetic, so every processor gives the same bits. Source
 * of the arithmetic: Jacob et al. 2018, "Quantization and Training of Neural Networks for Efficient
 * Integer-Arithmetic-Only Inference", section 2.2, with 16-bit activations.
 */
/* Layers in integers: 8-bit weights, 16-bit values, sums of 32 and 64 bits, no floating point.
 *
 * A 16-bit value stands for q * scale; states and gates have the scale 2^-15, what goes into an
 * activation is 32 bits with the scale 2^-16. Scales that are no powers of two are multipliers and
 * shifts, chosen at conversion.
 */
#ifndef GATELET_INTEGER_H
#define GATELET_INTEGER_H


enum gatelet_integer_activation {
    GATELET_Q_TANH,
    GATELET_Q_SIGMOID,
    GATELET_Q_HARD_SIGMOID,       /* x / 6 + 1/2 between 0 and 1 */
    GATELET_Q_HARD_SIGMOID_KERAS2 /* x / 5 + 1/2 between 0 and 1 */
};

/* The logistic function at 0, 1/32, ... 16, of scale 2^-15. */
#define GATELET_SIGMOID_ENTRIES 513
/* e^-x at 0, 1/64, ... 16, of scale 2^-15. */
#define GATELET_EXP_ENTRIES 1025

/* Weights [columns, rows]: column j of x W is (sum of x[k] values[j][k]) multipliers[j] >> shift. */
struct gatelet_integer_matrix {
    const int8_t *values;
    const int32_t *multipliers; /* [columns], below 2^24 */
    int32_t rows, columns, shift;
};

enum {
    GATELET_Q_LSTM,
    GATELET_Q_GRU, /* the reset gate after the product */
    GATELET_Q_GRU_RESET_BEFORE,
    GATELET_Q_SIMPLE_RNN
};

/* Gates lie as Keras has them, [gates][units]. */
struct gatelet_integer_recurrence {
    int32_t kind, rows, timesteps, units, activation, recurrent_activation, flags;
    const int16_t *x; /* [rows, timesteps, features] */
    struct gatelet_integer_matrix kernel, recurrent, candidate;
    const int32_t *bias, *recurrent_bias; /* [gates * units] of scale 2^-16, or NULL */
    const uint8_t *mask;                  /* [rows, timesteps], or NULL */
    const float *h0, *c0;                 /* [rows, units], or NULL for zeros */
    const uint16_t *sigmoid;
    int16_t *y;
    float *h, *c;  /* the last states, or NULL */
    int32_t *work; /* (2 gates + 4) units */
};

GATELET_KERNEL void gatelet_integer_walk(const struct gatelet_integer_recurrence *r);

/* y [n, features] = values[id] * multipliers[id] >> 8. */
GATELET_KERNEL void gatelet_integer_embedding(const int8_t *values, const uint16_t *multipliers,
                                              int32_t vocabulary, int32_t features,
                                              const int32_t *ids, size_t n, int16_t *y);

/* y [m, columns] = x [m, rows] W + bias, of y's scale. */
GATELET_KERNEL void gatelet_integer_dense(const struct gatelet_integer_matrix *w,
                                          const int32_t *bias, const int16_t *x, size_t m,
                                          int16_t *y);

/* Element by element: x * multiplier >> shift, which has the scale 2^-16 of an activation, or y's. */
GATELET_KERNEL void gatelet_integer_activate(int32_t kind, const uint16_t *sigmoid,
                                             const int16_t *x, size_t n, int32_t multiplier,
                                             int32_t shift, int16_t *y);
GATELET_KERNEL void gatelet_integer_scale(const int16_t *x, size_t n, int32_t multiplier,
                                          int32_t shift, int16_t *y);
GATELET_KERNEL void gatelet_integer_relu(const int16_t *x, size_t n, int16_t *y);

/* Over the last axis, [n, classes]. */
GATELET_KERNEL void gatelet_integer_softmax(const uint16_t *exponential, const int16_t *x, size_t n,
                                            int32_t classes, int32_t multiplier, int32_t shift,
                                            int16_t *y);

/* The border: features [n, features] in, and values out. */
GATELET_KERNEL void gatelet_integers_of_features(const float *x, const float *inverse, size_t n,
                                                 int32_t features, int16_t *y);
GATELET_KERNEL void gatelet_floats_of_integers(const int16_t *x, size_t n, float scale, float *y);

#endif


enum {
    Q_ONE = 1 << 15,          /* 1 of scale 2^-15 */
    Q_LARGEST_Z = 32 << 16,   /* beyond it every activation is flat */
    Q_LARGEST_CELL = 1 << 30, /* 16,384 of scale 2^-16 */
    Q_CHUNK = 256             /* products of 16 and 8 bits whose sum holds 32 bits */
};

/* Halves are rounded up. */
GATELET_INLINE int64_t q_shifted(int64_t x, int32_t shift) {
    return shift > 0 ? (x + ((int64_t)1 << (shift - 1))) >> shift : x;
}

GATELET_INLINE int64_t q_clamped(int64_t x, int64_t limit) {
    return x > limit ? limit : x < -limit ? -limit : x;
}

static int64_t q_dot(const int16_t *x, const int8_t *w, int32_t n) {
    int64_t total = 0;
    for (int32_t from = 0; from < n; from += Q_CHUNK) {
        const int32_t end = n - from < Q_CHUNK ? n : from + Q_CHUNK;
        int32_t sum = 0;
        for (int32_t k = from; k < end; k++) {
            sum += (int32_t)x[k] * w[k];
        }
        total += sum;
    }
    return total;
}

GATELET_INLINE int64_t q_column(const struct gatelet_integer_matrix *w, const int16_t *x,
                                int32_t j) {
    const int64_t sum = q_dot(x, w->values + (size_t)j * (size_t)w->rows, w->rows);
    return q_shifted(sum * w->multipliers[j], w->shift);
}

/* z [columns] = x W + bias of scale 2^-16. */
static void q_project(const struct gatelet_integer_matrix *w, const int16_t *x, const int32_t *bias,
                    int32_t *z) {
    for (int32_t j = 0; j < w->columns; j++) {
        z[j] = (int32_t)q_clamped(q_column(w, x, j) + (bias == NULL ? 0 : bias[j]), Q_LARGEST_CELL);
    }
}

/* A table's value at `at` steps of 2^-bits, between its entries on a line. */
GATELET_INLINE int32_t q_look_up(const uint16_t *table, int32_t entries, int32_t at, int32_t bits) {
    const int32_t index = at >> bits, rest = at & ((1 << bits) - 1);
    if (index >= entries - 1) {
        return table[entries - 1];
    }
    const int32_t step = (int32_t)table[index + 1] - (int32_t)table[index];
    return table[index] + (int32_t)q_shifted((int64_t)step * rest, bits);
}

static int32_t q_sigmoid_of(const uint16_t *table, int32_t z) {
    const int32_t found = q_look_up(table, GATELET_SIGMOID_ENTRIES, z < 0 ? -z : z, 11);
    return z < 0 ? Q_ONE - found : found;
}

/* Of z of scale 2^-16 the activation of scale 2^-15. */
static int32_t q_activate(int32_t kind, const uint16_t *table, int64_t wide) {
    const int32_t z = (int32_t)q_clamped(wide, Q_LARGEST_Z);
    switch (kind) {
    case GATELET_Q_SIGMOID: return q_sigmoid_of(table, z);
    case GATELET_Q_TANH: return 2 * q_sigmoid_of(table, 2 * z) - Q_ONE;
    default: {
        const int32_t part = kind == GATELET_Q_HARD_SIGMOID ? 12 : 10; /* 2 * 2^-16 is 2^-15 */
        const int32_t y = z / part + Q_ONE / 2;
        return y < 0 ? 0 : y > Q_ONE ? Q_ONE : y;
    }
    }
}

GATELET_INLINE int16_t q_narrow(int64_t x) { return (int16_t)q_clamped(x, INT16_MAX); }

/* One step of one row: z and zh have room for the gates, h and c are the states, in place. */
static void q_lstm(const struct gatelet_integer_recurrence *r, int32_t *z, int32_t *zh, int16_t *h,
                 int32_t *c) {
    const int32_t units = r->units;
    q_project(&r->recurrent, h, NULL, zh);
    for (int32_t unit = 0; unit < units; unit++) {
        int32_t gates[4];
        for (int32_t g = 0; g < 4; g++) {
            const int32_t at = g * units + unit;
            gates[g] = q_activate(g == 2 ? r->activation : r->recurrent_activation, r->sigmoid,
                                (int64_t)z[at] + zh[at]);
        }
        const int64_t kept = q_shifted((int64_t)gates[1] * c[unit], 15);
        const int64_t added = q_shifted((int64_t)gates[0] * gates[2], 14);
        c[unit] = (int32_t)q_clamped(kept + added, Q_LARGEST_CELL);
        h[unit] = q_narrow(
            q_shifted((int64_t)gates[3] * q_activate(r->activation, r->sigmoid, c[unit]), 15));
    }
}

/* Gates z, r, h in Keras' order: h' = z h + (1 - z) a(...). */
static void q_gru(const struct gatelet_integer_recurrence *r, int32_t *z, int32_t *zh, int16_t *h,
                int16_t *spare) {
    const int32_t units = r->units;
    const int after = r->kind == GATELET_Q_GRU;
    q_project(&r->recurrent, h, r->recurrent_bias, zh);
    for (int32_t at = 0; at < 2 * units; at++) {
        z[at] = q_activate(r->recurrent_activation, r->sigmoid, (int64_t)z[at] + zh[at]);
    }
    if (!after) {
        for (int32_t unit = 0; unit < units; unit++) {
            spare[unit] = q_narrow(q_shifted((int64_t)z[units + unit] * h[unit], 15));
        }
        q_project(&r->candidate, spare, NULL, zh + 2 * units);
    }
    for (int32_t unit = 0; unit < units; unit++) {
        const int32_t again = zh[2 * units + unit];
        const int64_t inner = after ? q_shifted((int64_t)z[units + unit] * again, 15) : again;
        const int64_t new = q_activate(r->activation, r->sigmoid, z[2 * units + unit] + inner);
        h[unit] = q_narrow(q_shifted((int64_t)z[unit] * h[unit] + (Q_ONE - z[unit]) * new, 15));
    }
}

static void q_simple_rnn(const struct gatelet_integer_recurrence *r, const int32_t *z, int32_t *zh,
                       int16_t *h) {
    q_project(&r->recurrent, h, NULL, zh);
    for (int32_t unit = 0; unit < r->units; unit++) {
        h[unit] = q_narrow(q_activate(r->activation, r->sigmoid, (int64_t)z[unit] + zh[unit]));
    }
}

static int64_t q_integer_of(float x, float unit, int64_t limit) {
    const float found = x * unit;
    if (found >= (float)limit) {
        return limit;
    }
    return found > (float)-limit ? (int32_t)(found < 0.0f ? found - 0.5f : found + 0.5f) : -limit;
}

/* What one row needs: its states, its last output, its gates. */
struct q_row {
    int32_t *z, *zh, *c;
    int16_t *h, *y, *spare;
};

static void q_start_row(const struct gatelet_integer_recurrence *r, size_t b,
                        const struct q_row *w) {
    for (size_t unit = 0; unit < (size_t)r->units; unit++) {
        const size_t at = b * (size_t)r->units + unit;
        w->h[unit] = r->h0 == NULL ? 0 : (int16_t)q_integer_of(r->h0[at], Q_ONE, INT16_MAX);
        w->c[unit] = r->c0 == NULL ? 0 : (int32_t)q_integer_of(r->c0[at], 65536.0f, Q_LARGEST_CELL);
        w->y[unit] = r->flags & GATELET_OUTPUT_INITIAL_STATE ? w->h[unit] : 0;
    }
}

static void q_end_row(const struct gatelet_integer_recurrence *r, size_t b, const struct q_row *w) {
    for (size_t unit = 0; unit < (size_t)r->units; unit++) {
        const size_t at = b * (size_t)r->units + unit;
        if (r->h != NULL) {
            r->h[at] = (float)w->h[unit] * (1.0f / 32768.0f);
        }
        if (r->c != NULL) {
            r->c[at] = (float)w->c[unit] * (1.0f / 65536.0f);
        }
    }
}

static void q_step_row(const struct gatelet_integer_recurrence *r, const int16_t *x,
                     const struct q_row *w) {
    q_project(&r->kernel, x, r->bias, w->z);
    switch (r->kind) {
    case GATELET_Q_LSTM: q_lstm(r, w->z, w->zh, w->h, w->c); break;
    case GATELET_Q_SIMPLE_RNN: q_simple_rnn(r, w->z, w->zh, w->h); break;
    default: q_gru(r, w->z, w->zh, w->h, w->spare); break;
    }
}

GATELET_KERNEL void gatelet_integer_walk(const struct gatelet_integer_recurrence *r) {
    const size_t units = (size_t)r->units, bytes = units * sizeof(int16_t);
    const size_t columns = (size_t)r->kernel.columns;
    struct q_row w = {r->work, r->work + columns, r->work + 2 * columns, NULL, NULL, NULL};
    w.h = (int16_t *)(void *)(w.c + units);
    w.y = w.h + units;
    w.spare = w.y + units;
    for (size_t b = 0; b < (size_t)r->rows; b++) {
        q_start_row(r, b, &w);
        for (int32_t i = 0; i < r->timesteps; i++) {
            const int32_t t = r->flags & GATELET_BACKWARDS ? r->timesteps - 1 - i : i;
            const size_t place = b * (size_t)r->timesteps + (size_t)t;
            if (r->mask == NULL || r->mask[place]) {
                q_step_row(r, r->x + place * (size_t)r->kernel.rows, &w);
                memcpy(w.y, w.h, bytes);
            } else if (r->flags & GATELET_ZERO_OUTPUT_FOR_MASK) {
                memset(w.y, 0, bytes);
            }
            if (r->flags & GATELET_SEQUENCES) {
                memcpy(r->y + (b * (size_t)r->timesteps + (size_t)t) * units, w.y, bytes);
            }
        }
        if (!(r->flags & GATELET_SEQUENCES)) {
            memcpy(r->y + b * units, w.y, bytes);
        }
        q_end_row(r, b, &w);
    }
}

GATELET_KERNEL void gatelet_integer_embedding(const int8_t *values, const uint16_t *multipliers,
                                              int32_t vocabulary, int32_t features,
                                              const int32_t *ids, size_t n, int16_t *y) {
    for (size_t i = 0; i < n; i++) {
        const int32_t id = ids[i] < 0 ? 0 : ids[i] < vocabulary ? ids[i] : vocabulary - 1;
        const int8_t *row = values + (size_t)id * (size_t)features;
        for (int32_t f = 0; f < features; f++) {
            *y++ = q_narrow(q_shifted((int64_t)row[f] * multipliers[id], 8));
        }
    }
}

GATELET_KERNEL void gatelet_integer_dense(const struct gatelet_integer_matrix *w,
                                          const int32_t *bias, const int16_t *x, size_t m,
                                          int16_t *y) {
    for (size_t i = 0; i < m; i++, x += w->rows, y += w->columns) {
        for (int32_t j = 0; j < w->columns; j++) {
            y[j] = q_narrow(q_column(w, x, j) + (bias == NULL ? 0 : bias[j]));
        }
    }
}

GATELET_KERNEL void gatelet_integer_activate(int32_t kind, const uint16_t *sigmoid,
                                             const int16_t *x, size_t n, int32_t multiplier,
                                             int32_t shift, int16_t *y) {
    for (size_t i = 0; i < n; i++) {
        y[i] = q_narrow(q_activate(kind, sigmoid, q_shifted((int64_t)x[i] * multiplier, shift)));
    }
}

GATELET_KERNEL void gatelet_integer_scale(const int16_t *x, size_t n, int32_t multiplier,
                                          int32_t shift, int16_t *y) {
    for (size_t i = 0; i < n; i++) {
        y[i] = q_narrow(q_shifted((int64_t)x[i] * multiplier, shift));
    }
}

GATELET_KERNEL void gatelet_integer_relu(const int16_t *x, size_t n, int16_t *y) {
    for (size_t i = 0; i < n; i++) {
        y[i] = x[i] > 0 ? x[i] : 0;
    }
}

/* Of the distance to the row's largest number, e^-distance of scale 2^-15. */
static int32_t q_weight_of(const uint16_t *exponential, int32_t below, int32_t multiplier,
                         int32_t shift) {
    const int64_t distance = q_shifted((int64_t)below * multiplier, shift);
    if (distance >= 16 << 16) {
        return 0;
    }
    return q_look_up(exponential, GATELET_EXP_ENTRIES, (int32_t)distance, 10);
}

GATELET_KERNEL void gatelet_integer_softmax(const uint16_t *exponential, const int16_t *x, size_t n,
                                            int32_t classes, int32_t multiplier, int32_t shift,
                                            int16_t *y) {
    for (size_t i = 0; i < n; i++, x += classes, y += classes) {
        int32_t largest = x[0];
        int64_t sum = 0;
        for (int32_t j = 1; j < classes; j++) {
            largest = x[j] > largest ? x[j] : largest;
        }
        for (int32_t j = 0; j < classes; j++) {
            sum += q_weight_of(exponential, largest - x[j], multiplier, shift);
        }
        /* below 65,536 classes the sum has 31 bits; ARMv7 has no division of 64 */
        const uint32_t whole = sum > INT32_MAX ? (uint32_t)INT32_MAX : (uint32_t)sum;
        for (int32_t j = 0; j < classes; j++) {
            const uint32_t one =
                (uint32_t)q_weight_of(exponential, largest - x[j], multiplier, shift);
            y[j] = q_narrow(((one << 15) + whole / 2) / whole);
        }
    }
}

GATELET_KERNEL void gatelet_integers_of_features(const float *x, const float *inverse, size_t n,
                                                 int32_t features, int16_t *y) {
    for (size_t i = 0; i < n; i++) {
        for (int32_t f = 0; f < features; f++) {
            *y++ = (int16_t)q_integer_of(*x++, inverse[f], INT16_MAX);
        }
    }
}

GATELET_KERNEL void gatelet_floats_of_integers(const int16_t *x, size_t n, float scale, float *y) {
    for (size_t i = 0; i < n; i++) {
        y[i] = (float)x[i] * scale;
    }
}

#if defined(GATELET_LIBRARY)
/* What a shared library gives to bindings. */
#define GATELET_ABI 1
struct gatelet_library {
    int32_t abi;
    const char *description; /* inputs and outputs: see runtime/backends/c.py */
    size_t weights_bytes;
    int (*check)(const void *weights, size_t bytes);
    size_t (*scratch_bytes)(int32_t rows, const int32_t *sizes);
    int32_t (*output_shape)(int32_t output, int32_t rows, const int32_t *sizes, int32_t *shape);
    int (*run)(const void *weights, const void *const *inputs, const int32_t *sizes, int32_t rows,
               float *const *outputs, void *scratch);
    int32_t (*ids_of_text)(const void *weights, const char *utf8, size_t bytes, int32_t *ids);
};
#if defined(_WIN32)
#define GATELET_EXPORT __declspec(dllexport)
#else
#define GATELET_EXPORT __attribute__((visibility("default")))
#endif
#endif


/* The model 'several': c full-int8. */

#define AT(type, offset) ((const type *)(const void *)((const char *)weights + (offset)))
#define ROUNDED(floats) (((size_t)(floats) + 15) / 16 * 16)
#define ROWS_AT_ONCE SEVERAL_ROWS_AT_ONCE
#if defined(GATELET_SUFFIX)
#define GATELET_JOIN_(a, b) a##b
#define GATELET_JOIN(a, b) GATELET_JOIN_(a, b)
#define NAME(stem) GATELET_JOIN(several_##stem, GATELET_SUFFIX)
#else
#define NAME(stem) several_##stem
#endif

static const unsigned char digest[] = {0x67, 0x61, 0x74, 0x65, 0x6c, 0x65, 0x74, 0x32, 0x46, 0xd8, 0xba, 0xbf, 0x16, 0x4f, 0xdf, 0x9e, 0x9b, 0x8e, 0x9d, 0x96, 0x63, 0x37, 0x69, 0xba};

static int is_aligned(const void *numbers) { return (uintptr_t)numbers % 4 == 0; }

/* By the digest of all weights, with which they begin. */
static int is_own(const void *weights) {
    return weights != NULL && is_aligned(weights) && memcmp(weights, digest, sizeof digest) == 0;
}

int NAME(check)(const void *weights, size_t bytes) {
    return bytes == SEVERAL_WEIGHTS_BYTES && is_own(weights) ? SEVERAL_OK : SEVERAL_BAD_WEIGHTS;
}

static int check_ids(const int32_t *ids, size_t n, int32_t vocabulary) {
    for (size_t i = 0; i < n; i++) {
        if (ids[i] < 0 || ids[i] >= vocabulary) {
            return SEVERAL_BAD_ID;
        }
    }
    return SEVERAL_OK;
}

/* All layers for B rows, at most ROWS_AT_ONCE. */
static void run_rows(const void *weights, const void *const *inputs,
                            const int32_t *sizes, int32_t B, float *const *outputs,
                            float *scratch) {
    const int32_t T0 = sizes[0];
    const int32_t T1 = sizes[1];
    (void)T0;
    (void)T1;
    (void)weights;
    (void)scratch;
    float *const s0 = scratch;
    float *const s1 = s0 + ROUNDED((size_t)(B) * (size_t)(T0));
    float *const s2 = s1 + ROUNDED(((size_t)(B) * (size_t)(T0) * (size_t)16 * 2 + 3) / 4);
    float *const s3 = s2 + ROUNDED(((size_t)(B) * (size_t)(T0) * 1 + 3) / 4);
    float *const s4 = s3 + ROUNDED(((size_t)(B) * (size_t)16 * 2 + 3) / 4);
    float *const s5 = s4 + ROUNDED(192);
    float *const s6 = s5 + ROUNDED(((size_t)(B) * (size_t)16 * 2 + 3) / 4);
    float *const s7 = s6 + ROUNDED(((size_t)(B) * (size_t)32 * 2 + 3) / 4);
    float *const s8 = s7 + ROUNDED(((size_t)(B) * (size_t)(T1) * (size_t)4 * 2 + 3) / 4);
    float *const s9 = s8 + ROUNDED(((size_t)(B) * (size_t)(T1) * (size_t)20 * 2 + 3) / 4);
    float *const s10 = s9 + ROUNDED(200);
    float *const s11 = s10 + ROUNDED(((size_t)(B) * (size_t)12 * 2 + 3) / 4);
    float *const s12 = s11 + ROUNDED(144);
    float *const s13 = s12 + ROUNDED(((size_t)(B) * (size_t)44 * 2 + 3) / 4);
    float *const s14 = s13 + ROUNDED(((size_t)(B) * (size_t)3 * 2 + 3) / 4);
    float *const s15 = s14 + ROUNDED(((size_t)(B) * (size_t)3 * 2 + 3) / 4);
    float *const s16 = s15 + ROUNDED(((size_t)(B) * (size_t)2 * 2 + 3) / 4);
    float *const s17 = s16 + ROUNDED(((size_t)(B) * (size_t)(T1) * (size_t)2 * 2 + 3) / 4);
    float *const s18 = s17 + ROUNDED(((size_t)(B) * (size_t)(T1) * (size_t)2 * 2 + 3) / 4);
    float *const s19 = s18 + ROUNDED((size_t)(B) * (size_t)3);
    float *const s20 = s19 + ROUNDED((size_t)(B) * (size_t)2);
    const int32_t *const x0 = (const int32_t *)inputs[0];
    const float *const x1 = (const float *)inputs[1];
    /* trim: TrimPadding */
    int32_t start1 = 0;
    const int32_t n2 = gatelet_find_padding(x0, B, T0, -1, 1, &start1);
    (void)n2;
    int32_t *const v3 = (int32_t *)(void *)s0;
    gatelet_keep_columns(x0, B, T0, start1, n2, v3);
    /* n0_embedding: Embedding */
    int16_t *const v4 = (int16_t *)(void *)s1;
    gatelet_integer_embedding(AT(int8_t, 64), AT(uint16_t, 1344), 80, 16, v3, (size_t)(B) * (size_t)(n2), v4);
    /* n1_maskids: MaskIds */
    uint8_t *const v5 = (uint8_t *)(void *)s2;
    gatelet_mask_ids(v3, (size_t)(B) * (size_t)(n2), v5);
    /* n2_lstm: LSTM */
    const struct gatelet_integer_matrix m6 = {AT(int8_t, 1536), AT(int32_t, 2560), 16, 64, 29};
    const struct gatelet_integer_matrix m7 = {AT(int8_t, 2880), AT(int32_t, 3904), 16, 64, 30};
    int16_t *const v8 = (int16_t *)(void *)s3;
    const struct gatelet_integer_recurrence r9 = {
        .kernel = m6,
        .recurrent = m7,
        .bias = AT(int32_t, 4224),
        .x = v4,
        .y = v8,
        .kind = GATELET_Q_LSTM,
        .units = 16,
        .rows = B,
        .timesteps = n2,
        .mask = v5,
        .activation = GATELET_Q_TANH,
        .recurrent_activation = GATELET_Q_SIGMOID,
        .flags = 0,
        .sigmoid = AT(uint16_t, 4480),
        .work = (int32_t *)(void *)s4,
    };
    gatelet_integer_walk(&r9);
    /* n3_lstm: LSTM */
    const struct gatelet_integer_matrix m10 = {AT(int8_t, 5568), AT(int32_t, 6592), 16, 64, 29};
    const struct gatelet_integer_matrix m11 = {AT(int8_t, 6912), AT(int32_t, 7936), 16, 64, 30};
    int16_t *const v12 = (int16_t *)(void *)s5;
    const struct gatelet_integer_recurrence r13 = {
        .kernel = m10,
        .recurrent = m11,
        .bias = AT(int32_t, 4224),
        .x = v4,
        .y = v12,
        .kind = GATELET_Q_LSTM,
        .units = 16,
        .rows = B,
        .timesteps = n2,
        .mask = v5,
        .activation = GATELET_Q_TANH,
        .recurrent_activation = GATELET_Q_SIGMOID,
        .flags = GATELET_BACKWARDS,
        .sigmoid = AT(uint16_t, 4480),
        .work = (int32_t *)(void *)s4,
    };
    gatelet_integer_walk(&r13);
    /* n4_concatenate: Concatenate */
    int16_t *const v14 = (int16_t *)(void *)s6;
    gatelet_put_part(v8, (size_t)(B), (size_t)(16) * (size_t)1 * 2, v14, (size_t)(32) * (size_t)1 * 2, (size_t)(0) * (size_t)1 * 2);
    gatelet_put_part(v12, (size_t)(B), (size_t)(16) * (size_t)1 * 2, v14, (size_t)(32) * (size_t)1 * 2, (size_t)(0 + 16) * (size_t)1 * 2);
    /* n5_gru: GRU */
    int16_t *const v15 = (int16_t *)(void *)s7;
    gatelet_integers_of_features(x1, AT(float, 8256), (size_t)(B) * (size_t)(T1), 4, v15);
    const struct gatelet_integer_matrix m16 = {AT(int8_t, 8320), AT(int32_t, 8576), 4, 60, 26};
    const struct gatelet_integer_matrix m17 = {AT(int8_t, 9088), AT(int32_t, 10304), 20, 60, 30};
    int16_t *const v18 = (int16_t *)(void *)s8;
    const struct gatelet_integer_recurrence r19 = {
        .kernel = m16,
        .recurrent_bias = AT(int32_t, 8832),
        .recurrent = m17,
        .bias = AT(int32_t, 8832),
        .x = v15,
        .y = v18,
        .kind = GATELET_Q_GRU,
        .units = 20,
        .rows = B,
        .timesteps = T1,
        .activation = GATELET_Q_TANH,
        .recurrent_activation = GATELET_Q_SIGMOID,
        .flags = GATELET_SEQUENCES,
        .sigmoid = AT(uint16_t, 4480),
        .work = (int32_t *)(void *)s9,
    };
    gatelet_integer_walk(&r19);
    /* n6_lstm: LSTM */
    const struct gatelet_integer_matrix m20 = {AT(int8_t, 10560), AT(int32_t, 11520), 20, 48, 30};
    const struct gatelet_integer_matrix m21 = {AT(int8_t, 11776), AT(int32_t, 12352), 12, 48, 30};
    int16_t *const v22 = (int16_t *)(void *)s10;
    const struct gatelet_integer_recurrence r23 = {
        .kernel = m20,
        .recurrent = m21,
        .bias = AT(int32_t, 12608),
        .x = v18,
        .y = v22,
        .kind = GATELET_Q_LSTM,
        .units = 12,
        .rows = B,
        .timesteps = T1,
        .activation = GATELET_Q_TANH,
        .recurrent_activation = GATELET_Q_SIGMOID,
        .flags = 0,
        .sigmoid = AT(uint16_t, 4480),
        .work = (int32_t *)(void *)s11,
    };
    gatelet_integer_walk(&r23);
    /* n7_concatenate: Concatenate */
    int16_t *const v24 = (int16_t *)(void *)s12;
    gatelet_put_part(v14, (size_t)(B), (size_t)(32) * (size_t)1 * 2, v24, (size_t)(44) * (size_t)1 * 2, (size_t)(0) * (size_t)1 * 2);
    gatelet_put_part(v22, (size_t)(B), (size_t)(12) * (size_t)1 * 2, v24, (size_t)(44) * (size_t)1 * 2, (size_t)(0 + 32) * (size_t)1 * 2);
    /* n8_dense: Dense */
    const struct gatelet_integer_matrix m25 = {AT(int8_t, 12800), AT(int32_t, 12992), 44, 3, 30};
    int16_t *const v26 = (int16_t *)(void *)s13;
    gatelet_integer_dense(&m25, AT(int32_t, 13056), v24, (size_t)(B), v26);
    /* n9_activation: Activation */
    int16_t *const v27 = (int16_t *)(void *)s14;
    gatelet_integer_softmax(AT(uint16_t, 13120), v26, (size_t)(B), 3, 6688057, 20, v27);
    /* n10_dense: Dense */
    const struct gatelet_integer_matrix m28 = {AT(int8_t, 15232), AT(int32_t, 15360), 44, 2, 31};
    int16_t *const v29 = (int16_t *)(void *)s15;
    gatelet_integer_dense(&m28, AT(int32_t, 15424), v24, (size_t)(B), v29);
    /* n11_dense: Dense */
    const struct gatelet_integer_matrix m30 = {AT(int8_t, 15488), AT(int32_t, 15552), 20, 2, 31};
    int16_t *const v31 = (int16_t *)(void *)s16;
    gatelet_integer_dense(&m30, AT(int32_t, 15424), v18, (size_t)(B) * (size_t)(T1), v31);
    /* n12_activation: Activation */
    int16_t *const v32 = (int16_t *)(void *)s17;
    gatelet_integer_activate(GATELET_Q_TANH, AT(uint16_t, 4480), v31, (size_t)(B) * (size_t)(T1) * (size_t)2, 4843387, 20, v32);
    float *const v33 = (float *)(void *)s18;
    gatelet_floats_of_integers(v27, (size_t)(B) * (size_t)3, 3.05175781e-05f, v33);
    memcpy(outputs[0], v33, sizeof(float) * (size_t)(B) * (size_t)3);
    float *const v34 = (float *)(void *)s19;
    gatelet_floats_of_integers(v29, (size_t)(B) * (size_t)2, 9.8898061e-05f, v34);
    memcpy(outputs[1], v34, sizeof(float) * (size_t)(B) * (size_t)2);
    float *const v35 = (float *)(void *)s20;
    gatelet_floats_of_integers(v32, (size_t)(B) * (size_t)(T1) * (size_t)2, 3.05175781e-05f, v35);
    memcpy(outputs[2], v35, sizeof(float) * (size_t)(B) * (size_t)(T1) * (size_t)2);
}

/* The bytes of one row of an input, and the floats of one row of an output. */
static size_t input_bytes(int32_t input, const int32_t *sizes) {
    const int32_t T0 = sizes[0];
    (void)T0;
    const int32_t T1 = sizes[1];
    (void)T1;
    switch (input) {
    case 0: return sizeof(int32_t) * (size_t)T0;
    case 1: return sizeof(int32_t) * (size_t)T1 * (size_t)4;
    default: return 0;
    }
}

static size_t output_floats(int32_t output, const int32_t *sizes) {
    const int32_t T0 = sizes[0];
    (void)T0;
    const int32_t T1 = sizes[1];
    (void)T1;
    switch (output) {
    case 0: return (size_t)3;
    case 1: return (size_t)2;
    case 2: return (size_t)(T1) * (size_t)2;
    default: return 0;
    }
}

int32_t NAME(output_shape)(int32_t output, int32_t rows, const int32_t *sizes,
                                  int32_t *shape) {
    if (shape == NULL || (sizes == NULL && SEVERAL_SIZES > 0)) {
        return -1;
    }
    const int32_t T0 = sizes[0];
    (void)T0;
    const int32_t T1 = sizes[1];
    (void)T1;
    shape[0] = rows;
    switch (output) {
    case 0:
        shape[1] = 3;
        return 2;
    case 1:
        shape[1] = 2;
        return 2;
    case 2:
        shape[1] = T1;
        shape[2] = 2;
        return 3;
    default: return -1;
    }
}

/* A processor of 32 bits has no address for some of the sizes. */
static int fits(int32_t rows, const int32_t *sizes) {
    const int32_t T0 = sizes[0];
    (void)T0;
    const int32_t T1 = sizes[1];
    (void)T1;
    const int32_t B = rows < ROWS_AT_ONCE ? rows : ROWS_AT_ONCE;
    const uint64_t floats = ((uint64_t)(B) * (uint64_t)(T0)) + 16 +
                            (((uint64_t)(B) * (uint64_t)(T0) * (uint64_t)16 * 2 + 3) / 4) + 16 +
                            (((uint64_t)(B) * (uint64_t)(T0) * 1 + 3) / 4) + 16 +
                            (((uint64_t)(B) * (uint64_t)16 * 2 + 3) / 4) + 16 +
                            (192) + 16 +
                            (((uint64_t)(B) * (uint64_t)16 * 2 + 3) / 4) + 16 +
                            (((uint64_t)(B) * (uint64_t)32 * 2 + 3) / 4) + 16 +
                            (((uint64_t)(B) * (uint64_t)(T1) * (uint64_t)4 * 2 + 3) / 4) + 16 +
                            (((uint64_t)(B) * (uint64_t)(T1) * (uint64_t)20 * 2 + 3) / 4) + 16 +
                            (200) + 16 +
                            (((uint64_t)(B) * (uint64_t)12 * 2 + 3) / 4) + 16 +
                            (144) + 16 +
                            (((uint64_t)(B) * (uint64_t)44 * 2 + 3) / 4) + 16 +
                            (((uint64_t)(B) * (uint64_t)3 * 2 + 3) / 4) + 16 +
                            (((uint64_t)(B) * (uint64_t)3 * 2 + 3) / 4) + 16 +
                            (((uint64_t)(B) * (uint64_t)2 * 2 + 3) / 4) + 16 +
                            (((uint64_t)(B) * (uint64_t)(T1) * (uint64_t)2 * 2 + 3) / 4) + 16 +
                            (((uint64_t)(B) * (uint64_t)(T1) * (uint64_t)2 * 2 + 3) / 4) + 16 +
                            ((uint64_t)(B) * (uint64_t)3) + 16 +
                            ((uint64_t)(B) * (uint64_t)2) + 16 +
                            ((uint64_t)(B) * (uint64_t)(T1) * (uint64_t)2) + 16;
    (void)B;
    return floats <= SIZE_MAX / 8;
}

size_t NAME(scratch_bytes)(int32_t rows, const int32_t *sizes) {
    if (sizes == NULL && SEVERAL_SIZES > 0) {
        return SIZE_MAX;
    }
    const int32_t T0 = sizes[0];
    (void)T0;
    const int32_t T1 = sizes[1];
    (void)T1;
    const int32_t B = rows < 1 ? 1 : rows;
    return fits(B, sizes) ? SEVERAL_SCRATCH_BYTES(B, T0, T1) : SIZE_MAX;
}

static int check_inputs(const void *const *inputs, const int32_t *sizes, int32_t rows) {
    static const int32_t vocabularies[] = {80, 0}; /* 0 for features */
    for (int32_t i = 0; i < SEVERAL_SIZES; i++) {
        if (sizes[i] < 1 || sizes[i] > SEVERAL_LARGEST_SIZE) {
            return SEVERAL_BAD_ARGUMENT;
        }
    }
    if (!fits(rows, sizes)) {
        return SEVERAL_BAD_ARGUMENT;
    }
    for (int32_t i = 0; i < SEVERAL_INPUTS; i++) {
        if (inputs[i] == NULL || !is_aligned(inputs[i])) {
            return SEVERAL_BAD_ARGUMENT;
        }
        const size_t n = (size_t)rows * input_bytes(i, sizes) / sizeof(int32_t);
        if (vocabularies[i] && check_ids((const int32_t *)inputs[i], n, vocabularies[i])) {
            return SEVERAL_BAD_ID;
        }
    }
    return SEVERAL_OK;
}

/* Rows in the order they come in. */
static void run_blocks(const void *weights, const void *const *inputs, const int32_t *sizes,
                       int32_t rows, float *const *outputs, float *scratch) {
    for (int32_t first = 0; first < rows; first += ROWS_AT_ONCE) {
        const void *from[SEVERAL_INPUTS];
        float *to[SEVERAL_OUTPUTS];
        for (int32_t i = 0; i < SEVERAL_INPUTS; i++) {
            from[i] = (const char *)inputs[i] + (size_t)first * input_bytes(i, sizes);
        }
        for (int32_t i = 0; i < SEVERAL_OUTPUTS; i++) {
            to[i] = outputs[i] + (size_t)first * output_floats(i, sizes);
        }
        const int32_t left = rows - first;
        run_rows(weights, from, sizes, left < ROWS_AT_ONCE ? left : ROWS_AT_ONCE, to, scratch);
    }
}

int NAME(run)(const void *weights, const void *const *inputs, const int32_t *sizes,
                     int32_t rows, float *const *outputs, void *scratch) {
    if (weights == NULL || inputs == NULL || outputs == NULL || scratch == NULL ||
        !is_aligned(scratch) || rows < 0 || (sizes == NULL && SEVERAL_SIZES > 0)) {
        return SEVERAL_BAD_ARGUMENT;
    }
    if (!is_own(weights)) {
        return SEVERAL_BAD_WEIGHTS;
    }
    for (int32_t i = 0; rows > 0 && i < SEVERAL_OUTPUTS; i++) {
        if (outputs[i] == NULL || !is_aligned(outputs[i])) {
            return SEVERAL_BAD_ARGUMENT;
        }
    }
    const int bad = rows > 0 ? check_inputs(inputs, sizes, rows) : SEVERAL_OK;
    if (bad) {
        return bad;
    }
    run_blocks(weights, inputs, sizes, rows, outputs, (float *)scratch);
    return SEVERAL_OK;
}

#if defined(GATELET_LIBRARY)
static const char description[] = "[\"input\", \"ids\", \"int32\", [null, null]]\n"
    "[\"input\", \"features\", \"float32\", [null, null, 4]]\n"
    "[\"output\", \"n9_activation\"]\n"
    "[\"output\", \"n10_dense\"]\n"
    "[\"output\", \"n12_activation\"]\n";

const struct gatelet_library NAME(library) = {
    GATELET_ABI, description, SEVERAL_WEIGHTS_BYTES, NAME(check), NAME(scratch_bytes),
    NAME(output_shape), NAME(run), NULL};

#if defined(GATELET_ONE_LEVEL)
GATELET_EXPORT const struct gatelet_library *gatelet_open(int32_t level) {
    return level <= 0 ? &NAME(library) : NULL;
}
#endif
#endif
