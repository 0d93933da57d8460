/* SimpleRNN: one step of all rows.
 *
 *     h' = a(x W + h U + b)
 *
 * with a the activation. Source: Elman 1990. Not the walk over time: see recurrence.c.
 */
#include "simple_rnn.h"

static void simple_step_rows(const struct gatelet_recurrence *r, const struct gatelet_step *s) {
    const size_t padded = (size_t)GATELET_ROUND_UP(r->units);
    const size_t columns = (size_t)(r->kernel->tiles * r->kernel->tile);
    const struct gatelet_rows rows = {s->rows, padded, columns, columns, s->h, s->z, s->z};
    gatelet_product(r->recurrent, 0, r->recurrent->tiles, &rows);
    for (int32_t b = 0; b < s->rows; b++) {
        gatelet_activate_axis(r->activation, s->z + (size_t)b * columns,
                              s->h_next + (size_t)b * padded, 1, r->units, 1);
    }
}

GATELET_KERNEL void gatelet_simple_rnn(const struct gatelet_recurrence *r) {
    gatelet_walk(r, simple_step_rows, 0, 0);
}
