/* Vectors of floats by the compiler's own extension, as wide as the processor; one float otherwise.
 *
 * Intrinsics only for what compilers do not see in plain words. GATELET_PLAIN asks for the plain C
 * path, which the others are tested against.
 */
#ifndef GATELET_VECTOR_H
#define GATELET_VECTOR_H

#include "common.h"

#if defined(GATELET_PLAIN) || !defined(__GNUC__)
#define GATELET_VL 1
#elif defined(__AVX512F__)
#define GATELET_VL 16
#elif defined(__AVX__)
#define GATELET_VL 8
#elif defined(__SSE2__) || defined(__ARM_NEON) || defined(__wasm_simd128__) || \
    (defined(__ARM_FEATURE_MVE) && (__ARM_FEATURE_MVE & 2))
#define GATELET_VL 4
#else
#define GATELET_VL 1
#endif

#if GATELET_VL > 1 && (defined(__x86_64__) || defined(__i386__))
#define GATELET_X86
#include <immintrin.h>
#endif

#if GATELET_VL == 4 && defined(__ARM_FEATURE_MVE)
#define GATELET_HELIUM
#include <arm_mve.h>
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

#if GATELET_VL == 1 /* of 4 bytes that are aligned memcpy makes bytes, where processors want that \
                     */
GATELET_INLINE vfloat v_load(const float *from) { return *from; }
GATELET_INLINE void v_store(float *to, vfloat x) { *to = x; }
#else
GATELET_INLINE vfloat v_load(const float *from) {
    vfloat x;
    memcpy(&x, from, sizeof x);
    return x;
}
GATELET_INLINE void v_store(float *to, vfloat x) { memcpy(to, &x, sizeof x); }
#endif

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
#elif defined(GATELET_HELIUM)
    return vpselq_f32(vdupq_n_f32(limit), x, vcmpgtq_n_f32(x, limit));
#else
    return v_select(x > v_splat(limit), v_splat(limit), x);
#endif
}
GATELET_INLINE vfloat v_at_least(vfloat x, float limit) {
#if defined(GATELET_X86) && GATELET_VL == 16
    return (vfloat)_mm512_max_ps((__m512)v_splat(limit), (__m512)x);
#elif defined(GATELET_X86) && GATELET_VL == 8
    return (vfloat)_mm256_max_ps((__m256)v_splat(limit), (__m256)x);
#elif defined(GATELET_HELIUM)
    return vpselq_f32(vdupq_n_f32(limit), x, vcmpltq_n_f32(x, limit));
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
/* x y + c: a step of a polynomial. */
GATELET_INLINE vfloat v_then(vfloat x, vfloat y, float c) {
#if defined(GATELET_HELIUM)
    return vfmasq_n_f32(x, y, c);
#else
    return x * y + c;
#endif
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
