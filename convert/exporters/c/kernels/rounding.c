/* Activations as integers of at most 14 bits, with a scale a row.
 *
 * Not the products that are taken of them: see product_int8.c and product_int16.c. A number times
 * the inverse is a float before it is made an integer. Fused into one operation they are another
 * integer now and then, on the processors that have such an operation only.
 */
#include "rounding.h"

#include "vector.h"

/* NaN where a number is not finite, since the bits of infinity and NaN are larger than those of any
 * number. */
GATELET_KERNEL struct gatelet_scale gatelet_scale_of(const float *x, int32_t n, int32_t limit) {
    vint largest = v_bits(v_splat(0.0f));
    int32_t i = 0;
    for (; i + GATELET_VL <= n; i += GATELET_VL) {
        largest = v_larger(largest, v_bits(v_abs(v_load(x + i))));
    }
    if (i < n) {
        largest = v_larger(largest, v_bits(v_abs(v_load_some(x + i, n - i))));
    }
    const int32_t bits = v_largest(largest);
    const float smallest = 1e-38f; /* of a scale that has an inverse */
    float most;
    memcpy(&most, &bits, sizeof most);
    struct gatelet_scale s = {most * (1.0f / (float)limit) + most * 0.0f, 0.0f};
    if (s.scale > smallest) {
        s.inverse = (float)limit / most;
    }
    return s;
}

GATELET_INLINE void round_some(const float *x, float inverse, int16_t *q) {
#if defined(GATELET_X86)
    const __m128 by = _mm_set1_ps(inverse);
    const __m128i low = _mm_cvtps_epi32(_mm_mul_ps(_mm_loadu_ps(x), by));
    const __m128i high = _mm_cvtps_epi32(_mm_mul_ps(_mm_loadu_ps(x + 4), by));
    _mm_storeu_si128((__m128i *)(void *)q, _mm_packs_epi32(low, high));
#elif GATELET_SMALL && defined(__GNUC__) && defined(__ARM_FP)
    for (int k = 0; k < GATELET_ROUNDED_AT_ONCE; k++) {
        float product = x[k] * inverse;
        __asm__("" : "+t"(product)); /* is fused with nothing */
        const float value = product + 12582912.0f;
        uint32_t bits;
        memcpy(&bits, &value, sizeof bits);
        q[k] = (int16_t)(uint16_t)(bits & 0xffffu);
    }
#else
    const float rounder = 12582912.0f; /* adding it leaves an integer in the low bits */
    GATELET_SETTLED float products[GATELET_ROUNDED_AT_ONCE];
    for (int k = 0; k < GATELET_ROUNDED_AT_ONCE; k++) {
        products[k] = x[k] * inverse;
    }
    GATELET_SETTLE(products);
    for (int k = 0; k < GATELET_ROUNDED_AT_ONCE; k++) {
        const float value = products[k] + rounder;
        uint32_t bits;
        memcpy(&bits, &value, sizeof bits);
        q[k] = (int16_t)(uint16_t)(bits & 0xffffu);
    }
#endif
}

GATELET_KERNEL void gatelet_round_row(const float *x, int32_t n, float inverse, int16_t *q) {
    int32_t i = 0;
    for (; i + GATELET_ROUNDED_AT_ONCE <= n; i += GATELET_ROUNDED_AT_ONCE) {
        round_some(x + i, inverse, q + i);
    }
    if (i < n) {
        float rest[GATELET_ROUNDED_AT_ONCE] = {0.0f};
        memcpy(rest, x + i, (size_t)(n - i) * sizeof(float));
        round_some(rest, inverse, q + i);
    }
}
