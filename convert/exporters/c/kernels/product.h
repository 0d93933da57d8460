/* Matrix products with packed weights: z += x W. */
#ifndef GATELET_PRODUCT_H
#define GATELET_PRODUCT_H

#include "common.h"

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
    const int32_t *sums;   /* of int8: each column's sum, [rows / INT8_CHUNK, up][tiles * tile] */
    int32_t rows, tiles, tile;
    int32_t limit;         /* of int8: what activations are rounded to, 127 where that is exact */
};

/* z[m] += x[m] W for some tiles.
 *
 * x: m rows of `rows` floats, x_stride apart. z: m rows, z_stride apart, each [tiles * tile]
 * from the first tile on. */
GATELET_KERNEL void gatelet_product(const struct gatelet_matrix *w, int32_t first, int32_t tiles,
                                    const float *x, size_t x_stride, int32_t m, float *z,
                                    size_t z_stride);

/* z[m] = bias, or zeros where it is NULL. */
GATELET_KERNEL void gatelet_fill_rows(const float *bias, int32_t columns, int32_t m, float *z,
                                      size_t z_stride);

#endif
