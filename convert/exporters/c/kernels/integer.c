/* Layers in integers: the walk over time with the steps of LSTM, GRU and SimpleRNN, and what is
 * around it. The equations are those of lstm.c, gru.c and simple_rnn.c.
 *
 * Not for speed: plain C, for processors without a floating-point unit. Everything between the
 * border functions at the end is integer arithmetic, so every processor gives the same bits. Source
 * of the arithmetic: Jacob et al. 2018, "Quantization and Training of Neural Networks for Efficient
 * Integer-Arithmetic-Only Inference", section 2.2, with 16-bit activations.
 */
#include "integer.h"

#include "recurrence.h"

enum {
    Q_ONE = 1 << 15,          /* 1 of scale 2^-15 */
    Q_LARGEST_Z = 32 << 16,   /* beyond it every activation is flat */
    Q_LARGEST_CELL = 1 << 30, /* 16,384 of scale 2^-16 */
    Q_CHUNK = 256             /* products of 16 and 8 bits whose sum holds 32 bits */
};

/* Halves are rounded up. */
GATELET_INLINE int64_t q_shifted(int64_t x, int32_t shift) {
    return shift > 0 ? (x + ((int64_t)1 << (shift - 1))) >> shift : x;
}

GATELET_INLINE int64_t q_clamped(int64_t x, int64_t limit) {
    return x > limit ? limit : x < -limit ? -limit : x;
}

static int64_t q_dot(const int16_t *x, const int8_t *w, int32_t n) {
    int64_t total = 0;
    for (int32_t from = 0; from < n; from += Q_CHUNK) {
        const int32_t end = n - from < Q_CHUNK ? n : from + Q_CHUNK;
        int32_t sum = 0;
        for (int32_t k = from; k < end; k++) {
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

/* z [columns] = x W + bias of scale 2^-16. */
static void q_project(const struct gatelet_integer_matrix *w, const int16_t *x, const int32_t *bias,
                      int32_t *z) {
    for (int32_t j = 0; j < w->columns; j++) {
        z[j] = (int32_t)q_clamped(q_column(w, x, j) + (bias == NULL ? 0 : bias[j]), Q_LARGEST_CELL);
    }
}

/* A table's value at `at` steps of 2^-bits, between its entries on a line. */
GATELET_INLINE int32_t q_look_up(const uint16_t *table, int32_t entries, int32_t at, int32_t bits) {
    const int32_t index = at >> bits, rest = at & ((1 << bits) - 1);
    if (index >= entries - 1) {
        return table[entries - 1];
    }
    const int32_t step = (int32_t)table[index + 1] - (int32_t)table[index];
    return table[index] + (int32_t)q_shifted((int64_t)step * rest, bits);
}

static int32_t q_sigmoid_of(const uint16_t *table, int32_t z) {
    const int32_t found = q_look_up(table, GATELET_SIGMOID_ENTRIES, z < 0 ? -z : z, 11);
    return z < 0 ? Q_ONE - found : found;
}

/* Of z of scale 2^-16 the activation of scale 2^-15. */
static int32_t q_activate(int32_t kind, const uint16_t *table, int64_t wide) {
    const int32_t z = (int32_t)q_clamped(wide, Q_LARGEST_Z);
    switch (kind) {
    case GATELET_Q_SIGMOID: return q_sigmoid_of(table, z);
    case GATELET_Q_TANH: return 2 * q_sigmoid_of(table, 2 * z) - Q_ONE;
    default: {
        const int32_t part = kind == GATELET_Q_HARD_SIGMOID ? 12 : 10; /* 2 * 2^-16 is 2^-15 */
        const int32_t y = z / part + Q_ONE / 2;
        return y < 0 ? 0 : y > Q_ONE ? Q_ONE : y;
    }
    }
}

GATELET_INLINE int16_t q_narrow(int64_t x) { return (int16_t)q_clamped(x, INT16_MAX); }

/* One step of one row: z and zh have room for the gates, h and c are the states, in place. */
static void q_lstm(const struct gatelet_integer_recurrence *r, int32_t *z, int32_t *zh, int16_t *h,
                   int32_t *c) {
    const int32_t units = r->units;
    q_project(&r->recurrent, h, NULL, zh);
    for (int32_t unit = 0; unit < units; unit++) {
        int32_t gates[4];
        for (int32_t g = 0; g < 4; g++) {
            const int32_t at = g * units + unit;
            gates[g] = q_activate(g == 2 ? r->activation : r->recurrent_activation, r->sigmoid,
                                  (int64_t)z[at] + zh[at]);
        }
        const int64_t kept = q_shifted((int64_t)gates[1] * c[unit], 15);
        const int64_t added = q_shifted((int64_t)gates[0] * gates[2], 14);
        c[unit] = (int32_t)q_clamped(kept + added, Q_LARGEST_CELL);
        h[unit] = q_narrow(
            q_shifted((int64_t)gates[3] * q_activate(r->activation, r->sigmoid, c[unit]), 15));
    }
}

/* Gates z, r, h in Keras' order: h' = z h + (1 - z) a(...). */
static void q_gru(const struct gatelet_integer_recurrence *r, int32_t *z, int32_t *zh, int16_t *h,
                  int16_t *spare) {
    const int32_t units = r->units;
    const int after = r->kind == GATELET_Q_GRU;
    q_project(&r->recurrent, h, r->recurrent_bias, zh);
    for (int32_t at = 0; at < 2 * units; at++) {
        z[at] = q_activate(r->recurrent_activation, r->sigmoid, (int64_t)z[at] + zh[at]);
    }
    if (!after) {
        for (int32_t unit = 0; unit < units; unit++) {
            spare[unit] = q_narrow(q_shifted((int64_t)z[units + unit] * h[unit], 15));
        }
        q_project(&r->candidate, spare, NULL, zh + 2 * units);
    }
    for (int32_t unit = 0; unit < units; unit++) {
        const int32_t again = zh[2 * units + unit];
        const int64_t inner = after ? q_shifted((int64_t)z[units + unit] * again, 15) : again;
        const int64_t new = q_activate(r->activation, r->sigmoid, z[2 * units + unit] + inner);
        h[unit] = q_narrow(q_shifted((int64_t)z[unit] * h[unit] + (Q_ONE - z[unit]) * new, 15));
    }
}

static void q_simple_rnn(const struct gatelet_integer_recurrence *r, const int32_t *z, int32_t *zh,
                         int16_t *h) {
    q_project(&r->recurrent, h, NULL, zh);
    for (int32_t unit = 0; unit < r->units; unit++) {
        h[unit] = q_narrow(q_activate(r->activation, r->sigmoid, (int64_t)z[unit] + zh[unit]));
    }
}

static int64_t q_integer_of(float x, float unit, int64_t limit) {
    GATELET_SETTLED float product[] = {x * unit}; /* the same integers on every processor */
    GATELET_SETTLE(product);
    const float found = product[0];
    if (found >= (float)limit) {
        return limit;
    }
    return found > (float)-limit ? (int32_t)(found < 0.0f ? found - 0.5f : found + 0.5f) : -limit;
}

/* What one row needs: its states, its last output, its gates. */
struct q_row {
    int32_t *z, *zh, *c;
    int16_t *h, *y, *spare;
};

static void q_start_row(const struct gatelet_integer_recurrence *r, size_t b,
                        const struct q_row *w) {
    for (size_t unit = 0; unit < (size_t)r->units; unit++) {
        const size_t at = b * (size_t)r->units + unit;
        w->h[unit] = r->h0 == NULL ? 0 : (int16_t)q_integer_of(r->h0[at], Q_ONE, INT16_MAX);
        w->c[unit] = r->c0 == NULL ? 0 : (int32_t)q_integer_of(r->c0[at], 65536.0f, Q_LARGEST_CELL);
        w->y[unit] = r->flags & GATELET_OUTPUT_INITIAL_STATE ? w->h[unit] : 0;
    }
}

static void q_end_row(const struct gatelet_integer_recurrence *r, size_t b, const struct q_row *w) {
    for (size_t unit = 0; unit < (size_t)r->units; unit++) {
        const size_t at = b * (size_t)r->units + unit;
        if (r->h != NULL) {
            r->h[at] = (float)w->h[unit] * (1.0f / 32768.0f);
        }
        if (r->c != NULL) {
            r->c[at] = (float)w->c[unit] * (1.0f / 65536.0f);
        }
    }
}

static void q_step_row(const struct gatelet_integer_recurrence *r, const int16_t *x,
                       const struct q_row *w) {
    q_project(&r->kernel, x, r->bias, w->z);
    switch (r->kind) {
    case GATELET_Q_LSTM: q_lstm(r, w->z, w->zh, w->h, w->c); break;
    case GATELET_Q_SIMPLE_RNN: q_simple_rnn(r, w->z, w->zh, w->h); break;
    default: q_gru(r, w->z, w->zh, w->h, w->spare); break;
    }
}

GATELET_KERNEL void gatelet_integer_walk(const struct gatelet_integer_recurrence *r) {
    const size_t units = (size_t)r->units, bytes = units * sizeof(int16_t);
    const size_t columns = (size_t)r->kernel.columns;
    struct q_row w = {r->work, r->work + columns, r->work + 2 * columns, NULL, NULL, NULL};
    w.h = (int16_t *)(void *)(w.c + units);
    w.y = w.h + units;
    w.spare = w.y + units;
    for (size_t b = 0; b < (size_t)r->rows; b++) {
        q_start_row(r, b, &w);
        const int32_t first = r->enter == NULL ? 0 : r->enter[b];
        if (r->flags & GATELET_SEQUENCES) { /* what nobody reads */
            memset(r->y + b * (size_t)r->timesteps * units, 0, (size_t)first * bytes);
        }
        for (int32_t i = first; i < r->timesteps; i++) {
            const int32_t t = r->flags & GATELET_BACKWARDS ? r->timesteps - 1 - i : i;
            const size_t place = b * (size_t)r->timesteps + (size_t)t;
            if (r->mask == NULL || r->mask[place]) {
                q_step_row(r, r->x + place * (size_t)r->kernel.rows, &w);
                memcpy(w.y, w.h, bytes);
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

GATELET_KERNEL void gatelet_integer_activate(int32_t kind, const uint16_t *sigmoid,
                                             const int16_t *x, size_t n, int32_t multiplier,
                                             int32_t shift, int16_t *y) {
    for (size_t i = 0; i < n; i++) {
        y[i] = q_narrow(q_activate(kind, sigmoid, q_shifted((int64_t)x[i] * multiplier, shift)));
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
    if (distance >= 16 << 16) {
        return 0;
    }
    return q_look_up(exponential, GATELET_EXP_ENTRIES, (int32_t)distance, 10);
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
