/* Matrix products with packed weights: z = start + x W. */
#ifndef GATELET_PRODUCT_H
#define GATELET_PRODUCT_H

#include "common.h"

/* Weights [rows, columns], packed in tiles of some columns, zeros behind the last.
 *
 * float32: [tiles][rows][tile]. int8: [tiles][rows / 4, rounded up][tile][4], so that four products
 * that are added lie together; a column's weights are values * scales[column]. */
struct gatelet_matrix {
    const float *floats;  /* or NULL */
    const int8_t *values; /* or NULL */
    const float *scales;  /* of int8: [tiles * tile] */
    const int16_t *sums;  /* of int8: each column's sum, [rows / INT8_CHUNK, up][tiles * tile] */
    int32_t rows, tiles, tile;
    int32_t limit; /* of int8: what activations are rounded to, 127 where that is exact */
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
