/* Matrix products with packed weights: z = start + x W. */
#ifndef GATELET_PRODUCT_H
#define GATELET_PRODUCT_H

#include "common.h"

/* Weights [rows, columns], packed in tiles of some columns, zeros behind the last. One of the
 * first five is not NULL, and says how they lie:
 *
 * floats: [tiles][rows][tile], and bytes likewise. values: [tiles][rows / 4, rounded up][tile][4],
 * so that four products that are added lie together; words: two of them, [tiles][rows / 2, rounded
 * up][tile][2]; nibbles: values of 4 bits, of each 64 number j in the low half of a byte and number
 * j + 32 in the high one, 8 added. All but floats are multiplied with scales[column]. What
 * values, nibbles and words are multiplied with is rounded too. */
struct gatelet_matrix {
    const float *floats;
    const int8_t *bytes;
    const int8_t *values;
    const uint8_t *nibbles;
    const int16_t *words;
    const float *scales; /* of all but floats: [tiles * tile] */
    const int16_t
        *sums; /* of values and nibbles: each column's sum, [rows / INT8_CHUNK, up][tiles * tile] */
    int32_t rows, tiles, tile;
    int32_t limit; /* what activations are rounded to: 127 where that is exact */
};

/* The rows that a product is taken of: for each, z = start + x W. */
struct gatelet_rows {
    int32_t count;
    size_t x_stride, start_stride, z_stride; /* in floats; a stride of 0 repeats a row */
    const float *x;                          /* [count, rows of W] */
    const float *start;                      /* columns as of z, which it may be; NULL: zeros */
    float *z;                                /* [count, columns of W] */
};

/* One bit for each sixteen columns of a tile of floats: as GATELET_KINDS. */
#if !defined(GATELET_TILES)
#define GATELET_TILES 15
#endif

/* The most rows of a chunk of integers, and a few more: as GATELET_KINDS. */
#if !defined(GATELET_INNER)
#define GATELET_INNER GATELET_INT8_CHUNK
#endif

/* The columns of some tiles; start and z begin at those of the first. */
GATELET_KERNEL void gatelet_product(const struct gatelet_matrix *w, int32_t first, int32_t tiles,
                                    const struct gatelet_rows *rows);

#endif
