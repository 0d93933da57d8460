/* Element by element in integers: sums, products, a factor and a shift a feature, any function. */
#ifndef GATELET_INTEGER_ELEMENTS_H
#define GATELET_INTEGER_ELEMENTS_H

#include "common.h"

/* y = (a x + b z) >> shift, of n elements; y may be x. */
GATELET_KERNEL void gatelet_integer_add(const int16_t *x, int32_t a, const int16_t *z, int32_t b,
                                        size_t n, int32_t shift, int16_t *y);
/* y = x z multiplier >> shift. */
GATELET_KERNEL void gatelet_integer_multiply(const int16_t *x, const int16_t *z, size_t n,
                                             int32_t multiplier, int32_t shift, int16_t *y);

/* y [n, features] = (x multipliers >> shift) + bias, both [features]. */
GATELET_KERNEL void gatelet_integer_affine(const int16_t *x, const int32_t *multipliers,
                                           const int32_t *bias, size_t n, int32_t features,
                                           int32_t shift, int16_t *y);
/* The border: y = (x factors + shifts) unit of floats, [n, features]. */
GATELET_KERNEL void gatelet_integers_of_affine(const float *x, const float *factors,
                                               const float *shifts, size_t n, int32_t features,
                                               float unit, int16_t *y);

/* A function by its values at -32768, -32640, ... 32768, of y's scale, and lines between them. */
GATELET_KERNEL void gatelet_integer_look_up(const int16_t *table, const int16_t *x, size_t n,
                                            int16_t *y);

#endif
