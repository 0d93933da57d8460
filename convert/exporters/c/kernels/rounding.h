/* Activations as integers of at most 14 bits, with a scale a row. */
#ifndef GATELET_ROUNDING_H
#define GATELET_ROUNDING_H

#include "common.h"

/* A row's number is about its integer times scale, and its integer the number times inverse. */
struct gatelet_scale {
    float scale, inverse;
};

/* The scale that lets a row's largest magnitude be `limit`; NaN where a number is not finite. Where
 * the inverse of the scale is no float, all integers are 0. */
GATELET_KERNEL struct gatelet_scale gatelet_scale_of(const float *x, int32_t n, int32_t limit);

/* The integers of x inverse, halves to even: the same ones on every processor. q has room for n
 * rounded up to GATELET_ROUNDED_AT_ONCE, with zeros there. */
#define GATELET_ROUNDED_AT_ONCE 8
GATELET_KERNEL void gatelet_round_row(const float *x, int32_t n, float inverse, int16_t *q);

#endif
