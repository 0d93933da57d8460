/* The int16 product: 16-bit weights, activations of 14 bits with a scale a row, float sums.
 *
 * Not the int8 product, whose sums are integers. Two products of 16 and 15 bits fit a sum of 32,
 * and no more do: each two are added as integers, then as floats, with which all processors agree
 * but for the rounding of sums.
 */
#include "product_int16.h"

#define GATELET_HAS_INT16 /* to product.c */

#include "product_block.h"
#include "rounding.h"

#if defined(__ARM_NEON)
#include <arm_neon.h>
#endif

/* Vectors of sums at once: a tile of 64 columns where registers allow, or 16 columns. */
enum {
    INT16_MANY = GATELET_LARGEST_TILE / GATELET_VL < 8 ? GATELET_LARGEST_TILE / GATELET_VL : 8,
    INT16_FEW = GATELET_LANES / GATELET_VL < 8 ? GATELET_LANES / GATELET_VL : 8
};

/* For each column its two weights, next to each other, times the two activations q. */
GATELET_INLINE vfloat v_of_pairs(const int16_t *from, const int16_t *q) {
    int32_t two;
    memcpy(&two, q, sizeof two);
#if defined(GATELET_X86) && defined(__AVX512BW__) && GATELET_VL == 16
    const __m512i pairs = _mm512_loadu_si512(from);
    return (vfloat)_mm512_cvtepi32_ps(_mm512_madd_epi16(pairs, _mm512_set1_epi32(two)));
#elif defined(__AVX2__) && GATELET_VL == 8
    const __m256i pairs = _mm256_loadu_si256((const __m256i *)(const void *)from);
    return (vfloat)_mm256_cvtepi32_ps(_mm256_madd_epi16(pairs, _mm256_set1_epi32(two)));
#elif defined(GATELET_X86) && GATELET_VL == 4
    const __m128i pairs = _mm_loadu_si128((const __m128i *)(const void *)from);
    return (vfloat)_mm_cvtepi32_ps(_mm_madd_epi16(pairs, _mm_set1_epi32(two)));
#elif defined(__ARM_NEON) && GATELET_VL == 4
    const int16x4x2_t pairs = vld2_s16(from);
    return (vfloat)vcvtq_f32_s32(vmlal_n_s16(vmull_n_s16(pairs.val[0], q[0]), pairs.val[1], q[1]));
#else
    float lanes[GATELET_VL];
    (void)two;
    for (int lane = 0; lane < GATELET_VL; lane++) {
        lanes[lane] = (float)((int32_t)from[2 * lane] * q[0] + (int32_t)from[2 * lane + 1] * q[1]);
    }
    return v_load(lanes);
#endif
}

/* Some columns of one tile and one chunk of K. */
struct pairs {
    const int16_t *w;
    const float *scales, *start;
    float *z;
    int32_t tile, count;
};

/* z = start + q W for `vectors` of columns, a constant where it is used. */
GATELET_INLINE void columns_int16(const struct pairs *p, const int16_t *q, float scale,
                                  int32_t column, const int vectors) {
    const int16_t *w = p->w + 2 * column;
    vfloat total[GATELET_MANY];
    GATELET_UNROLL
    for (int v = 0; v < vectors; v++) {
        total[v] = v_splat(0.0f);
    }
    for (int32_t k = 0; k < p->count; k++, w += 2 * p->tile) {
        GATELET_UNROLL
        for (int v = 0; v < vectors; v++) {
            total[v] += v_of_pairs(w + 2 * v * GATELET_VL, q + 2 * k);
        }
    }
    GATELET_UNROLL
    for (int v = 0; v < vectors; v++) {
        const int32_t at = column + v * GATELET_VL;
        const vfloat sum = total[v] * (scale * v_load(p->scales + at));
        v_store(p->z + at, p->start == NULL ? sum : v_load(p->start + at) + sum);
    }
}

static void tile_int16(const struct pairs *p, const int16_t *q, float scale) {
    const int32_t many = INT16_MANY * GATELET_VL, few = INT16_FEW * GATELET_VL;
    if (p->tile % many == 0) {
        for (int32_t column = 0; column < p->tile; column += many) {
            columns_int16(p, q, scale, column, INT16_MANY);
        }
        return;
    }
    for (int32_t column = 0; column < p->tile; column += few) {
        columns_int16(p, q, scale, column, INT16_FEW);
    }
}

/* One row. */
static void row_int16(const struct gatelet_matrix *w, int32_t first, int32_t tiles,
                      const struct gatelet_rows *row) {
    int16_t q[GATELET_INT8_CHUNK];
    const struct gatelet_scale by = gatelet_scale_of(row->x, w->rows, w->limit);
    const size_t tile = (size_t)w->tile, padded = (size_t)(w->rows + 1) / 2 * 2;
    for (int32_t from = 0; from < w->rows; from += GATELET_INT8_CHUNK) {
        const int32_t left = w->rows - from;
        const int32_t n = left < GATELET_INT8_CHUNK ? left : GATELET_INT8_CHUNK;
        gatelet_round_row(row->x + from, n, by.inverse, q);
        for (size_t t = 0; t < (size_t)tiles; t++) {
            const size_t at = (size_t)first + t;
            struct pairs p = {w->words + (at * padded + (size_t)from) * tile,
                              w->scales + at * tile,
                              gatelet_moved(row->start, t * tile),
                              row->z + t * tile,
                              w->tile,
                              (n + 1) / 2};
            if (from > 0) { /* the chunks before are in z */
                p.start = p.z;
            }
            tile_int16(&p, q, by.scale);
        }
    }
}

GATELET_KERNEL void gatelet_product_int16(const struct gatelet_matrix *w, int32_t first,
                                          int32_t tiles, const struct gatelet_rows *rows) {
    for (int32_t row = 0; row < rows->count; row++) {
        const struct gatelet_rows rest = gatelet_rows_from(rows, row);
        row_int16(w, first, tiles, &rest);
    }
}
