/* The product of 8-bit weights and floats that are not rounded: of features as the caller feeds
 * them, where one column may be a thousand times another.
 *
 * Not for values that were computed: see product_int8.c. Sixteen columns of some rows stay in
 * registers while K runs; a weight becomes a float where it is read, and a column's scale is
 * multiplied into its sum.
 */
#include "product_bytes.h"

#define GATELET_HAS_BYTES /* to product.c */

#include "product_block.h"

#if defined(__ARM_NEON)
#include <arm_neon.h>
#endif

enum {
    BYTES_VECTORS = GATELET_LANES / GATELET_VL < 8 ? GATELET_LANES / GATELET_VL : 8,
    BYTES_COLUMNS = BYTES_VECTORS * GATELET_VL,
    BYTES_ROWS = GATELET_VL == 1   ? 1
                 : GATELET_VL == 8 ? 4
                                   : GATELET_ROWS
};

GATELET_INLINE vfloat v_of_bytes(const int8_t *from) {
#if defined(GATELET_X86) && GATELET_VL == 16
    const __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)from);
    return (vfloat)_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(bytes));
#elif defined(__AVX2__) && GATELET_VL == 8
    const __m128i bytes = _mm_loadl_epi64((const __m128i *)(const void *)from);
    return (vfloat)_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes));
#elif defined(__SSE4_1__) && GATELET_VL == 4
    int32_t four;
    memcpy(&four, from, sizeof four);
    return (vfloat)_mm_cvtepi32_ps(_mm_cvtepi8_epi32(_mm_cvtsi32_si128(four)));
#elif defined(__ARM_NEON) && GATELET_VL == 4
    uint32_t four;
    memcpy(&four, from, sizeof four);
    const int16x8_t wide = vmovl_s8(vcreate_s8(four));
    return (vfloat)vcvtq_f32_s32(vmovl_s16(vget_low_s16(wide)));
#else
    float lanes[GATELET_VL];
    for (int lane = 0; lane < GATELET_VL; lane++) {
        lanes[lane] = (float)from[lane];
    }
    return v_load(lanes);
#endif
}

/* Some columns of a tile, w and scales, for some rows; `rows` is a constant where it is used. */
GATELET_INLINE void columns_of_bytes(const struct gatelet_matrix *w, const int8_t *from,
                                     const float *scales, const struct gatelet_rows *r,
                                     const int rows) {
    const float *x = r->x;
    gatelet_sums total[BYTES_ROWS];
    gatelet_clear(total, rows, BYTES_VECTORS);
    for (int32_t k = 0; k < w->rows; k++, from += w->tile) {
        vfloat weights[BYTES_VECTORS];
        GATELET_UNROLL
        for (int v = 0; v < BYTES_VECTORS; v++) {
            weights[v] = v_of_bytes(from + v * GATELET_VL);
        }
        GATELET_UNROLL
        for (int s = 0; s < rows; s++) {
            const float value = x[(size_t)s * r->x_stride + (size_t)k];
            GATELET_UNROLL
            for (int v = 0; v < BYTES_VECTORS; v++) {
                total[s][v] += value * weights[v];
            }
        }
    }
    GATELET_UNROLL
    for (int s = 0; s < rows; s++) {
        const float *start = gatelet_moved(r->start, (size_t)s * r->start_stride);
        float sums[BYTES_COLUMNS]; /* the same for any number of rows */
        GATELET_UNROLL
        for (int v = 0; v < BYTES_VECTORS; v++) {
            v_store(sums + v * GATELET_VL, total[s][v] * v_load(scales + v * GATELET_VL));
        }
        GATELET_SETTLE(sums);
        float *const z = r->z + (size_t)s * r->z_stride;
        GATELET_UNROLL
        for (int v = 0; v < BYTES_VECTORS; v++) {
            const vfloat sum = v_load(sums + v * GATELET_VL);
            v_store(z + v * GATELET_VL, start == NULL ? sum : v_load(start + v * GATELET_VL) + sum);
        }
    }
}

/* All columns of some rows; `rows` is a constant where it is used. */
GATELET_INLINE void rows_of_bytes(const struct gatelet_matrix *w, int32_t first, int32_t tiles,
                                  struct gatelet_rows some, const int rows) {
    const size_t tile = (size_t)w->tile, before = (size_t)first * tile;
    const int8_t *from = w->bytes + before * (size_t)w->rows;
    const float *scales = w->scales + before;
    for (int32_t t = 0; t < tiles; t++, from += tile * (size_t)(w->rows - 1)) {
        for (int32_t column = 0; column < w->tile; column += BYTES_COLUMNS) {
            columns_of_bytes(w, from, scales, &some, rows);
            from += BYTES_COLUMNS;
            scales += BYTES_COLUMNS;
            some.z += BYTES_COLUMNS;
            some.start = gatelet_moved(some.start, BYTES_COLUMNS);
        }
    }
}

GATELET_KERNEL void gatelet_product_bytes(const struct gatelet_matrix *w, int32_t first,
                                          int32_t tiles, const struct gatelet_rows *rows) {
    int32_t row = 0;
    for (; BYTES_ROWS > 1 && row + BYTES_ROWS <= rows->count; row += BYTES_ROWS) {
        rows_of_bytes(w, first, tiles, gatelet_rows_from(rows, row), BYTES_ROWS);
    }
    for (; row < rows->count; row++) {
        rows_of_bytes(w, first, tiles, gatelet_rows_from(rows, row), 1);
    }
}
