/* Element by element in integers. Not the layers that have activations of 31 bits: see integer.c.
 */
#include "integer_elements.h"

#include "fixed.h"

GATELET_KERNEL void gatelet_integer_add(const int16_t *x, int32_t a, const int16_t *z, int32_t b,
                                        size_t n, int32_t shift, int16_t *y) {
    for (size_t i = 0; i < n; i++) {
        y[i] = q_narrow(q_shifted((int64_t)x[i] * a + (int64_t)z[i] * b, shift));
    }
}

GATELET_KERNEL void gatelet_integer_multiply(const int16_t *x, const int16_t *z, size_t n,
                                             int32_t multiplier, int32_t shift, int16_t *y) {
    for (size_t i = 0; i < n; i++) {
        y[i] = q_narrow(q_shifted((int64_t)((int32_t)x[i] * z[i]) * multiplier, shift));
    }
}

GATELET_KERNEL void gatelet_integer_affine(const int16_t *x, const int32_t *multipliers,
                                           const int32_t *bias, size_t n, int32_t features,
                                           int32_t shift, int16_t *y) {
    for (size_t i = 0; i < n; i++) {
        for (int32_t f = 0; f < features; f++) {
            *y++ = q_narrow(q_shifted((int64_t)*x++ * multipliers[f], shift) + bias[f]);
        }
    }
}

GATELET_KERNEL void gatelet_integers_of_affine(const float *x, const float *factors,
                                               const float *shifts, size_t n, int32_t features,
                                               float unit, int16_t *y) {
    for (size_t i = 0; i < n; i++) {
        for (int32_t f = 0; f < features; f++) {
            GATELET_SETTLED float product[] = {*x++ * factors[f]};
            GATELET_SETTLE(product);
            *y++ = (int16_t)q_integer_of(product[0] + shifts[f], unit, INT16_MAX);
        }
    }
}

GATELET_KERNEL void gatelet_integer_look_up(const int16_t *table, const int16_t *x, size_t n,
                                            int16_t *y) {
    for (size_t i = 0; i < n; i++) {
        const int32_t at = (int32_t)x[i] + INT32_C(32768), rest = at & 127;
        const int16_t *from = table + (at >> 7);
        y[i] = (int16_t)(from[0] + q_shifted(((int32_t)from[1] - from[0]) * rest, 7));
    }
}
