/* Products, normalisations, reductions, and the operations that combine or rearrange values. */
#ifndef GATELET_LAYERS_H
#define GATELET_LAYERS_H

#include "product.h"

/* A table [vocabulary, features]: float32, int8 or 4-bit with a scale a row, told by a byte.
 *
 * int8: values * scales[code]. 1, 2 or 4 bits: (level - middle) * code * scales[0], where the
 * middle is that of all levels. A byte has n = 8 / bits of them: the lowest bits are column k, the
 * next ones column k + features / n, rounded up, and so on. */
struct gatelet_table {
    const float *floats; /* or NULL */
    const int8_t *bytes; /* or NULL */
    const uint8_t *levels;
    const uint8_t *codes; /* [vocabulary] */
    const float *scales;  /* as many as there are codes, or one */
    int32_t vocabulary, features;
    int32_t bits; /* of a level */
};

/* An id outside the table is the nearest one inside; a negative one counts from the end. */
GATELET_KERNEL void gatelet_embedding(const struct gatelet_table *table, const int32_t *ids,
                                      size_t n, float *y);

/* y [m, units] = x [m, features] W + bias; work has GATELET_DENSE_ROWS rows of its columns. */
GATELET_KERNEL void gatelet_dense(const struct gatelet_matrix *w, const float *bias, const float *x,
                                  size_t m, int32_t units, float *y, float *work);

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

/* y = a o b, broadcast: shape is y's, a stride of 0 repeats. y may be a if their shapes agree. */
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
