/* e^x, log, tanh, sigmoid, erf and the square root, for vectors; no libm.
 *
 * Not activations: see activations.c. Each is within a few units in the last place; NaN gives NaN.
 * Polynomials: least squares at Chebyshev nodes of the range named beside each.
 */
#ifndef GATELET_ELEMENTARY_H
#define GATELET_ELEMENTARY_H

#include <float.h>

#include "vector.h"

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
#if GATELET_SMALL && GATELET_VL == 1 && defined(__GNUC__)
    /* one comparison of integers, of which a NaN is one of the largest, tells what needs no clip */
    if (__builtin_expect(v_bits(v_abs(y)) > 0x421c0000, 0))
#endif
        y = v_at_least(v_at_most(y, GATELET_LARGEST_POWER), -GATELET_LARGEST_POWER);
    *n = v_stored(y + GATELET_ROUNDER) - GATELET_ROUNDER;
    vfloat r = y - *n;
    vfloat p = r * 0.000154614474f + 0.00133908674f;
    p = v_then(p, r, 0.00961805667f);
    p = v_then(p, r, 0.055503571f);
    p = v_then(p, r, 0.240226509f);
    p = v_then(p, r, 0.693147188f);
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
