/* LSTM: one step of all rows.
 *
 *     i = s(x W_i + h U_i + b_i)      f = s(x W_f + h U_f + b_f)
 *     g = a(x W_g + h U_g + b_g)      o = s(x W_o + h U_o + b_o)
 *     c' = f c + i g                  h' = o a(c')
 *
 * with s the recurrent activation and a the activation. Source: Hochreiter & Schmidhuber 1997, with
 * the forget gate of Gers et al. 2000; gates in Keras' order.
 *
 * Not the walk over time, which has projected x W + b into z already: see recurrence.c. Sixteen
 * units make a tile, whose four gates lie together in z and in U: [tiles][gates][16]. So a tile's
 * products end where its cell begins, whatever the width of the processor's vectors.
 */
#include "lstm.h"

#include "elementary.h"

/* Tiles of a recurrent kernel that stay in the first-level cache: three of 48 units are 36 KB, of
 * which most stays in its 32 when they are taken to and fro. Fewer than three all fit. */
#define GATELET_LSTM_CACHED_TILES 3

/* Features from which on a step gains by taking projections along; fewer do not pay for the ends
 * of its loops, some 30 cycles a piece (docs/decisions/0015-c-kernels.md). */
#define GATELET_LSTM_AHEAD_FEATURES 48

/* The usual cell, a = tanh and s = the logistic function, with two divisions in place of five.
 *
 * With m(x) = e^-2x - 1, tanh(x) = -m / (2 + m), exact near 0. The exponentials stop at 2^39, so
 * that the product of three is a float; there a gate differs from 0 or 1 by 2e-12. */
GATELET_INLINE void usual_cell(const float *z, const float *c, float *h_next, float *c_next) {
    for (int lane = 0; lane < GATELET_LANES; lane += GATELET_VL) {
        vfloat in = v_exp_39(-1.0f, v_load(z + lane)) + 1.0f;
        vfloat keep = v_exp_39(-1.0f, v_load(z + GATELET_LANES + lane)) + 1.0f;
        vfloat m = v_expm1_39(-2.0f, v_load(z + 2 * GATELET_LANES + lane));
        vfloat out = v_exp_39(-1.0f, v_load(z + 3 * GATELET_LANES + lane)) + 1.0f;
        vfloat in_m = in * (m + 2.0f);
        vfloat inverse = 1.0f / (in_m * keep);
        vfloat cell = (in_m * inverse) * v_load(c + lane) - m * keep * inverse;
        vfloat n = v_expm1_39(-2.0f, cell);
        v_store(c_next + lane, cell);
        v_store(h_next + lane, -n / ((n + 2.0f) * out));
    }
}

/* The cells of a tile of all rows. */
GATELET_INLINE void usual_cells(const struct gatelet_recurrence *r, int32_t tile,
                                const struct gatelet_step *s) {
    const size_t padded = (size_t)GATELET_ROUND_UP(r->units), unit = (size_t)tile * GATELET_LANES;
    for (size_t b = 0; b < (size_t)s->rows; b++) {
        const size_t at = b * padded + unit;
        usual_cell(s->z + 4 * at, s->c + at, s->h_next + at, s->c_next + at);
    }
}

/* Tile by tile, so that cells find their gates in the first-level cache. A matrix that does not fit
 * there is taken from the last tile to the first every other step: what was read last is still
 * there. Of one row the product is inline, so that the next tile is read while a cell runs, and
 * takes a piece of a later projection along. */
static void lstm_step_usual(const struct gatelet_recurrence *r, const struct gatelet_step *s) {
    const size_t padded = (size_t)GATELET_ROUND_UP(r->units), columns = 4 * padded;
    const struct gatelet_matrix *u = r->recurrent;
    const int forwards = !s->is_odd || u->tiles < GATELET_LSTM_CACHED_TILES;
    struct gatelet_rows rows = {s->rows, padded, columns, columns, s->h, s->z, s->z};
    /* h is rounded: once, not once a tile; or the next h is where h is */
    const int at_once = GATELET_SMALL || u->floats == NULL;
    if (at_once) {
        gatelet_product(u, 0, u->tiles, &rows);
    }
    for (int32_t i = 0; i < u->tiles; i++) {
        const int32_t tile = forwards ? i : u->tiles - 1 - i;
        const size_t column = (size_t)tile * 4 * GATELET_LANES;
        rows.start = rows.z = s->z + column;
        if (!at_once && s->rows == 1) {
            const float *weights = u->floats + column * (size_t)u->rows;
            const struct gatelet_block b = {weights, 4 * GATELET_LANES, u->rows, rows};
            gatelet_multiply_row_ahead(&b, 4 * GATELET_LANES, s->ahead);
        } else if (!at_once) {
            gatelet_product(u, tile, 1, &rows);
        }
        usual_cells(r, tile, s);
    }
}

/* Any activations, those that span the units (softmax) too: row by row, gates apart. */
static void lstm_step_any(const struct gatelet_recurrence *r, const struct gatelet_step *s) {
    const int32_t units = r->units;
    const size_t n = (size_t)units, padded = (size_t)GATELET_ROUND_UP(units);
    float *before = s->spare, *after = before + 4 * padded;
    const struct gatelet_rows rows = {s->rows, padded, 4 * padded, 4 * padded, s->h, s->z, s->z};
    gatelet_product(r->recurrent, 0, r->recurrent->tiles, &rows);
    for (int32_t b = 0; b < s->rows; b++) {
        const size_t row = (size_t)b * padded;
        gatelet_unpack_gates(s->z + 4 * row, 4, units, before);
        for (size_t gate = 0; gate < 4; gate++) {
            gatelet_activate_axis(gate == 2 ? r->activation : r->recurrent_activation,
                                  before + gate * n, after + gate * n, 1, units, 1);
        }
        const float *i = after, *f = i + n, *g = f + n, *o = g + n;
        for (size_t unit = 0; unit < n; unit++) {
            s->c_next[row + unit] = f[unit] * s->c[row + unit] + i[unit] * g[unit];
        }
        gatelet_activate_axis(r->activation, s->c_next + row, before, 1, units, 1);
        for (size_t unit = 0; unit < n; unit++) {
            s->h_next[row + unit] = o[unit] * before[unit];
        }
    }
}

GATELET_KERNEL void gatelet_usual_lstm(const struct gatelet_recurrence *r) {
    /* what is in the first-level cache waits for nothing */
    const int waits = r->recurrent->tiles > GATELET_LSTM_CACHED_TILES;
    gatelet_walk(r, lstm_step_usual, 1, waits ? GATELET_LSTM_AHEAD_FEATURES : 0);
}

GATELET_KERNEL void gatelet_any_lstm(const struct gatelet_recurrence *r) {
    gatelet_walk(r, lstm_step_any, 1, 0);
}
