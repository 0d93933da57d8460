/* Products, normalisations, reductions, and the operations that combine or rearrange values.
 *
 * Not recurrences, convolutions and masks, which have files of their own.
 */
#include "layers.h"

#include "elementary.h"

/* Rows ahead of the one that is read, and the first bytes of each, that are asked for: measured
 * with tables of 64 features (docs/decisions/0015-c-kernels.md). */
#define GATELET_ROWS_ASKED_FOR 8
#define GATELET_BYTES_ASKED_FOR 512
#define GATELET_CACHE_LINE 64

static size_t row_of(const struct gatelet_table *table, int32_t id) {
    int64_t row = id < 0 ? (int64_t)id + table->vocabulary : id;
    row = row < 0 ? 0 : row >= table->vocabulary ? table->vocabulary - 1 : row;
    return (size_t)row;
}

static size_t bytes_of_levels(const struct gatelet_table *table) {
    return ((size_t)table->features * (size_t)table->bits + 7) / 8;
}

/* The table is larger than the caches, and its rows come in no order: the first lines of one are
 * asked for some rows ahead. */
static void ask_for_row(const struct gatelet_table *table, int32_t id) {
    const size_t row = row_of(table, id), features = (size_t)table->features;
    const size_t bytes = table->floats != NULL  ? 4 * features
                         : table->bytes != NULL ? features
                                                : bytes_of_levels(table);
    const char *rows = table->floats != NULL  ? (const char *)table->floats
                       : table->bytes != NULL ? (const char *)table->bytes
                                              : (const char *)table->levels;
    for (size_t at = 0; at < bytes && at < GATELET_BYTES_ASKED_FOR; at += GATELET_CACHE_LINE) {
        GATELET_PREFETCH(rows + row * bytes + at);
    }
    if (table->floats == NULL) {
        GATELET_PREFETCH(table->codes + row);
    }
}

static void copy_floats(const float *from, size_t n, float *to) {
    const size_t whole = n / GATELET_VL * GATELET_VL;
    for (size_t i = 0; i < whole; i += GATELET_VL) {
        v_store(to + i, v_load(from + i));
    }
    for (size_t i = whole; i < n; i++) {
        to[i] = from[i];
    }
}

/* Levels of `bits`, a constant where it is used. */
GATELET_INLINE void put_levels(const uint8_t *from, size_t features, size_t bytes, float half,
                               const int bits, float *to) {
    const int highest = (1 << bits) - 1;
    for (int shift = 0; shift < 8; shift += bits) {
        const size_t left = features < bytes ? features : bytes;
        for (size_t k = 0; k < left; k++) {
            to[k] = (float)(2 * ((from[k] >> shift) & highest) - highest) * half;
        }
        to += left;
        features -= left;
    }
}

GATELET_KERNEL void gatelet_embedding(const struct gatelet_table *table, const int32_t *ids,
                                      size_t n, float *y) {
    const size_t features = (size_t)table->features, ahead = GATELET_ROWS_ASKED_FOR;
    for (size_t i = 0; i < n && i < ahead; i++) {
        ask_for_row(table, ids[i]);
    }
    for (size_t i = 0; i < n; i++) {
        const size_t row = row_of(table, ids[i]);
        float *to = y + i * features;
        if (i + ahead < n) {
            ask_for_row(table, ids[i + ahead]);
        }
        if (table->floats != NULL) {
            copy_floats(table->floats + row * features, features, to);
            continue;
        }
        const uint8_t code = table->codes[row];
        if (table->bytes != NULL) {
            const float scale = table->scales[code];
            const int8_t *from = table->bytes + row * features;
            for (size_t k = 0; k < features; k++) {
                to[k] = (float)from[k] * scale;
            }
            continue;
        }
        const size_t bytes = bytes_of_levels(table);
        const uint8_t *from = table->levels + row * bytes;
        const float half = 0.5f * table->scales[0] * (float)code;
        switch (table->bits) {
        case 1: put_levels(from, features, bytes, half, 1, to); break;
        case 2: put_levels(from, features, bytes, half, 2, to); break;
        default: put_levels(from, features, bytes, half, 4, to);
        }
    }
}

GATELET_KERNEL void gatelet_dense(const struct gatelet_matrix *w, const float *bias, const float *x,
                                  size_t m, int32_t units, float *y, float *work) {
    const size_t columns = (size_t)(w->tiles * w->tile), features = (size_t)w->rows;
    const size_t most = GATELET_DENSE_ROWS;
    if (columns == (size_t)units) {
        const struct gatelet_rows rows = {(int32_t)m, features, 0, columns, x, bias, y};
        gatelet_product(w, 0, w->tiles, &rows);
        return;
    }
    for (size_t row = 0; row < m; row += most) {
        const int32_t count = m - row < most ? (int32_t)(m - row) : GATELET_DENSE_ROWS;
        const float *from = x + row * features;
        const struct gatelet_rows rows = {count, features, 0, columns, from, bias, work};
        gatelet_product(w, 0, w->tiles, &rows);
        for (size_t i = 0; i < (size_t)count; i++) {
            memcpy(y + (row + i) * (size_t)units, work + i * columns,
                   (size_t)units * sizeof(float));
        }
    }
}

static float combined(int32_t operation, float a, float b) {
    switch (operation) {
    case GATELET_ADD: return a + b;
    case GATELET_MULTIPLY: return a * b;
    case GATELET_SUBTRACT: return a - b;
    case GATELET_MAXIMUM: return a != a || a >= b ? a : b;
    case GATELET_MINIMUM: return a != a || a <= b ? a : b;
    default: return a > 0.0f ? a : a * b;
    }
}

static size_t elements(const int32_t *shape, int32_t rank) {
    size_t n = 1;
    for (int32_t axis = 0; axis < rank; axis++) {
        n *= (size_t)shape[axis];
    }
    return n;
}

/* Advances an index over all axes but the last `skip`; the offsets follow by their strides. */
static void advance(int32_t *index, const int32_t *shape, int32_t axes, const size_t *a_strides,
                    const size_t *b_strides, size_t *a, size_t *b) {
    for (int32_t axis = axes - 1; axis >= 0; axis--) {
        *a += a_strides[axis];
        *b += b_strides[axis];
        if (++index[axis] < shape[axis]) {
            return;
        }
        *a -= a_strides[axis] * (size_t)shape[axis];
        *b -= b_strides[axis] * (size_t)shape[axis];
        index[axis] = 0;
    }
}

GATELET_KERNEL void gatelet_combine(int32_t operation, const float *a, const size_t *a_strides,
                                    const float *b, const size_t *b_strides, const int32_t *shape,
                                    int32_t rank, float *y) {
    int32_t index[GATELET_MAX_RANK] = {0};
    const size_t n = elements(shape, rank);
    const size_t inner = rank > 0 ? (size_t)shape[rank - 1] : 1;
    const size_t a_step = rank > 0 ? a_strides[rank - 1] : 0;
    const size_t b_step = rank > 0 ? b_strides[rank - 1] : 0;
    size_t a_at = 0, b_at = 0;
    for (size_t done = 0; done < n; done += inner) {
        for (size_t i = 0; i < inner; i++) {
            y[done + i] = combined(operation, a[a_at + i * a_step], b[b_at + i * b_step]);
        }
        advance(index, shape, rank - 1, a_strides, b_strides, &a_at, &b_at);
    }
}

GATELET_KERNEL void gatelet_combine_masks(int32_t operation, const uint8_t *a, const uint8_t *b,
                                          size_t n, uint8_t *y) {
    for (size_t i = 0; i < n; i++) {
        y[i] = (uint8_t)(operation == GATELET_AND ? a[i] & b[i] : a[i] | b[i]);
    }
}

GATELET_KERNEL void gatelet_divide(float *x, size_t n, float divisor) {
    for (size_t i = 0; i < n; i++) {
        x[i] /= divisor;
    }
}

/* What one number of a reduction is taken over: the offsets of its elements from `x`. */
struct lines {
    int32_t rank;
    int32_t shape[GATELET_MAX_RANK];
    size_t strides[GATELET_MAX_RANK];
};

static struct lines axes_of(const int32_t *shape, const uint8_t *reduced, int32_t rank,
                            uint8_t flag) {
    struct lines found = {0};
    for (int32_t axis = 0; axis < rank; axis++) {
        if ((reduced[axis] != 0) == flag) {
            found.shape[found.rank] = shape[axis];
            found.strides[found.rank++] = elements(shape + axis + 1, rank - axis - 1);
        }
    }
    return found;
}

/* The sum over one line of x, or of the squares of its distances from `centre`; or its maximum. */
static double over_line(int32_t reduction, const float *x, const struct lines *line,
                        double centre) {
    int32_t index[GATELET_MAX_RANK] = {0};
    size_t at = 0, unused = 0;
    const size_t n = elements(line->shape, line->rank);
    double total = 0.0;
    float largest = x[0];
    for (size_t i = 0; i < n; i++) {
        const float value = x[at];
        largest = largest != largest || largest >= value ? largest : value;
        const double away = (double)value - centre;
        total += reduction == GATELET_NORMALIZE ? away * away : (double)value;
        advance(index, line->shape, line->rank, line->strides, line->strides, &at, &unused);
    }
    return reduction == GATELET_MAX ? (double)largest : total;
}

static void standardize_line(const float *x, const struct lines *line, float epsilon, float *y) {
    int32_t index[GATELET_MAX_RANK] = {0};
    size_t at = 0, unused = 0;
    const size_t n = elements(line->shape, line->rank);
    const double mean = over_line(GATELET_MEAN, x, line, 0.0) / (double)n;
    const double variance = over_line(GATELET_NORMALIZE, x, line, mean) / (double)n;
    const float deviation = gatelet_sqrt((float)variance + epsilon);
    for (size_t i = 0; i < n; i++) {
        y[at] = (float)((double)x[at] - mean) / deviation;
        advance(index, line->shape, line->rank, line->strides, line->strides, &at, &unused);
    }
}

GATELET_KERNEL void gatelet_reduce(int32_t reduction, const float *x, const int32_t *shape,
                                   const uint8_t *reduced, int32_t rank, float epsilon, float *y) {
    const struct lines kept = axes_of(shape, reduced, rank, 0);
    const struct lines line = axes_of(shape, reduced, rank, 1);
    const size_t n = elements(kept.shape, kept.rank);
    const double count = (double)elements(line.shape, line.rank);
    int32_t index[GATELET_MAX_RANK] = {0};
    size_t at = 0, unused = 0;
    for (size_t i = 0; i < n; i++) {
        if (reduction == GATELET_NORMALIZE) {
            standardize_line(x + at, &line, epsilon, y + at);
        } else {
            const double found = over_line(reduction, x + at, &line, 0.0);
            y[i] = (float)(reduction == GATELET_MEAN ? found / count : found);
        }
        advance(index, kept.shape, kept.rank, kept.strides, kept.strides, &at, &unused);
    }
}

GATELET_KERNEL void gatelet_average_time(const float *x, const uint8_t *mask, int32_t rows,
                                         int32_t timesteps, size_t features, float *y) {
    for (int32_t b = 0; b < rows; b++) {
        const size_t first = (size_t)b * (size_t)timesteps;
        for (size_t k = 0; k < features; k++) {
            double total = 0.0, count = 0.0;
            for (size_t t = first; t < first + (size_t)timesteps; t++) {
                if (mask == NULL || mask[t]) {
                    total += (double)x[t * features + k];
                    count += 1.0;
                }
            }
            y[(size_t)b * features + k] = (float)total / (float)count;
        }
    }
}

GATELET_KERNEL void gatelet_put_part(const void *from, size_t outer, size_t part, void *to,
                                     size_t total, size_t offset) {
    for (size_t i = 0; i < outer; i++) {
        memcpy((char *)to + i * total + offset, (const char *)from + i * part, part);
    }
}

GATELET_KERNEL void gatelet_repeat(const void *x, int32_t rows, int32_t n, size_t bytes, void *y) {
    for (size_t i = 0; i < (size_t)rows * (size_t)n; i++) {
        memcpy((char *)y + i * bytes, (const char *)x + i / (size_t)n * bytes, bytes);
    }
}

GATELET_KERNEL void gatelet_reverse(const void *x, int32_t rows, int32_t timesteps, size_t bytes,
                                    void *y) {
    for (size_t b = 0; b < (size_t)rows; b++) {
        for (size_t t = 0; t < (size_t)timesteps; t++) {
            const size_t to = b * (size_t)timesteps + t;
            const size_t from = (b + 1) * (size_t)timesteps - 1 - t;
            memcpy((char *)y + to * bytes, (const char *)x + from * bytes, bytes);
        }
    }
}

GATELET_KERNEL void gatelet_transpose(const float *x, const int32_t *shape, const int32_t *perm,
                                      int32_t rank, float *y) {
    int32_t to_shape[GATELET_MAX_RANK] = {0}, index[GATELET_MAX_RANK] = {0};
    size_t strides[GATELET_MAX_RANK] = {0}, at = 0, unused = 0;
    for (int32_t axis = 0; axis < rank; axis++) {
        to_shape[axis] = shape[perm[axis]];
        strides[axis] = elements(shape + perm[axis] + 1, rank - perm[axis] - 1);
    }
    const size_t n = elements(shape, rank);
    for (size_t i = 0; i < n; i++) {
        y[i] = x[at];
        advance(index, to_shape, rank, strides, strides, &at, &unused);
    }
}

GATELET_KERNEL void gatelet_floats_of(const int32_t *x, size_t n, float *y) {
    for (size_t i = 0; i < n; i++) {
        y[i] = (float)x[i];
    }
}

GATELET_KERNEL void gatelet_floats_of_mask(const uint8_t *x, size_t n, float *y) {
    for (size_t i = 0; i < n; i++) {
        y[i] = x[i] ? 1.0f : 0.0f;
    }
}

GATELET_KERNEL void gatelet_integers_of(const float *x, size_t n, int32_t *y) {
    for (size_t i = 0; i < n; i++) {
        const float value = x[i]; /* a conversion out of range is undefined */
        y[i] = value >= 2.0e9f ? 2000000000 : value > -2.0e9f ? (int32_t)value : -2000000000;
    }
}
