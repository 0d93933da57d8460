/* ConvLSTM2D: an LSTM whose products are convolutions.
 *
 *     i, f, g, o = split(x * W + b + h * U), * a convolution; then as the LSTM
 *
 * Source: Shi et al. 2015, equation 3 without the terms of W_ci, W_cf and W_co. Masks as in
 * recurrence.c. Gates lie i, f, g, o along the last axis, as Keras stores them.
 */
#include "conv_lstm.h"

struct states {
    float *h, *c, *y, *z, *inner, *gates, *work;
};

static struct states conv_lay_out(const struct gatelet_conv_lstm *r, size_t state) {
    const size_t all = (size_t)r->rows * state;
    struct states s;
    s.h = r->work;
    s.c = s.h + all;
    s.y = s.c + all;
    s.z = s.y + all;
    s.inner = s.z + 4 * all;
    s.gates = s.inner + 4 * all;
    s.work = s.h + GATELET_CONV_LSTM_STATES * all;
    return s;
}

/* The new h and c of one place, units each, from its gates z [4 units]; `spare` has 2 units. */
static void conv_step_place(const struct gatelet_conv_lstm *r, float *z, float *h, float *c,
                            float *spare) {
    const size_t n = (size_t)r->units;
    for (size_t gate = 0; gate < 4; gate++) {
        gatelet_activate_axis(gate == 2 ? r->activation : r->recurrent_activation, z + gate * n,
                              spare, 1, r->units, 1);
        memcpy(z + gate * n, spare, n * sizeof(float));
    }
    for (size_t unit = 0; unit < n; unit++) {
        c[unit] = z[n + unit] * c[unit] + z[unit] * z[2 * n + unit];
    }
    gatelet_activate_axis(r->activation, c, spare, 1, r->units, 1);
    for (size_t unit = 0; unit < n; unit++) {
        h[unit] = z[3 * n + unit] * spare[unit];
    }
}

static void conv_step_row(const struct gatelet_conv_lstm *r, const struct states *s, int32_t b,
                          int32_t t, size_t state) {
    const size_t places = state / (size_t)r->units, at = (size_t)b * state;
    const size_t frame =
        (size_t)r->input.height.length * (size_t)r->input.width.length * (size_t)r->input.channels;
    struct gatelet_convolution input = r->input, recurrent = r->recurrent;
    input.rows = 1;
    recurrent.rows = 1;
    gatelet_convolve(&input, r->x + ((size_t)b * (size_t)r->timesteps + (size_t)t) * frame, s->z,
                     s->work);
    gatelet_convolve(&recurrent, s->h + at, s->inner, s->work);
    for (size_t i = 0; i < 4 * state; i++) {
        s->z[i] += s->inner[i];
    }
    for (size_t place = 0; place < places; place++) {
        const size_t unit = at + place * (size_t)r->units;
        conv_step_place(r, s->z + 4 * place * (size_t)r->units, s->h + unit, s->c + unit, s->gates);
    }
}

static void conv_start_at(float *state, const float *initial, size_t n) {
    if (initial != NULL) {
        memcpy(state, initial, n * sizeof(float));
    } else {
        memset(state, 0, n * sizeof(float));
    }
}

static void conv_row_at(const struct gatelet_conv_lstm *r, const struct states *s, int32_t b,
                        int32_t t, size_t state) {
    const size_t at = (size_t)b * state, place = (size_t)b * (size_t)r->timesteps + (size_t)t;
    if (r->mask == NULL || r->mask[place]) {
        conv_step_row(r, s, b, t, state);
        memcpy(s->y + at, s->h + at, state * sizeof(float));
    } else if (r->flags & GATELET_ZERO_OUTPUT_FOR_MASK) {
        memset(s->y + at, 0, state * sizeof(float));
    }
    if (r->flags & GATELET_SEQUENCES) {
        memcpy(r->y + place * state, s->y + at, state * sizeof(float));
    }
}

GATELET_KERNEL void gatelet_conv_lstm_2d(const struct gatelet_conv_lstm *r) {
    const size_t state =
        (size_t)r->input.height.count * (size_t)r->input.width.count * (size_t)r->units;
    const size_t all = (size_t)r->rows * state;
    const struct states s = conv_lay_out(r, state);
    conv_start_at(s.h, r->h0, all);
    conv_start_at(s.c, r->c0, all);
    conv_start_at(s.y, r->flags & GATELET_OUTPUT_INITIAL_STATE ? r->h0 : NULL, all);
    for (int32_t i = 0; i < r->timesteps; i++) {
        const int32_t t = r->flags & GATELET_BACKWARDS ? r->timesteps - 1 - i : i;
        for (int32_t b = 0; b < r->rows; b++) {
            conv_row_at(r, &s, b, t, state);
        }
    }
    if (!(r->flags & GATELET_SEQUENCES)) {
        memcpy(r->y, s.y, all * sizeof(float));
    }
    if (r->h != NULL) {
        memcpy(r->h, s.h, all * sizeof(float));
    }
    if (r->c != NULL) {
        memcpy(r->c, s.c, all * sizeof(float));
    }
}
