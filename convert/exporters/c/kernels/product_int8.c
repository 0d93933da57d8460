/* The int8 product: 8-bit weights, activations of 14 bits with a scale a row, sums of 32 bits.
 *
 * Not quantization of weights, which is done at conversion. Every path sums the same integers, so
 * all give the same result. An activation q is 128 hi + lo with unsigned lo for VNNI, which
 * multiplies unsigned by signed bytes; AVX2 and SSE4.1 multiply 16 by 16 bits.
 */
#include "product_int8.h"

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

#define GATELET_MAX_TILE 64

/* The scale that lets a row's largest magnitude be `limit`; NaN where a number is not finite. */
static float scale_of_row(const float *x, int32_t n, int32_t limit) {
    vfloat largest = v_splat(0.0f), bad = v_splat(0.0f);
    int32_t i = 0;
    for (; i + GATELET_VL <= n; i += GATELET_VL) {
        vfloat value = v_load(x + i), a = v_abs(value);
        largest = v_select(a > largest, a, largest);
        bad += value * 0.0f;
    }
    if (i < n) {
        vfloat value = v_load_some(x + i, n - i), a = v_abs(value);
        largest = v_select(a > largest, a, largest);
        bad += value * 0.0f;
    }
    float lanes[2][GATELET_VL], most = 0.0f, not_finite = 0.0f;
    v_store(lanes[0], largest);
    v_store(lanes[1], bad);
    for (int lane = 0; lane < GATELET_VL; lane++) {
        most = lanes[0][lane] > most ? lanes[0][lane] : most;
        not_finite += lanes[1][lane];
    }
    return most / (float)limit + not_finite;
}

/* A row's integers; for VNNI as 128 high + low, with 128 added to high. */
struct rounded {
    int16_t q[GATELET_INT8_CHUNK];
#if defined(GATELET_INT8_VNNI)
    uint8_t high[GATELET_INT8_CHUNK], low[GATELET_INT8_CHUNK];
#endif
};

/* q[i] = x[i] / scale, rounded to even; n <= GATELET_INT8_CHUNK, zeros up to a multiple of 64. */
static void round_row(const float *x, int32_t n, float inverse, int16_t *q) {
    const float rounder = 12582912.0f;
    for (int32_t i = 0; i < n; i++) {
        float value = x[i] * inverse + rounder;
        int32_t bits;
        memcpy(&bits, &value, sizeof bits);
        q[i] = (int16_t)(uint16_t)((uint32_t)bits & 0xffffu);
    }
    memset(q + n, 0, (size_t)((64 - n % 64) % 64) * sizeof *q);
}

#if defined(GATELET_INT8_VNNI)

static void split_row(struct rounded *r, int32_t n, int32_t limit) {
    for (int32_t k = 0; k < n; k += 32) {
        __m512i v = _mm512_loadu_si512(r->q + k);
        __m512i above = limit <= 127 ? v : _mm512_srai_epi16(v, 7);
        __m512i shifted = _mm512_add_epi16(above, _mm512_set1_epi16(128));
        __m512i below = _mm512_and_si512(v, _mm512_set1_epi16(127));
        _mm256_storeu_si256((__m256i *)(void *)(r->high + k), _mm512_cvtepi16_epi8(shifted));
        _mm256_storeu_si256((__m256i *)(void *)(r->low + k), _mm512_cvtepi16_epi8(below));
    }
}

/* total[column] += sum over k, for 16 columns a vector. */
GATELET_INLINE void columns_int8(const int8_t *w, int32_t tile, const int32_t *sums,
                                 const struct rounded *r, int32_t fours, const int single,
                                 int32_t *total, const int vectors) {
    __m512i a[4], b[4];
    for (int v = 0; v < vectors; v++) {
        a[v] = _mm512_setzero_si512();
        b[v] = _mm512_setzero_si512();
    }
    for (int32_t k = 0; k < fours; k++) {
        int32_t four_high, four_low;
        memcpy(&four_high, r->high + 4 * k, 4);
        memcpy(&four_low, r->low + 4 * k, 4);
        for (int v = 0; v < vectors; v++) {
            __m512i weights = _mm512_loadu_si512(w + ((size_t)k * (size_t)tile + 16 * v) * 4);
            a[v] = _mm512_dpbusd_epi32(a[v], _mm512_set1_epi32(four_high), weights);
            if (!single) {
                b[v] = _mm512_dpbusd_epi32(b[v], _mm512_set1_epi32(four_low), weights);
            }
        }
    }
    for (int v = 0; v < vectors; v++) {
        /* high is 128 too large, for every weight */
        __m512i offset = _mm512_slli_epi32(_mm512_loadu_si512(sums + 16 * v), 7);
        a[v] = _mm512_sub_epi32(a[v], offset);
        __m512i sum = single ? a[v] : _mm512_add_epi32(_mm512_slli_epi32(a[v], 7), b[v]);
        __m512i before = _mm512_loadu_si512(total + 16 * v);
        _mm512_storeu_si512(total + 16 * v, _mm512_add_epi32(before, sum));
    }
}

#elif defined(GATELET_INT8_AVX2)

GATELET_INLINE void columns_int8(const int8_t *w, int32_t tile, const int16_t *q, int32_t fours,
                                 int32_t *total) {
    for (int32_t column = 0; column < tile; column += 16) {
        __m256i sums[4];
        for (int v = 0; v < 4; v++) {
            sums[v] = _mm256_setzero_si256();
        }
        for (int32_t k = 0; k < fours; k++) {
            int64_t four;
            memcpy(&four, q + 4 * k, 8);
            const __m256i x = _mm256_set1_epi64x(four);
            const int8_t *from = w + ((size_t)k * (size_t)tile + (size_t)column) * 4;
            for (int v = 0; v < 4; v++) {
                __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)(from + 16 * v));
                __m256i weights = _mm256_cvtepi8_epi16(bytes);
                sums[v] = _mm256_add_epi32(sums[v], _mm256_madd_epi16(weights, x));
            }
        }
        int32_t pairs[32];
        for (int v = 0; v < 4; v++) {
            _mm256_storeu_si256((__m256i *)(void *)(pairs + 8 * v), sums[v]);
        }
        for (int i = 0; i < 16; i++) {
            total[column + i] += pairs[2 * i] + pairs[2 * i + 1];
        }
    }
}

#elif defined(GATELET_INT8_SSE41)

GATELET_INLINE void columns_int8(const int8_t *w, int32_t tile, const int16_t *q, int32_t fours,
                                 int32_t *total) {
    for (int32_t column = 0; column < tile; column += 8) {
        __m128i sums[4];
        for (int v = 0; v < 4; v++) {
            sums[v] = _mm_setzero_si128();
        }
        for (int32_t k = 0; k < fours; k++) {
            int64_t four;
            memcpy(&four, q + 4 * k, 8);
            const __m128i x = _mm_set1_epi64x(four);
            const int8_t *from = w + ((size_t)k * (size_t)tile + (size_t)column) * 4;
            for (int v = 0; v < 4; v++) {
                __m128i bytes = _mm_loadl_epi64((const __m128i *)(const void *)(from + 8 * v));
                __m128i weights = _mm_cvtepi8_epi16(bytes);
                sums[v] = _mm_add_epi32(sums[v], _mm_madd_epi16(weights, x));
            }
        }
        int32_t pairs[16];
        for (int v = 0; v < 4; v++) {
            _mm_storeu_si128((__m128i *)(void *)(pairs + 4 * v), sums[v]);
        }
        for (int i = 0; i < 8; i++) {
            total[column + i] += pairs[2 * i] + pairs[2 * i + 1];
        }
    }
}

#else

GATELET_INLINE void columns_int8(const int8_t *w, int32_t tile, const int16_t *q, int32_t fours,
                                 int32_t *total) {
    for (int32_t k = 0; k < fours; k++) {
        const int32_t x0 = q[4 * k], x1 = q[4 * k + 1], x2 = q[4 * k + 2], x3 = q[4 * k + 3];
        const int8_t *row = w + (size_t)k * (size_t)tile * 4;
        for (int32_t column = 0; column < tile; column++) {
            const int8_t *four = row + 4 * column;
            total[column] += four[0] * x0 + four[1] * x1 + four[2] * x2 + four[3] * x3;
        }
    }
}

#endif

/* total += q W for one tile and one chunk, of which `sums` are the sums of the columns. */
static void tile_int8(const int8_t *w, int32_t tile, const int32_t *sums, const struct rounded *r,
                      int32_t fours, int32_t limit, int32_t *total) {
#if defined(GATELET_INT8_VNNI)
    if (tile == 64 && limit <= 127) {
        columns_int8(w, tile, sums, r, fours, 1, total, 4);
    } else if (tile == 64) {
        columns_int8(w, tile, sums, r, fours, 0, total, 4);
    } else if (tile == 48) {
        columns_int8(w, tile, sums, r, fours, limit <= 127, total, 3);
    } else if (tile == 32) {
        columns_int8(w, tile, sums, r, fours, limit <= 127, total, 2);
    } else {
        columns_int8(w, tile, sums, r, fours, limit <= 127, total, 1);
    }
#else
    (void)sums;
    (void)limit;
    columns_int8(w, tile, r->q, fours, total);
#endif
}

GATELET_KERNEL void gatelet_product_int8(const struct gatelet_matrix *w, int32_t first,
                                         int32_t tiles, const float *x, size_t x_stride,
                                         int32_t m, float *z, size_t z_stride) {
    const int32_t n = w->rows, tile = w->tile, fours = (n + 3) / 4;
    const size_t tile_bytes = (size_t)fours * (size_t)tile * 4;
    const size_t columns = (size_t)w->tiles * (size_t)tile;
    for (int32_t s = 0; s < m; s++) {
        const float *row = x + (size_t)s * x_stride;
        const float scale = scale_of_row(row, n, w->limit);
        const float inverse = scale > 0.0f ? 1.0f / scale : 0.0f;
        for (int32_t from = 0; from < n || from == 0; from += GATELET_INT8_CHUNK) {
            struct rounded r;
            const int32_t part = n - from < GATELET_INT8_CHUNK ? n - from : GATELET_INT8_CHUNK;
            const int32_t *sums = w->sums + (size_t)(from / GATELET_INT8_CHUNK) * columns;
            round_row(row + from, part, inverse, r.q);
#if defined(GATELET_INT8_VNNI)
            split_row(&r, (part + 31) / 32 * 32, w->limit);
#endif
            for (int32_t t = 0; t < tiles; t++) {
                const size_t column = (size_t)(first + t) * (size_t)tile;
                const int8_t *weights = w->values + (size_t)(first + t) * tile_bytes;
                float *to = z + (size_t)s * z_stride + (size_t)t * (size_t)tile;
                int32_t total[GATELET_MAX_TILE] = {0};
                tile_int8(weights + (size_t)from * (size_t)tile, tile, sums + column, &r,
                          (part + 3) / 4, w->limit, total);
                for (int32_t i = 0; i < tile; i++) {
                    to[i] += (float)total[i] * (scale * w->scales[column + (size_t)i]);
                }
            }
        }
    }
}
