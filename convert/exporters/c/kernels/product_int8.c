/* The int8 product: 8-bit weights, activations of 14 bits with a scale a row, sums of 32 bits.
 *
 * Not quantization of weights, which is done at conversion. Every path sums the same integers. An
 * activation q is 128 high + low with unsigned low for VNNI, which multiplies unsigned by signed
 * bytes; AVX2 and SSE4.1 multiply 16 by 16 bits.
 */
#include "product_int8.h"

#define GATELET_HAS_INT8 /* to product.c */

#include "product_block.h"
#include "rounding.h"
#include "sums.h"
#include "vector.h"

#if !defined(GATELET_PLAIN) && defined(__GNUC__) && defined(__SSE4_1__)
#include <immintrin.h>
#if defined(__AVX512VNNI__) && defined(__AVX512BW__)
#define GATELET_INT8_VNNI
#elif defined(__AVX2__)
#define GATELET_INT8_AVX2
#else
#define GATELET_INT8_SSE41
#endif
#endif

#if !defined(GATELET_PLAIN) && defined(__aarch64__) && defined(__ARM_FEATURE_DOTPROD)
#include <arm_neon.h>
#define GATELET_DOT_PRODUCT
#endif

#if !defined(GATELET_PLAIN) && defined(__wasm_simd128__)
#include <wasm_simd128.h>
#endif

/* Rows that are rounded, and then multiplied, together. */
#if defined(GATELET_INT8_VNNI)
#define GATELET_INT8_ROWS 4
#else
#define GATELET_INT8_ROWS 1
#endif

/* A row's integers; for VNNI high has 128 added to it. */
struct rounded {
    struct gatelet_scale by;
#if defined(GATELET_INT8_VNNI)
    uint8_t high[GATELET_INT8_CHUNK], low[GATELET_INT8_CHUNK];
#else
    int16_t q[GATELET_INNER];
#endif
};

/* Some columns of one tile and one chunk of K, for some rows: z = start + q W. */
struct part {
    const int8_t *w;
    const int16_t *sums;
    const float *scales;
    int32_t tile, fours, limit;
    const float *start;
    float *z;
    size_t start_stride, z_stride;
};

#if defined(GATELET_INT8_VNNI)

/* As gatelet_round_row, zeros up to a multiple of 16. */
static void round_row(const float *x, int32_t n, int32_t limit, struct rounded *r) {
    const __m512 inverse = _mm512_set1_ps(r->by.inverse);
    for (int32_t k = 0; k < n; k += 16) {
        const __mmask16 some = (__mmask16)(n - k < 16 ? (1u << (n - k)) - 1u : 0xffffu);
        const __m512 value = _mm512_mul_ps(_mm512_maskz_loadu_ps(some, x + k), inverse);
        const __m512i q = _mm512_cvtps_epi32(value);
        const __m512i above = limit <= 127 ? q : _mm512_srai_epi32(q, 7);
        const __m512i shifted = _mm512_add_epi32(above, _mm512_set1_epi32(128));
        const __m512i below = _mm512_and_si512(q, _mm512_set1_epi32(127));
        _mm_storeu_si128((__m128i *)(void *)(r->high + k), _mm512_cvtepi32_epi8(shifted));
        _mm_storeu_si128((__m128i *)(void *)(r->low + k), _mm512_cvtepi32_epi8(below));
    }
}

/* 16 columns a vector; `single` where high is all there is. */
GATELET_INLINE void columns_int8(const struct part *p, const struct rounded *r, const int rows,
                                 const int vectors, const int single) {
    __m512i a[GATELET_INT8_ROWS][4], b[GATELET_INT8_ROWS][4];
    for (int s = 0; s < rows; s++) {
        for (int v = 0; v < vectors; v++) {
            a[s][v] = _mm512_setzero_si512();
            b[s][v] = _mm512_setzero_si512();
        }
    }
    for (int32_t k = 0; k < p->fours; k++) {
        const int8_t *from = p->w + (size_t)k * (size_t)p->tile * 4;
        __m512i weights[4];
        for (int v = 0; v < vectors; v++) {
            weights[v] = _mm512_loadu_si512(from + 64 * v);
        }
        for (int s = 0; s < rows; s++) {
            int32_t high, low;
            memcpy(&high, r[s].high + 4 * k, 4);
            memcpy(&low, r[s].low + 4 * k, 4);
            for (int v = 0; v < vectors; v++) {
                a[s][v] = _mm512_dpbusd_epi32(a[s][v], _mm512_set1_epi32(high), weights[v]);
                if (!single) {
                    b[s][v] = _mm512_dpbusd_epi32(b[s][v], _mm512_set1_epi32(low), weights[v]);
                }
            }
        }
    }
    for (int v = 0; v < vectors; v++) {
        /* high is 128 too large, for every weight */
        const __m512i sums = _mm512_cvtepi16_epi32(
            _mm256_loadu_si256((const __m256i *)(const void *)(p->sums + 16 * v)));
        const __m512i offset = _mm512_slli_epi32(sums, single ? 7 : 14);
        const __m512 scales = _mm512_loadu_ps(p->scales + 16 * v);
        for (int s = 0; s < rows; s++) {
            __m512i sum = a[s][v];
            if (!single) {
                sum = _mm512_add_epi32(_mm512_slli_epi32(sum, 7), b[s][v]);
            }
            __m512 value = _mm512_cvtepi32_ps(_mm512_sub_epi32(sum, offset));
            __m512 z = _mm512_setzero_ps(), scale = _mm512_set1_ps(r[s].by.scale);
            if (p->start != NULL) {
                z = _mm512_loadu_ps(p->start + (size_t)s * p->start_stride + 16 * v);
            }
            z = _mm512_fmadd_ps(value, _mm512_mul_ps(scales, scale), z);
            _mm512_storeu_ps(p->z + (size_t)s * p->z_stride + 16 * v, z);
        }
    }
}

#define GATELET_INT8_COLUMNS(vectors)                                            \
    if (p->limit <= 127 && rows == GATELET_INT8_ROWS) {                          \
        columns_int8(p, r, GATELET_INT8_ROWS, (vectors), 1);                     \
    } else if (p->limit <= 127) {                                                \
        columns_int8(p, r, 1, (vectors), 1);                                     \
    } else if (rows == GATELET_INT8_ROWS) {                                      \
        struct part second = *p;                                                 \
        second.z += 2 * p->z_stride;                                             \
        second.start = p->start != NULL ? p->start + 2 * p->start_stride : NULL; \
        columns_int8(p, r, 2, (vectors), 0);                                     \
        columns_int8(&second, r + 2, 2, (vectors), 0);                           \
    } else {                                                                     \
        columns_int8(p, r, 1, (vectors), 0);                                     \
    }

/* One tile of one row, or of GATELET_INT8_ROWS. */
static void tile_int8(const struct part *p, const struct rounded *r, int32_t rows) {
    switch (p->tile / 16) {
    case 1: GATELET_INT8_COLUMNS(1) break;
    case 2: GATELET_INT8_COLUMNS(2) break;
    case 3: GATELET_INT8_COLUMNS(3) break;
    default: GATELET_INT8_COLUMNS(4)
    }
}

#else

static void round_row(const float *x, int32_t n, int32_t limit, struct rounded *r) {
    (void)limit;
    gatelet_round_row(x, n, r->by.inverse, r->q);
    gatelet_order_fours(r->q, n);
}

#if defined(GATELET_INT8_AVX2)

GATELET_INLINE void columns_int8(const struct part *p, const int16_t *q, int32_t *total) {
    for (int32_t column = 0; column < p->tile; column += 16) {
        __m256i sums[4];
        for (int v = 0; v < 4; v++) {
            sums[v] = _mm256_setzero_si256();
        }
        for (int32_t k = 0; k < p->fours; k++) {
            int64_t four;
            memcpy(&four, q + 4 * k, 8);
            const __m256i x = _mm256_set1_epi64x(four);
            const int8_t *from = p->w + ((size_t)k * (size_t)p->tile + (size_t)column) * 4;
            for (int v = 0; v < 4; v++) {
                __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)(from + 16 * v));
                __m256i weights = _mm256_cvtepi8_epi16(bytes);
                sums[v] = _mm256_add_epi32(sums[v], _mm256_madd_epi16(weights, x));
            }
        }
        for (int v = 0; v < 4; v += 2) { /* two neighbours make a column */
            const __m256i pairs = _mm256_hadd_epi32(sums[v], sums[v + 1]);
            _mm256_storeu_si256((__m256i *)(void *)(total + column + 4 * v),
                                _mm256_permute4x64_epi64(pairs, 0xd8));
        }
    }
}

#elif defined(GATELET_INT8_SSE41)

GATELET_INLINE void columns_int8(const struct part *p, const int16_t *q, int32_t *total) {
    for (int32_t column = 0; column < p->tile; column += 8) {
        __m128i sums[4];
        for (int v = 0; v < 4; v++) {
            sums[v] = _mm_setzero_si128();
        }
        for (int32_t k = 0; k < p->fours; k++) {
            int64_t four;
            memcpy(&four, q + 4 * k, 8);
            const __m128i x = _mm_set1_epi64x(four);
            const int8_t *from = p->w + ((size_t)k * (size_t)p->tile + (size_t)column) * 4;
            for (int v = 0; v < 4; v++) {
                __m128i bytes = _mm_loadl_epi64((const __m128i *)(const void *)(from + 8 * v));
                __m128i weights = _mm_cvtepi8_epi16(bytes);
                sums[v] = _mm_add_epi32(sums[v], _mm_madd_epi16(weights, x));
            }
        }
        for (int v = 0; v < 4; v += 2) {
            _mm_storeu_si128((__m128i *)(void *)(total + column + 2 * v),
                             _mm_hadd_epi32(sums[v], sums[v + 1]));
        }
    }
}

#elif defined(GATELET_DOT_PRODUCT)

/* Of four columns a vector; `lane` has the four numbers, `twice` says whether high counts. */
#define GATELET_DOT_PRODUCTS(lane, twice)                             \
    for (int v = 0; v < 4; v++) {                                     \
        const int8x16_t weights = vld1q_s8(w + lane * next + 16 * v); \
        b[v] = vdotq_laneq_s32(b[v], weights, below, lane);           \
        if (twice) {                                                  \
            a[v] = vdotq_laneq_s32(a[v], weights, above, lane);       \
        }                                                             \
    }

/* q is 128 high + low, of which each is a byte: two dot products of four, of four columns each. A
 * matrix product of bytes (i8mm) would take as many instructions, and weights in another order. */
GATELET_INLINE void columns_int8(const struct part *p, const int16_t *q, int32_t *total) {
    int8_t high[GATELET_INNER], low[GATELET_INNER];
    const int is_single = p->limit <= 127; /* low is all there is */
    const size_t next = (size_t)p->tile * 4;
    for (int32_t k = 0; k < 4 * p->fours; k += 8) {
        const int16x8_t both = vld1q_s16(q + k);
        const int16x8_t below = is_single ? both : vandq_s16(both, vdupq_n_s16(127));
        vst1_s8(high + k, vshrn_n_s16(both, 7));
        vst1_s8(low + k, vmovn_s16(below));
    }
    for (int32_t column = 0; column < p->tile; column += 16) {
        const int8_t *w = p->w + 4 * column;
        int32x4_t a[4], b[4];
        for (int v = 0; v < 4; v++) {
            a[v] = b[v] = vdupq_n_s32(0);
        }
        int32_t k = 0;
        for (; k + 16 <= 4 * p->fours; k += 16, w += 4 * next) {
            const int8x16_t below = vld1q_s8(low + k), above = vld1q_s8(high + k);
            if (is_single) {
                GATELET_DOT_PRODUCTS(0, 0)
                GATELET_DOT_PRODUCTS(1, 0)
                GATELET_DOT_PRODUCTS(2, 0)
                GATELET_DOT_PRODUCTS(3, 0)
            } else {
                GATELET_DOT_PRODUCTS(0, 1)
                GATELET_DOT_PRODUCTS(1, 1)
                GATELET_DOT_PRODUCTS(2, 1)
                GATELET_DOT_PRODUCTS(3, 1)
            }
        }
        for (; k < 4 * p->fours; k += 4, w += next) {
            int32_t four;
            memcpy(&four, low + k, 4);
            const int8x16_t below = vreinterpretq_s8_s32(vdupq_n_s32(four));
            memcpy(&four, high + k, 4);
            const int8x16_t above = vreinterpretq_s8_s32(vdupq_n_s32(four));
            if (is_single) {
                GATELET_DOT_PRODUCTS(0, 0)
            } else {
                GATELET_DOT_PRODUCTS(0, 1)
            }
        }
        for (int v = 0; v < 4; v++) {
            vst1q_s32(total + column + 4 * v, vaddq_s32(vshlq_n_s32(a[v], 7), b[v]));
        }
    }
}

#elif defined(GATELET_SUMS_DSP)

/* Tiles of other widths than 64 are those of small layers. */
GATELET_INLINE void sixteen_columns(const struct part *p, const int16_t *q, int32_t first,
                                    int32_t *total) {
    if (p->tile == 64) {
        gatelet_sums_of_16(p->w + 4 * first, q, p->fours, total);
        return;
    }
    for (int32_t column = 0; column < 16; column++) {
        const int8_t *w = p->w + 4 * (first + column);
        int32_t sum = 0;
        for (int32_t k = 0; k < p->fours; k++, w += 4 * p->tile) {
            const int16_t *x = q + 4 * k; /* as gatelet_order_fours leaves them */
            sum += w[0] * x[0] + w[1] * x[2] + w[2] * x[1] + w[3] * x[3];
        }
        total[column] = sum;
    }
}

#elif defined(GATELET_SUMS_MVE)

GATELET_INLINE void sixteen_columns(const struct part *p, const int16_t *q, int32_t first,
                                    int32_t *total) {
    gatelet_sums_of_16(p->w + 4 * first, q, 4 * p->fours, total, 4 * p->tile);
}

#elif !defined(GATELET_PLAIN) && defined(__wasm_simd128__)

/* Sixteen columns at a time: bytes become pairs of 16 bits, of which a dot product adds two. */
GATELET_INLINE void columns_int8(const struct part *p, const int16_t *q, int32_t *total) {
    const size_t next = (size_t)p->tile * 4;
    for (int32_t column = 0; column < p->tile; column += 16) {
        const int8_t *w = p->w + 4 * column;
        v128_t halves[8];
        for (int i = 0; i < 8; i++) {
            halves[i] = wasm_i32x4_const_splat(0);
        }
        for (int32_t k = 0; k < p->fours; k++, w += next) {
            const v128_t x = wasm_v128_load64_splat(q + 4 * k);
            for (int i = 0; i < 4; i++) {
                const v128_t bytes = wasm_v128_load(w + 16 * i);
                const v128_t low = wasm_i16x8_extend_low_i8x16(bytes);
                const v128_t high = wasm_i16x8_extend_high_i8x16(bytes);
                halves[2 * i] = wasm_i32x4_add(halves[2 * i], wasm_i32x4_dot_i16x8(low, x));
                halves[2 * i + 1] =
                    wasm_i32x4_add(halves[2 * i + 1], wasm_i32x4_dot_i16x8(high, x));
            }
        }
        for (int i = 0; i < 4; i++) { /* two neighbours make a column */
            const v128_t a = halves[2 * i], b = halves[2 * i + 1];
            const v128_t even = wasm_i32x4_shuffle(a, b, 0, 2, 4, 6);
            const v128_t odd = wasm_i32x4_shuffle(a, b, 1, 3, 5, 7);
            wasm_v128_store(total + column + 4 * i, wasm_i32x4_add(even, odd));
        }
    }
}

#else

GATELET_INLINE void columns_int8(const struct part *p, const int16_t *q, int32_t *total) {
    memset(total, 0, (size_t)p->tile * sizeof *total);
    for (int32_t k = 0; k < p->fours; k++) {
        const int32_t x0 = q[4 * k], x1 = q[4 * k + 1], x2 = q[4 * k + 2], x3 = q[4 * k + 3];
        const int8_t *row = p->w + (size_t)k * (size_t)p->tile * 4;
        for (int32_t column = 0; column < p->tile; column++) {
            const int8_t *four = row + 4 * column;
            total[column] += four[0] * x0 + four[1] * x1 + four[2] * x2 + four[3] * x3;
        }
    }
}

#endif

#if defined(GATELET_SUMS)

/* One tile of one row, sixteen columns at a time: the sums take less memory. */
static void tile_int8(const struct part *p, const struct rounded *r, int32_t rows) {
    (void)rows;
    for (int32_t first = 0; first < p->tile; first += 16) {
        int32_t total[16];
        const float *scales = p->scales + first, *start = p->start;
        float *z = p->z + first;
        sixteen_columns(p, r->q, first, total);
        if (start == NULL) {
            memset(z, 0, sizeof total);
            start = p->z;
        }
        start += first;
#if defined(GATELET_HELIUM)
        for (int32_t i = 0; i < 16; i += 4) {
            const float32x4_t by = vmulq_n_f32(vldrwq_f32(scales + i), r->by.scale);
            const float32x4_t sums = vcvtq_f32_s32(vldrwq_s32(total + i));
            vstrwq_f32(z + i, vfmaq_f32(vldrwq_f32(start + i), sums, by));
        }
#else
        GATELET_UNROLL_SOME
        for (int32_t i = 0; i < 16; i++) {
            z[i] = start[i] + (float)total[i] * (r->by.scale * scales[i]);
        }
#endif
    }
}

#else

/* One tile of one row. */
static void tile_int8(const struct part *p, const struct rounded *r, int32_t rows) {
    int32_t total[GATELET_LARGEST_TILE];
    (void)rows;
    columns_int8(p, r->q, total);
#if defined(GATELET_DOT_PRODUCT)
    for (int32_t i = 0; i < p->tile; i += 4) {
        const float32x4_t start = p->start != NULL ? vld1q_f32(p->start + i) : vdupq_n_f32(0.0f);
        const float32x4_t by = vmulq_n_f32(vld1q_f32(p->scales + i), r->by.scale);
        vst1q_f32(p->z + i, vfmaq_f32(start, vcvtq_f32_s32(vld1q_s32(total + i)), by));
    }
#else
    for (int32_t i = 0; i < p->tile; i++) {
        const float start = p->start != NULL ? p->start[i] : 0.0f;
        p->z[i] = start + (float)total[i] * (r->by.scale * p->scales[i]);
    }
#endif
}

#endif

#endif

/* Weights of 4 bits, of one tile and one chunk of K, as those of 8. */
static void unpack(const uint8_t *from, size_t numbers, int8_t *to) {
    for (size_t at = 0; at < numbers; at += GATELET_NIBBLES, from += GATELET_NIBBLES / 2) {
        for (int i = 0; i < GATELET_NIBBLES / 2; i++) {
            to[at + (size_t)i] = (int8_t)((from[i] & 15) - GATELET_NIBBLE_ZERO);
            to[at + GATELET_NIBBLES / 2 + (size_t)i] =
                (int8_t)((from[i] >> 4) - GATELET_NIBBLE_ZERO);
        }
    }
}

/* Not inline: what has no such weights needs no room for them. */
GATELET_APART static void tile_int4(const struct part *p, const uint8_t *nibbles,
                                    const struct rounded *r, int32_t rows) {
    int8_t w[GATELET_INT8_CHUNK * GATELET_LARGEST_TILE];
    struct part whole = *p;
    unpack(nibbles, (size_t)p->fours * (size_t)p->tile * 4, w);
    whole.w = w;
    tile_int8(&whole, r, rows);
}

/* One chunk of K, from `from` on, of some rows. */
static void chunk_int8(const struct gatelet_matrix *w, int32_t first, int32_t tiles, int32_t from,
                       const struct gatelet_rows *rows, struct rounded *r) {
    const int32_t left = w->rows - from;
    const int32_t n = left < GATELET_INT8_CHUNK ? left : GATELET_INT8_CHUNK;
    const size_t tile = (size_t)w->tile, padded = (size_t)(w->rows + 3) / 4 * 4;
    const size_t sums = (size_t)(from / GATELET_INT8_CHUNK) * (size_t)w->tiles * tile;
    for (int32_t s = 0; s < rows->count; s++) {
        round_row(rows->x + (size_t)s * rows->x_stride + from, n, w->limit, r + s);
    }
    for (size_t t = 0; t < (size_t)tiles; t++) {
        const size_t at = (size_t)first + t;
        const size_t before = (at * padded + (size_t)from) * tile;
        struct part p = {w->values != NULL ? w->values + before : NULL,
                         w->sums + sums + at * tile,
                         w->scales + at * tile,
                         w->tile,
                         (n + 3) / 4,
                         w->limit,
                         rows->start != NULL ? rows->start + t * tile : NULL,
                         rows->z + t * tile,
                         rows->start_stride,
                         rows->z_stride};
        if (from > 0) { /* the chunks before are in z */
            p.start = p.z;
            p.start_stride = p.z_stride;
        }
        if (w->values != NULL) {
            tile_int8(&p, r, rows->count);
        } else {
            tile_int4(&p, w->nibbles + before / 2, r, rows->count);
        }
    }
}

GATELET_KERNEL void gatelet_product_int8(const struct gatelet_matrix *w, int32_t first,
                                         int32_t tiles, const struct gatelet_rows *rows) {
    struct rounded r[GATELET_INT8_ROWS];
    for (int32_t row = 0; row < rows->count;) {
        struct gatelet_rows some = *rows;
        const size_t at = (size_t)row;
        some.count = rows->count - row < GATELET_INT8_ROWS ? 1 : GATELET_INT8_ROWS;
        some.x += at * rows->x_stride;
        some.z += at * rows->z_stride;
        some.start = rows->start != NULL ? rows->start + at * rows->start_stride : NULL;
        for (int32_t s = 0; s < some.count; s++) {
            const float *x = some.x + (size_t)s * rows->x_stride;
            r[s].by = gatelet_scale_of(x, w->rows, w->limit);
        }
        for (int32_t from = 0; from < w->rows || from == 0; from += GATELET_INT8_CHUNK) {
            chunk_int8(w, first, tiles, from, &some, r);
        }
        row += some.count;
    }
}
