/* GRU: one step of all rows.
 *
 *     z = s(x W_z + h U_z + b_z)      r = s(x W_r + h U_r + b_r)
 *     n = a(x W_h + r (h U_h + b'_h) + b_h)     resetting after the product (Keras 2 and 3, cuDNN)
 *     n = a(x W_h + (r h) U_h + b_h)            resetting before it (Keras 1)
 *     h' = z h + (1 - z) n
 *
 * with s the recurrent activation and a the activation. Source: Cho et al. 2014; resetting after
 * the product as in its version 1. Gates in Keras' order z, r, h.
 *
 * Not the walk over time: see recurrence.c. Packed as the LSTM; resetting before, U_z and U_r are
 * `recurrent` and U_h is `candidate`.
 */
#include "gru.h"

#include "elementary.h"

/* As of the LSTM, but a step takes its tiles always in one order, waits longer for them, and so
 * gains from fewer features on. */
#define GATELET_GRU_AHEAD_FEATURES 24

/* s = the logistic function and a = tanh, resetting after: `x` and `inner` are a tile's gates. */
GATELET_INLINE void usual_unit(const float *x, const float *inner, const float *h, float *h_next) {
    for (int lane = 0; lane < GATELET_LANES; lane += GATELET_VL) {
        const int32_t r_at = GATELET_LANES + lane, n_at = 2 * GATELET_LANES + lane;
        vfloat keep = v_sigmoid(v_load(x + lane) + v_load(inner + lane));
        vfloat reset = v_sigmoid(v_load(x + r_at) + v_load(inner + r_at));
        vfloat candidate = v_tanh(v_load(x + n_at) + reset * v_load(inner + n_at));
        v_store(h_next + lane, keep * v_load(h + lane) + (1.0f - keep) * candidate);
    }
}

static void gru_step_usual(const struct gatelet_recurrence *r, const struct gatelet_step *s) {
    const size_t padded = (size_t)GATELET_ROUND_UP(r->units);
    const size_t columns = 3 * padded;
    float *inner = s->spare; /* [rows, columns] */
    const struct gatelet_rows rows = {s->rows, padded, 0, columns, s->h, r->recurrent_bias, inner};
    gatelet_product_ahead(r->recurrent, &rows, 3 * GATELET_LANES, s->ahead);
    for (int32_t b = 0; b < s->rows; b++) {
        const size_t row = (size_t)b * padded;
        for (size_t unit = 0; unit < padded; unit += GATELET_LANES) {
            usual_unit(s->z + 3 * (row + unit), inner + 3 * (row + unit), s->h + row + unit,
                       s->h_next + row + unit);
        }
    }
}

/* Any activations: row by row, gates apart. */
static void gru_step_reset_after(const struct gatelet_recurrence *r, const struct gatelet_step *s) {
    const int32_t units = r->units;
    const size_t n = (size_t)units, padded = (size_t)GATELET_ROUND_UP(units);
    float *packed = s->spare, *x = packed + 3 * padded, *inner = x + 3 * padded;
    for (int32_t b = 0; b < s->rows; b++) {
        const size_t row = (size_t)b * padded;
        const struct gatelet_rows one = {1, 0, 0, 0, s->h + row, r->recurrent_bias, packed};
        gatelet_product(r->recurrent, 0, r->recurrent->tiles, &one);
        gatelet_unpack_gates(packed, 3, units, inner);
        gatelet_unpack_gates(s->z + 3 * row, 3, units, x);
        float *gates = packed;
        for (size_t i = 0; i < 2 * n; i++) {
            x[i] += inner[i];
        }
        gatelet_activate_axis(r->recurrent_activation, x, gates, 2, units, 1);
        for (size_t i = 0; i < n; i++) {
            x[2 * n + i] += gates[n + i] * inner[2 * n + i];
        }
        gatelet_activate_axis(r->activation, x + 2 * n, gates + 2 * n, 1, units, 1);
        for (size_t i = 0; i < n; i++) {
            s->h_next[row + i] = gates[i] * s->h[row + i] + (1.0f - gates[i]) * gates[2 * n + i];
        }
    }
}

static void gru_step_reset_before(const struct gatelet_recurrence *r,
                                  const struct gatelet_step *s) {
    const int32_t units = r->units;
    const size_t n = (size_t)units, padded = (size_t)GATELET_ROUND_UP(units);
    float *packed = s->spare, *x = packed + 3 * padded, *inner = x + 3 * padded;
    for (int32_t b = 0; b < s->rows; b++) {
        const size_t row = (size_t)b * padded;
        gatelet_unpack_gates(s->z + 3 * row, 3, units, x);
        const struct gatelet_rows one = {1, 0, 0, 0, s->h + row, NULL, packed};
        gatelet_product(r->recurrent, 0, r->recurrent->tiles, &one);
        gatelet_unpack_gates(packed, 2, units, inner);
        float *gates = packed;
        for (size_t i = 0; i < 2 * n; i++) {
            x[i] += inner[i];
        }
        gatelet_activate_axis(r->recurrent_activation, x, gates, 2, units, 1);
        for (size_t i = 0; i < n; i++) {
            inner[i] = gates[n + i] * s->h[row + i];
        }
        float *product = gates + 2 * n; /* r is not needed after this */
        memmove(gates + n, inner, n * sizeof(float));
        const struct gatelet_rows reset = {1, 0, 0, 0, gates + n, NULL, inner};
        gatelet_product(r->candidate, 0, r->candidate->tiles, &reset);
        for (size_t i = 0; i < n; i++) {
            x[2 * n + i] += inner[i];
        }
        gatelet_activate_axis(r->activation, x + 2 * n, product, 1, units, 1);
        for (size_t i = 0; i < n; i++) {
            s->h_next[row + i] = gates[i] * s->h[row + i] + (1.0f - gates[i]) * product[i];
        }
    }
}

GATELET_KERNEL void gatelet_usual_gru(const struct gatelet_recurrence *r) {
    gatelet_walk(r, gru_step_usual, 0, GATELET_GRU_AHEAD_FEATURES);
}

GATELET_KERNEL void gatelet_any_gru(const struct gatelet_recurrence *r) {
    gatelet_walk(r, gru_step_reset_after, 0, 0);
}

GATELET_KERNEL void gatelet_gru_reset_before(const struct gatelet_recurrence *r) {
    gatelet_walk(r, gru_step_reset_before, 0, 0);
}
