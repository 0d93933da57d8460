/* Layers in integers: the walk over time with the steps of LSTM, GRU and SimpleRNN, and what is
 * around it. The equations are those of lstm.c, gru.c and simple_rnn.c.
 *
 * Not for the speed of large processors: plain C, and sums.h beside it. Everything between the
 * border functions at the end is integer arithmetic, so every processor gives the same bits. Source
 * of the arithmetic: Jacob et al. 2018, "Quantization and Training of Neural Networks for Efficient
 * Integer-Arithmetic-Only Inference", section 2.2, with 16-bit activations.
 */
#include "integer.h"

#include "fixed.h"
#include "recurrence.h"
#include "sums.h"

/* Not an enum: on some processors an int has 16 bits. */
#define Q_LARGEST_Z 0x3fffffff    /* of each of two numbers whose sum holds 32 bits */
#define Q_LARGEST_CELL 0x3fffffff /* 16,384 of scale 2^-16; one instruction cuts so */
#define Q_LARGEST_WIDE 0x1fffffff /* 1 of scale 2^-29 */
#define Q_HALF 0x40000000         /* of scale 2^-31 */

enum {
    Q_CELL_BITS = 16,
    Q_INPUT_BITS = 16, /* of what goes into an activation that stands alone */
    Q_TAIL_BITS = 5,   /* the table of s has steps of 2^-5 */
    Q_CHUNK = 256      /* products of 16 and 8 bits whose sum holds 32 bits */
};

GATELET_INLINE int32_t q_saturated(int32_t x, int32_t most) {
    return x > most ? most : x < -most - 1 ? -most - 1 : x;
}

#if !defined(GATELET_PLAIN) && defined(__wasm_simd128__)
#include <wasm_simd128.h>

/* The products of eights, and how far they go. */
GATELET_INLINE int32_t q_eights(const int16_t *x, const int8_t *w, int32_t *k, int32_t end) {
    v128_t sum = wasm_i32x4_const_splat(0);
    for (; *k + 8 <= end; *k += 8) {
        const v128_t eight = wasm_i16x8_load8x8(w + *k);
        sum = wasm_i32x4_add(sum, wasm_i32x4_dot_i16x8(wasm_v128_load(x + *k), eight));
    }
    return wasm_i32x4_extract_lane(sum, 0) + wasm_i32x4_extract_lane(sum, 1) +
           wasm_i32x4_extract_lane(sum, 2) + wasm_i32x4_extract_lane(sum, 3);
}
#endif

static int64_t q_dot(const int16_t *x, const int8_t *w, int32_t n) {
    int64_t total = 0;
    for (int32_t from = 0; from < n; from += Q_CHUNK) {
        const int32_t end = n - from < Q_CHUNK ? n : from + Q_CHUNK;
        int32_t sum = 0, k = from;
#if !defined(GATELET_PLAIN) && defined(__wasm_simd128__)
        sum = q_eights(x, w, &k, end);
#endif
        for (; k < end; k++) {
            sum += (int32_t)x[k] * w[k];
        }
        total += sum;
    }
    return total;
}

GATELET_INLINE int64_t q_column(const struct gatelet_integer_matrix *w, const int16_t *x,
                                int32_t j) {
    const int64_t sum = q_dot(x, w->values + (size_t)j * (size_t)w->rows, w->rows);
    return q_shifted(sum * w->multipliers[j], w->shift);
}

/* z = x W + bias, or z += x W. */
struct q_product {
    const struct gatelet_integer_matrix *w;
    const int32_t *bias;
    int32_t *z;
    int adds;
};

GATELET_INLINE void q_put(const struct q_product *p, int32_t j, int64_t found) {
    if (p->adds) {
        p->z[j] += (int32_t)q_clamped(found, Q_LARGEST_Z);
    } else {
        p->z[j] = (int32_t)q_clamped(found + (p->bias == NULL ? 0 : p->bias[j]), Q_LARGEST_Z);
    }
}

#if defined(GATELET_SUMS)

/* z = start + x W of the first columns, of what fits, with a shift of 1 to 31: see q_put. */
GATELET_APART static void q_short_fours(const struct gatelet_integer_matrix *w, const int16_t *x,
                                        const int32_t *start, int32_t *z) {
    const int32_t n = w->rows, shift = w->shift, back = 32 - shift;
    const int64_t half = (int64_t)1 << (shift - 1);
    const int8_t *values = w->values;
    const int32_t *multipliers = w->multipliers, *const end = multipliers + (w->columns & ~3);
    for (; multipliers < end; values += 4 * n) {
        int32_t sums[4];
        gatelet_sums_of_columns(values, x, n, sums);
        GATELET_UNROLL
        for (int i = 0; i < 4; i++) {
            const uint64_t product = (uint64_t)((int64_t)sums[i] * *multipliers++ + half);
            const uint32_t low = (uint32_t)product >> shift;
            *z++ = *start++ + (int32_t)(low | (uint32_t)(product >> 32) << back);
        }
    }
}

/* Four columns at a time, of at most Q_CHUNK rows; x as gatelet_order_fours leaves it. */
static int32_t q_fours(const struct q_product *p, const int16_t *x) {
    const struct gatelet_integer_matrix *w = p->w;
    const int32_t n = w->rows, *start = p->adds ? p->z : p->bias;
    int32_t j = 0, sums[4];
    if (n < 4 || n > Q_CHUNK) {
        return 0;
    }
    if (w->fits && start != NULL && w->shift > 0 && w->shift < 32) {
        q_short_fours(w, x, start, p->z);
        return w->columns & ~3;
    }
    for (; j + 4 <= w->columns; j += 4) {
        gatelet_sums_of_columns(w->values + (size_t)j * (size_t)n, x, n, sums);
        for (int i = 0; i < 4; i++) {
            q_put(p, j + i, q_shifted((int64_t)sums[i] * w->multipliers[j + i], w->shift));
        }
    }
    return j;
}

#endif

static void q_project(const struct q_product *p, const int16_t *x, int16_t *row) {
    int32_t j = 0;
    (void)row;
#if defined(GATELET_SUMS) /* in another order, and back: a row that may change needs no copy */
    const int32_t whole = p->w->rows <= Q_CHUNK ? p->w->rows & ~3 : 0;
    if (x != row) {
        memcpy(row, x, (size_t)p->w->rows * sizeof *row);
    }
    gatelet_order_fours(row, whole);
    j = q_fours(p, row);
    gatelet_order_fours(row, whole); /* which is its own inverse */
#endif
    for (; j < p->w->columns; j++) {
        q_put(p, j, q_column(p->w, x, j));
    }
}

/* s(-a) of scale 2^-31, of a >= 0 of scale 2^-bits: between the table's entries on a line. */
GATELET_INLINE int32_t q_tail(const int32_t *tail, uint32_t a, int32_t bits) {
    const uint32_t index = a >> (bits - Q_TAIL_BITS), part = a << (32 + Q_TAIL_BITS - bits);
    if (index >= GATELET_TAIL_ENTRIES - 1) {
        return tail[GATELET_TAIL_ENTRIES - 1];
    }
    const uint32_t step = (uint32_t)(tail[index] - tail[index + 1]);
    return tail[index] - (int32_t)(((uint64_t)step * part) >> 32);
}

/* z times 1/6 or 1/5, as a fraction of 2^-32, and 1/2. */
static int32_t q_hard_sigmoid(int32_t kind, int32_t z, int32_t bits) {
    const int64_t part = kind == GATELET_Q_HARD_SIGMOID ? 715827883 : 858993459;
    const int64_t y = ((z * part) >> (bits + 1)) + Q_HALF;
    return y < 0 ? 0 : y > INT32_MAX ? INT32_MAX : (int32_t)y;
}

/* Of z of scale 2^-bits the activation of scale 2^-31. That of -z is 1 minus a gate, with all the
 * bits of a small number. */
GATELET_INLINE int32_t q_activation(int32_t kind, const int32_t *tail, int32_t z, int32_t bits) {
    if (GATELET_Q_HAS_HARD &&
        (kind == GATELET_Q_HARD_SIGMOID || kind == GATELET_Q_HARD_SIGMOID_KERAS2)) {
        return q_hard_sigmoid(kind, z, bits);
    }
    const uint32_t size = z < 0 ? 0u - (uint32_t)z : (uint32_t)z;
    const int32_t doubled = kind == GATELET_Q_TANH; /* tanh(x) is 2 s(2x) - 1 */
    const uint32_t small = (uint32_t)q_tail(tail, size, bits - doubled) << doubled;
    if (z < 0) {
        return (int32_t)(small - (doubled ? 0x80000000u : 0u));
    }
    return (int32_t)(0x80000000u - small);
}

static GATELET_UNUSED int32_t q_activate(int32_t kind, const int32_t *tail, int32_t z,
                                         int32_t bits) {
    return q_activation(kind, tail, z, bits);
}

/* A state's 16 bits, which products see. */
GATELET_INLINE int16_t q_output(int32_t x, int32_t shift) {
    return (int16_t)q_saturated((x + (INT32_C(1) << (shift - 1))) >> shift, INT16_MAX);
}

typedef int32_t q_activating(int32_t kind, const int32_t *tail, int32_t z, int32_t bits);

/* What one row needs: its gates, its states, its last output, and what is multiplied. */
struct q_row {
    int32_t *z, *zh; /* zh: of a GRU */
    int32_t *wide;   /* an LSTM's c, a GRU's h of 32 bits */
    int16_t *h, *y;  /* y: h, but beside a mask */
    uint16_t *rest;  /* of an LSTM's c: 16 bits more */
    int16_t *reset;  /* of a GRU that resets before the product: r h */
    int16_t *row;    /* x */
};

/* c' = c - (1 - f) c + i g is one sum of 64 bits, {c, rest, 1/2}, of which the upper word is c' and
 * the next half word the rest: what a step loses the next one has, so c never stops short. */
GATELET_INLINE void q_lstm_units(const struct gatelet_integer_recurrence *r, const struct q_row *w,
                                 const int32_t gate, const int32_t activation,
                                 q_activating *activate) {
    const int32_t n = r->units, bits = r->bits;
    for (int32_t unit = 0; unit < n; unit++) {
        const int32_t *z = w->z + unit;
        const int32_t i = activate(gate, r->tail, z[0], bits);
        const int32_t leak = activate(gate, r->tail, -z[n], bits);
        const int32_t g = activate(activation, r->tail, z[2 * n], bits);
        const int32_t o = activate(gate, r->tail, z[3 * n], bits);
        const uint64_t fraction = (uint32_t)w->rest[unit] << 16 | 0x8000u;
        int64_t sum = (int64_t)((uint64_t)(uint32_t)w->wide[unit] << 32 | fraction);
        sum += ((int64_t)i * g) >> (30 - Q_CELL_BITS);
        sum -= (int64_t)leak * (2 * w->wide[unit]);
        w->rest[unit] = (uint16_t)((uint32_t)sum >> 16);
        w->wide[unit] = q_saturated((int32_t)(sum >> 32), Q_LARGEST_CELL);
        const int32_t seen = activate(activation, r->tail, w->wide[unit], Q_CELL_BITS);
        w->h[unit] = q_output((int32_t)(((int64_t)o * seen) >> 32), 15);
    }
}

static void q_lstm(const struct gatelet_integer_recurrence *r, const struct q_row *w) {
    const struct q_product recurrent = {&r->recurrent, NULL, w->z, 1};
    q_project(&recurrent, w->h, w->h);
    if (r->recurrent_activation == GATELET_Q_SIGMOID && r->activation == GATELET_Q_TANH) {
        q_lstm_units(r, w, GATELET_Q_SIGMOID, GATELET_Q_TANH, q_activation);
    } else {
        q_lstm_units(r, w, r->recurrent_activation, r->activation, q_activate);
    }
}

/* Gates z, r, h in Keras' order: h' = h + (1 - z) (a(...) - h). h has 32 bits and is rounded
 * towards what it goes to, so that the last step is not lost; products see 16 bits of it. */
static void q_gru(const struct gatelet_integer_recurrence *r, const struct q_row *w) {
    const int32_t n = r->units, bits = r->bits, gate = r->recurrent_activation;
    const int after = r->kind == GATELET_Q_GRU;
    int32_t *const reset = w->z + n, *const again = w->zh + 2 * n;
    const struct q_product recurrent = {&r->recurrent, r->recurrent_bias, w->zh, 0};
    q_project(&recurrent, w->h, w->h);
    for (int32_t unit = 0; unit < n; unit++) {
        reset[unit] = q_activate(gate, r->tail, reset[unit] + w->zh[n + unit], bits);
    }
    if (!after) {
        for (int32_t unit = 0; unit < n; unit++) {
            w->reset[unit] = (int16_t)q_shifted((int64_t)reset[unit] * w->h[unit], 31);
        }
        const struct q_product candidate = {&r->candidate, NULL, again, 0};
        q_project(&candidate, w->reset, w->reset);
    }
    for (int32_t unit = 0; unit < n; unit++) {
        const int64_t inner =
            after ? q_shifted((int64_t)reset[unit] * again[unit], 31) : again[unit];
        const int32_t z = w->z[2 * n + unit] + (int32_t)inner;
        const int32_t leak = q_activate(gate, r->tail, -(w->z[unit] + w->zh[unit]), bits);
        const int32_t far = (q_activate(r->activation, r->tail, z, bits) >> 1) - 2 * w->wide[unit];
        int64_t sum =
            (int64_t)((uint64_t)(uint32_t)w->wide[unit] << 32 | (far < 0 ? 0 : UINT32_MAX));
        sum += (int64_t)leak * far;
        w->wide[unit] = (int32_t)(sum >> 32);
        w->h[unit] = q_output(w->wide[unit], 14);
    }
}

static void q_simple_rnn(const struct gatelet_integer_recurrence *r, const struct q_row *w) {
    const struct q_product recurrent = {&r->recurrent, NULL, w->z, 1};
    q_project(&recurrent, w->h, w->h);
    for (int32_t unit = 0; unit < r->units; unit++) {
        w->h[unit] = q_output(q_activate(r->activation, r->tail, w->z[unit], r->bits) >> 1, 15);
    }
}

GATELET_INLINE int q_is_gru(const struct gatelet_integer_recurrence *r) {
    return r->kind == GATELET_Q_GRU || r->kind == GATELET_Q_GRU_RESET_BEFORE;
}

/* States between calls are words of 32 bits: c; a GRU's h; or the 16 bits of h, and the rest of c.
 */
static void q_start_row(const struct gatelet_integer_recurrence *r, size_t b,
                        const struct q_row *w) {
    for (size_t unit = 0; unit < (size_t)r->units; unit++) {
        const size_t at = b * (size_t)r->units + unit;
        const int32_t h = r->h0 == NULL ? 0 : r->h0[at], c = r->c0 == NULL ? 0 : r->c0[at];
        if (r->kind == GATELET_Q_LSTM || r->kind == GATELET_Q_SIMPLE_RNN) {
            w->h[unit] = (int16_t)(h >> 16);
            w->rest[unit] = (uint16_t)h;
            if (r->kind == GATELET_Q_LSTM) {
                w->wide[unit] = q_saturated(c, Q_LARGEST_CELL);
            }
        } else {
            w->wide[unit] = q_saturated(h, Q_LARGEST_WIDE);
            w->h[unit] = q_output(w->wide[unit], 14);
        }
        if (r->mask != NULL) {
            w->y[unit] = r->flags & GATELET_OUTPUT_INITIAL_STATE ? w->h[unit] : 0;
        }
    }
}

/* What is wide has changed where it lies. */
static void q_end_row(const struct gatelet_integer_recurrence *r, size_t b, const struct q_row *w) {
    for (size_t unit = 0; r->h != NULL && !q_is_gru(r) && unit < (size_t)r->units; unit++) {
        r->h[b * (size_t)r->units + unit] = w->h[unit] * 65536 + w->rest[unit];
    }
}

/* What a step takes: integers, or the row that an id or features make. */
static const int16_t *q_input(const struct gatelet_integer_recurrence *r, size_t place,
                              const struct q_row *w) {
    const size_t features = (size_t)r->kernel.rows;
    if (r->x != NULL) {
        return r->x + place * features;
    }
    if (r->numbers != NULL) {
        gatelet_integers_of_features(r->numbers + place * features, r->inverse, 1, r->kernel.rows,
                                     w->row);
    } else {
        gatelet_integer_embedding(r->table, r->table_multipliers, r->vocabulary, r->kernel.rows,
                                  r->ids + place, 1, w->row);
    }
    return w->row;
}

static void q_step_row(const struct gatelet_integer_recurrence *r, size_t place,
                       const struct q_row *w) {
    const struct q_product kernel = {&r->kernel, r->bias, w->z, 0};
    q_project(&kernel, q_input(r, place, w), w->row);
    if (GATELET_Q_HAS(GATELET_Q_LSTM) && r->kind == GATELET_Q_LSTM) {
        q_lstm(r, w);
    } else if (GATELET_Q_HAS(GATELET_Q_SIMPLE_RNN) && r->kind == GATELET_Q_SIMPLE_RNN) {
        q_simple_rnn(r, w);
    } else if (GATELET_Q_HAS(GATELET_Q_GRU) || GATELET_Q_HAS(GATELET_Q_GRU_RESET_BEFORE)) {
        q_gru(r, w);
    }
}

GATELET_KERNEL void gatelet_integer_walk(const struct gatelet_integer_recurrence *r) {
    const size_t units = (size_t)r->units, bytes = units * sizeof(int16_t);
    const size_t columns = (size_t)r->kernel.columns;
    const size_t words = (units + 1) / 2; /* of an array of 16 bits */
    int32_t *const last = q_is_gru(r) ? r->h : r->c;
    struct q_row w = {.z = r->work, .zh = r->work + columns};
    int32_t *free = w.zh + (q_is_gru(r) ? columns : 0);
    w.h = (int16_t *)(void *)free;
    free += words;
    w.rest = (uint16_t *)(void *)free;
    free += q_is_gru(r) ? 0 : words;
    w.reset = (int16_t *)(void *)free;
    free += r->kind == GATELET_Q_GRU_RESET_BEFORE ? words : 0;
    w.y = r->mask == NULL ? w.h : (int16_t *)(void *)free;
    free += r->mask == NULL ? 0 : words;
    w.row = (int16_t *)(void *)free;
    free += ((size_t)r->kernel.rows + 1) / 2;
    for (size_t b = 0; b < (size_t)r->rows; b++) {
        w.wide = last == NULL ? free : last + b * units;
        q_start_row(r, b, &w);
        const int32_t first = r->enter == NULL ? 0 : r->enter[b];
        if (r->flags & GATELET_SEQUENCES) { /* what nobody reads */
            memset(r->y + b * (size_t)r->timesteps * units, 0, (size_t)first * bytes);
        }
        for (int32_t i = first; i < r->timesteps; i++) {
            const int32_t t = r->flags & GATELET_BACKWARDS ? r->timesteps - 1 - i : i;
            const size_t place = b * (size_t)r->timesteps + (size_t)t;
            if (r->mask == NULL || r->mask[place]) {
                q_step_row(r, place, &w);
                if (r->mask != NULL) {
                    memcpy(w.y, w.h, bytes);
                }
            } else if (r->flags & GATELET_ZERO_OUTPUT_FOR_MASK) {
                memset(w.y, 0, bytes);
            }
            if (r->flags & GATELET_SEQUENCES) {
                memcpy(r->y + (b * (size_t)r->timesteps + (size_t)t) * units, w.y, bytes);
            }
        }
        if (!(r->flags & GATELET_SEQUENCES)) {
            memcpy(r->y + b * units, w.y, bytes);
        }
        q_end_row(r, b, &w);
    }
}

GATELET_KERNEL void gatelet_integer_embedding(const int8_t *values, const uint16_t *multipliers,
                                              int32_t vocabulary, int32_t features,
                                              const int32_t *ids, size_t n, int16_t *y) {
    for (size_t i = 0; i < n; i++) {
        const int32_t id = ids[i] < 0 ? 0 : ids[i] < vocabulary ? ids[i] : vocabulary - 1;
        const int8_t *row = values + (size_t)id * (size_t)features;
        for (int32_t f = 0; f < features; f++) {
            *y++ = q_narrow(q_shifted((int64_t)row[f] * multipliers[id], 8));
        }
    }
}

GATELET_KERNEL void gatelet_integer_dense(const struct gatelet_integer_matrix *w,
                                          const int32_t *bias, const int16_t *x, size_t m,
                                          int16_t *y) {
    for (size_t i = 0; i < m; i++, x += w->rows, y += w->columns) {
        for (int32_t j = 0; j < w->columns; j++) {
            y[j] = q_narrow(q_column(w, x, j) + (bias == NULL ? 0 : bias[j]));
        }
    }
}

GATELET_KERNEL void gatelet_integer_activate(int32_t kind, const int32_t *tail, const int16_t *x,
                                             size_t n, int32_t multiplier, int32_t shift,
                                             int16_t *y) {
    for (size_t i = 0; i < n; i++) {
        const int64_t z = q_clamped(q_shifted((int64_t)x[i] * multiplier, shift), Q_LARGEST_Z);
        y[i] = q_narrow(q_shifted(q_activate(kind, tail, (int32_t)z, Q_INPUT_BITS), 16));
    }
}

GATELET_KERNEL void gatelet_integer_scale(const int16_t *x, size_t n, int32_t multiplier,
                                          int32_t shift, int16_t *y) {
    for (size_t i = 0; i < n; i++) {
        y[i] = q_narrow(q_shifted((int64_t)x[i] * multiplier, shift));
    }
}

GATELET_KERNEL void gatelet_integer_relu(const int16_t *x, size_t n, int16_t *y) {
    for (size_t i = 0; i < n; i++) {
        y[i] = x[i] > 0 ? x[i] : 0;
    }
}

/* Of the distance to the row's largest number, e^-distance of scale 2^-15. */
static int32_t q_weight_of(const uint16_t *exponential, int32_t below, int32_t multiplier,
                           int32_t shift) {
    const int64_t distance = q_shifted((int64_t)below * multiplier, shift);
    if (distance >= INT32_C(16) << 16) {
        return 0;
    }
    /* between the table's entries on a line */
    const int32_t index = (int32_t)distance >> 10, rest = (int32_t)distance & 1023;
    const int32_t step = (int32_t)exponential[index + 1] - (int32_t)exponential[index];
    return exponential[index] + (int32_t)q_shifted((int64_t)step * rest, 10);
}

GATELET_KERNEL void gatelet_integer_softmax(const uint16_t *exponential, const int16_t *x, size_t n,
                                            int32_t classes, int32_t multiplier, int32_t shift,
                                            int16_t *y) {
    for (size_t i = 0; i < n; i++, x += classes, y += classes) {
        int32_t largest = x[0];
        int64_t sum = 0;
        for (int32_t j = 1; j < classes; j++) {
            largest = x[j] > largest ? x[j] : largest;
        }
        for (int32_t j = 0; j < classes; j++) {
            sum += q_weight_of(exponential, largest - x[j], multiplier, shift);
        }
        /* below 65,536 classes the sum has 31 bits; ARMv7 has no division of 64 */
        const uint32_t whole = sum > INT32_MAX ? (uint32_t)INT32_MAX : (uint32_t)sum;
        for (int32_t j = 0; j < classes; j++) {
            const uint32_t one =
                (uint32_t)q_weight_of(exponential, largest - x[j], multiplier, shift);
            y[j] = q_narrow(((one << 15) + whole / 2) / whole);
        }
    }
}

GATELET_KERNEL void gatelet_integers_of_features(const float *x, const float *inverse, size_t n,
                                                 int32_t features, int16_t *y) {
    for (size_t i = 0; i < n; i++) {
        for (int32_t f = 0; f < features; f++) {
            *y++ = (int16_t)q_integer_of(*x++, inverse[f], INT16_MAX);
        }
    }
}

GATELET_KERNEL void gatelet_floats_of_integers(const int16_t *x, size_t n, float scale, float *y) {
    for (size_t i = 0; i < n; i++) {
        y[i] = (float)x[i] * scale;
    }
}

GATELET_KERNEL void gatelet_words_of_floats(const float *x, size_t n, float unit, int32_t limit,
                                            int32_t factor, int32_t *y) {
    for (size_t i = 0; i < n; i++) {
        y[i] = (int32_t)q_integer_of(x[i], unit, limit) * factor;
    }
}

GATELET_KERNEL void gatelet_floats_of_words(const int32_t *x, size_t n, int32_t shift, float scale,
                                            float *y) {
    for (size_t i = 0; i < n; i++) {
        y[i] = (float)(x[i] >> shift) * scale;
    }
}
