/* What of a product stays in registers: some columns of some rows, while K runs.
 *
 * Not the way through all columns and rows: see product.c. Inline, since a step of a recurrence
 * does something with each tile at once.
 */
#ifndef GATELET_PRODUCT_BLOCK_H
#define GATELET_PRODUCT_BLOCK_H

#include "product.h"
#include "vector.h"

#if defined(__clang__)
#define GATELET_UNROLL _Pragma("clang loop unroll(full)")
#elif defined(__GNUC__) && __GNUC__ >= 8
#define GATELET_UNROLL _Pragma("GCC unroll 16")
#else
#define GATELET_UNROLL
#endif
#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ >= 8
#define GATELET_UNROLL_SOME _Pragma("GCC unroll 4")
#else
#define GATELET_UNROLL_SOME
#endif

/* Rows at once, and the most vectors of columns at once: as registers allow. */
#if defined(__AVX512F__) || defined(__aarch64__)
#define GATELET_ROWS 4
#elif GATELET_SMALL
#define GATELET_ROWS 1
#else
#define GATELET_ROWS 2
#endif
#if GATELET_SMALL && GATELET_VL == 1 && (defined(__ARM_FP) || defined(__riscv_flen))
#define GATELET_MANY 16 /* of 32 registers */
#else
#define GATELET_MANY 8
#endif

/* n weights a column, w_stride apart, and some rows. */
struct gatelet_block {
    const float *w;
    size_t w_stride;
    int32_t n;
    struct gatelet_rows rows;
};

typedef vfloat gatelet_sums[GATELET_MANY];

GATELET_INLINE const float *gatelet_moved(const float *p, size_t floats) {
    return p != NULL ? p + floats : NULL;
}

/* The rows from one on. */
GATELET_INLINE struct gatelet_rows gatelet_rows_from(const struct gatelet_rows *rows, int32_t row) {
    const size_t s = (size_t)row;
    struct gatelet_rows rest = *rows;
    rest.count -= row;
    rest.x += s * rows->x_stride;
    rest.z += s * rows->z_stride;
    rest.start = gatelet_moved(rows->start, s * rows->start_stride);
    return rest;
}

GATELET_INLINE void gatelet_clear(gatelet_sums *total, const int rows, const int vectors) {
    GATELET_UNROLL
    for (int s = 0; s < rows; s++) {
        GATELET_UNROLL
        for (int v = 0; v < vectors; v++) {
            total[s][v] = v_splat(0.0f);
        }
    }
}

/* Adds the products with the weights of one k, at w; x is b's at this k. */
GATELET_INLINE void gatelet_add(const struct gatelet_block *b, const float *w, const float *x,
                                gatelet_sums *total, const int rows, const int vectors) {
    vfloat weights[GATELET_MANY];
    GATELET_UNROLL
    for (int v = 0; v < vectors; v++) {
        weights[v] = v_load(w + v * GATELET_VL);
    }
    GATELET_UNROLL
    for (int s = 0; s < rows; s++) {
        const float value = x[(size_t)s * b->rows.x_stride];
        GATELET_UNROLL
        for (int v = 0; v < vectors; v++) {
            total[s][v] += value * weights[v];
        }
    }
}

/* z = start + total; the sum is taken apart from start, which may be much larger than its terms. */
GATELET_INLINE void gatelet_put(const struct gatelet_block *b, gatelet_sums *total, const int rows,
                                const int vectors) {
    const int from_zero = b->rows.start == NULL;
    GATELET_UNROLL
    for (int s = 0; s < rows; s++) {
        const float *start = gatelet_moved(b->rows.start, (size_t)s * b->rows.start_stride);
        float *z = b->rows.z + (size_t)s * b->rows.z_stride;
        GATELET_UNROLL
        for (int v = 0; v < vectors; v++) {
            vfloat sum = from_zero ? total[s][v] : v_load(start + v * GATELET_VL) + total[s][v];
            v_store(z + v * GATELET_VL, sum);
        }
    }
}

/* `rows` and `vectors` are constants where it is used. */
GATELET_INLINE void gatelet_multiply(const struct gatelet_block *b, const int rows,
                                     const int vectors) {
    const float *w = b->w, *x = b->rows.x;
    gatelet_sums total[GATELET_ROWS];
    gatelet_clear(total, rows, vectors);
    for (int32_t k = 0; k < b->n; k++, w += b->w_stride, x++) {
        gatelet_add(b, w, x, total, rows, vectors);
    }
    gatelet_put(b, total, rows, vectors);
}

GATELET_INLINE void gatelet_skip(struct gatelet_block *b, int columns) {
    b->w += columns;
    b->rows.z += columns;
    b->rows.start = gatelet_moved(b->rows.start, (size_t)columns);
}

/* A tile of one row. `columns`, the tile's, is a constant where it is used. */
GATELET_INLINE void gatelet_multiply_row(struct gatelet_block b, const int columns) {
    const int vectors = columns / GATELET_VL;
    const int most = vectors > GATELET_MANY && vectors % GATELET_MANY == 0 ? GATELET_MANY
                     : vectors % 8 == 0                                    ? 8
                     : vectors % 6 == 0                                    ? 6
                                                                           : vectors;
    for (int i = 0; i < vectors; i += most, gatelet_skip(&b, most * GATELET_VL)) {
        gatelet_multiply(&b, 1, most);
    }
}

/* A tile of GATELET_ROWS rows. */
GATELET_INLINE void gatelet_multiply_rows(struct gatelet_block b, const int columns) {
    const int vectors = columns / GATELET_VL;
    const int most = vectors % 4 == 0 ? 4 : vectors % 3 == 0 ? 3 : vectors;
    for (int i = 0; i < vectors; i += most, gatelet_skip(&b, most * GATELET_VL)) {
        gatelet_multiply(&b, GATELET_ROWS, most);
    }
}

#endif
