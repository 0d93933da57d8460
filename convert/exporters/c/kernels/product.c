/* Matrix products with packed weights: the float32 one, and the choice between it and int8.
 *
 * Not the int8 product: see product_int8.c. Some columns of some rows stay in registers while the
 * inner dimension runs; a wider processor takes more of both.
 */
#include "product.h"

#include "product_int8.h"
#include "vector.h"

#if defined(__clang__)
#define GATELET_UNROLL _Pragma("clang loop unroll(full)")
#elif defined(__GNUC__)
#define GATELET_UNROLL _Pragma("GCC unroll 8")
#else
#define GATELET_UNROLL
#endif

/* Rows at once, and vectors of columns at once for one row and for several: as registers allow. */
#if defined(__AVX512F__) || defined(__aarch64__)
#define GATELET_ROWS 4
#else
#define GATELET_ROWS 2
#endif
#define GATELET_MANY 8

/* z[s][v] += sum over k of x[s][k] w[k][v]; `rows` and `vectors` are constants where it is used.
 * The sum is taken apart from z, which may be much larger than its terms. */
GATELET_INLINE void block(const float *w, int32_t tile, const float *x, size_t x_stride, int32_t n,
                          float *z, size_t z_stride, const int rows, const int vectors) {
    vfloat total[GATELET_ROWS][GATELET_MANY];
    for (int s = 0; s < rows; s++) {
        GATELET_UNROLL
        for (int v = 0; v < vectors; v++) {
            total[s][v] = v_splat(0.0f);
        }
    }
    for (int32_t k = 0; k < n; k++) {
        const float *row = w + (size_t)k * (size_t)tile;
        vfloat weights[GATELET_MANY];
        GATELET_UNROLL
        for (int v = 0; v < vectors; v++) {
            weights[v] = v_load(row + v * GATELET_VL);
        }
        GATELET_UNROLL
        for (int s = 0; s < rows; s++) {
            const float value = x[(size_t)s * x_stride + (size_t)k];
            GATELET_UNROLL
            for (int v = 0; v < vectors; v++) {
                total[s][v] += value * weights[v];
            }
        }
    }
    for (int s = 0; s < rows; s++) {
        GATELET_UNROLL
        for (int v = 0; v < vectors; v++) {
            float *to = z + (size_t)s * z_stride + v * GATELET_VL;
            v_store(to, v_load(to) + total[s][v]);
        }
    }
}

#define GATELET_BLOCK(rows, vectors)                                                        \
    block(w + column, tile, x, x_stride, n, z + column, z_stride, (rows), (vectors));       \
    column += (vectors) * GATELET_VL

/* One tile of one row. */
static void tile_of_row(const float *w, int32_t tile, const float *x, int32_t n, float *z) {
    const size_t x_stride = 0, z_stride = 0;
    int32_t column = 0;
#if GATELET_VL == 8 || GATELET_VL == 4
    while (tile - column >= 8 * GATELET_VL) {
        GATELET_BLOCK(1, 8);
    }
    while (tile - column >= 6 * GATELET_VL) {
        GATELET_BLOCK(1, 6);
    }
#endif
    while (tile - column >= 4 * GATELET_VL) {
        GATELET_BLOCK(1, 4);
    }
    while (tile - column >= 3 * GATELET_VL) {
        GATELET_BLOCK(1, 3);
    }
    while (tile - column >= 2 * GATELET_VL) {
        GATELET_BLOCK(1, 2);
    }
    while (tile - column >= GATELET_VL) {
        GATELET_BLOCK(1, 1);
    }
}

/* One tile of GATELET_ROWS rows. */
static void tile_of_rows(const float *w, int32_t tile, const float *x, size_t x_stride, int32_t n,
                         float *z, size_t z_stride) {
    int32_t column = 0;
    while (tile - column >= 4 * GATELET_VL) {
        GATELET_BLOCK(GATELET_ROWS, 4);
    }
    while (tile - column >= 3 * GATELET_VL) {
        GATELET_BLOCK(GATELET_ROWS, 3);
    }
    while (tile - column >= 2 * GATELET_VL) {
        GATELET_BLOCK(GATELET_ROWS, 2);
    }
    while (tile - column >= GATELET_VL) {
        GATELET_BLOCK(GATELET_ROWS, 1);
    }
}

GATELET_KERNEL void gatelet_product(const struct gatelet_matrix *w, int32_t first, int32_t tiles,
                                    const float *x, size_t x_stride, int32_t m, float *z,
                                    size_t z_stride) {
    if (w->values != NULL) {
        gatelet_product_int8(w, first, tiles, x, x_stride, m, z, z_stride);
        return;
    }
    const size_t tile_floats = (size_t)w->rows * (size_t)w->tile;
    for (int32_t t = 0; t < tiles; t++) {
        const float *weights = w->floats + (size_t)(first + t) * tile_floats;
        float *to = z + (size_t)t * (size_t)w->tile;
        int32_t s = 0;
        for (; s + GATELET_ROWS <= m; s += GATELET_ROWS) {
            tile_of_rows(weights, w->tile, x + (size_t)s * x_stride, x_stride, w->rows,
                         to + (size_t)s * z_stride, z_stride);
        }
        for (; s < m; s++) {
            tile_of_row(weights, w->tile, x + (size_t)s * x_stride, w->rows,
                        to + (size_t)s * z_stride);
        }
    }
}

GATELET_KERNEL void gatelet_fill_rows(const float *bias, int32_t columns, int32_t m, float *z,
                                      size_t z_stride) {
    for (int32_t s = 0; s < m; s++) {
        if (bias != NULL) {
            memcpy(z + (size_t)s * z_stride, bias, (size_t)columns * sizeof(float));
        } else {
            memset(z + (size_t)s * z_stride, 0, (size_t)columns * sizeof(float));
        }
    }
}
