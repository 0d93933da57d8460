/* The walk over time that LSTM, GRU and SimpleRNN share: projection, masks, outputs.
 *
 * Not a step: see lstm.c, gru.c and simple_rnn.c. At a masked timestep a row's states stay, and its
 * output is the previous one (zeros before the first), or zeros; see docs/graph.md.
 */
#include "recurrence.h"

static void start_at(float *state, const float *initial, int32_t rows, int32_t units,
                     int32_t padded) {
    if (state == initial) {
        return; /* it lies where it goes on */
    }
    memset(state, 0, (size_t)rows * (size_t)padded * sizeof(float));
    for (int32_t b = 0; initial != NULL && b < rows; b++) {
        memcpy(state + (size_t)b * (size_t)padded, initial + (size_t)b * (size_t)units,
               (size_t)units * sizeof(float));
    }
}

#if GATELET_SMALL

/* What one row needs. Steps find the next states where the last ones are. */
struct one_row {
    float *z, *h, *c, *y, *spare;
    size_t b;
};

static void step_row(const struct gatelet_recurrence *r, gatelet_stepper *step,
                     const struct one_row *w, size_t place) {
    const float *x = r->ids != NULL ? r->row : r->x + place * (size_t)r->features;
    const struct gatelet_step s = {.rows = 1,
                                   .z = w->z,
                                   .h = w->h,
                                   .c = w->c,
                                   .h_next = w->h,
                                   .c_next = w->c,
                                   .spare = w->spare};
    if (r->ids != NULL) {
        r->embed(r->table, r->ids + place, 1, r->row);
    }
    const struct gatelet_rows rows = {1, 0, 0, 0, x, r->bias, w->z};
    gatelet_product(r->kernel, 0, r->kernel->tiles, &rows);
    step(r, &s);
}

/* One row after the other: rows that are masked or have not entered take no step. */
static void small_row(const struct gatelet_recurrence *r, gatelet_stepper *step,
                      const struct one_row *w) {
    const size_t units = (size_t)r->units, timesteps = (size_t)r->timesteps, at = w->b * units;
    const size_t first = r->enter == NULL ? 0 : (size_t)r->enter[w->b];
    const int32_t padded = GATELET_ROUND_UP(r->units);
    const float *y = r->mask == NULL ? w->h : w->y;
    float *const to =
        r->y == NULL ? NULL : r->y + w->b * (r->flags & GATELET_SEQUENCES ? timesteps : 1) * units;
    start_at(w->h, gatelet_moved(r->h0, at), 1, r->units, padded);
    if (w->c != NULL) {
        start_at(w->c, gatelet_moved(r->c0, at), 1, r->units, padded);
    }
    if (r->mask != NULL) {
        const float *before = r->flags & GATELET_OUTPUT_INITIAL_STATE ? r->h0 : NULL;
        start_at(w->y, gatelet_moved(before, at), 1, r->units, padded);
    }
    if (r->flags & GATELET_SEQUENCES) {
        memset(to, 0, first * units * sizeof(float)); /* which nobody reads */
    }
    for (size_t i = first; i < timesteps; i++) {
        const size_t t = r->flags & GATELET_BACKWARDS ? timesteps - 1 - i : i;
        if (r->mask == NULL || r->mask[w->b * timesteps + t]) {
            step_row(r, step, w, w->b * timesteps + t);
            if (r->mask != NULL) {
                memcpy(w->y, w->h, units * sizeof(float));
            }
        } else if (r->flags & GATELET_ZERO_OUTPUT_FOR_MASK) {
            memset(w->y, 0, units * sizeof(float));
        }
        if (r->flags & GATELET_SEQUENCES) {
            memcpy(to + t * units, y, units * sizeof(float));
        }
    }
    if (!(r->flags & GATELET_SEQUENCES) && to != NULL) {
        memcpy(to, y, units * sizeof(float));
    }
    if (r->h != NULL && w->h != r->h + at) {
        memcpy(r->h + at, w->h, units * sizeof(float));
        if (r->c != NULL) {
            memcpy(r->c + at, w->c, units * sizeof(float));
        }
    }
}

GATELET_KERNEL void gatelet_walk(const struct gatelet_recurrence *r, gatelet_stepper *step,
                                 int has_cell, int32_t least_features) {
    const size_t padded = (size_t)GATELET_ROUND_UP(r->units);
    const size_t columns = (size_t)r->kernel->tiles * (size_t)r->kernel->tile;
    /* states of whole tiles change where the last ones go */
    const int in_place = r->h != NULL && padded == (size_t)r->units;
    struct one_row w = {.z = r->work, .h = r->work + columns, .c = r->work + columns + padded};
    (void)least_features;
    w.y = r->work + columns + (in_place ? 0 : has_cell ? 2 : 1) * padded;
    w.spare = w.y + (r->mask == NULL ? 0 : padded);
    for (w.b = 0; w.b < (size_t)r->rows; w.b++) {
        w.h = in_place ? r->h + w.b * padded : w.h;
        w.c = !has_cell ? NULL : in_place ? r->c + w.b * padded : w.c;
        small_row(r, step, &w);
    }
}

#else

struct walk {
    int32_t columns, padded, steps; /* of z; units rounded up; timesteps at a time */
    int goes_ahead, is_odd;
    int32_t running;                                          /* the first rows of all */
    float *z, *z_later, *h, *c, *h_next, *c_next, *y, *spare; /* z_later: of the next timesteps */
    struct gatelet_ahead *ahead; /* apart: steps write it, and the others then stay in registers */
};

/* Whether the timesteps to come are projected along with steps, and not between them, which takes
 * as many as GATELET_STEPS at a time: of fewer all at once. */
static int goes_ahead(const struct gatelet_recurrence *r, int32_t least_features) {
    return GATELET_GOES_AHEAD && r->rows == 1 && r->timesteps >= GATELET_STEPS &&
           least_features > 0 && r->features >= least_features && r->kernel->floats != NULL &&
           r->recurrent->floats != NULL;
}

static struct walk lay_out(const struct gatelet_recurrence *r, int32_t least_features) {
    struct walk w = {.running = r->enter == NULL ? r->rows : 0};
    w.columns = r->kernel->tiles * r->kernel->tile;
    w.padded = GATELET_ROUND_UP(r->units);
    const int32_t most = r->timesteps < GATELET_STEPS ? r->timesteps : GATELET_STEPS;
    w.goes_ahead = goes_ahead(r, least_features);
    w.steps = w.goes_ahead ? GATELET_AHEAD : most;
    const size_t state = (size_t)r->rows * (size_t)w.padded;
    w.z = r->work;
    w.z_later = w.z + (size_t)(most - w.steps) * (size_t)w.columns;
    w.h = w.z + (size_t)r->rows * (size_t)w.columns * (size_t)most;
    w.c = w.h + state;
    w.h_next = w.c + state;
    w.c_next = w.h_next + state;
    w.y = w.c_next + state;
    w.spare = w.h + GATELET_WALK_STATES * state;
    return w;
}

/* The rows that run at timestep t: all up to the last that has entered. Rows lie in the order in
 * which they enter, as a rule; one before it runs too then, and begins anew when it enters. */
static int32_t running_rows(const struct gatelet_recurrence *r, int32_t t) {
    int32_t rows = r->rows;
    while (r->enter != NULL && rows > 0 && r->enter[rows - 1] > t) {
        rows--;
    }
    return rows;
}

static void give(float *to, const float *state, int32_t rows, int32_t units, int32_t padded) {
    for (int32_t b = 0; to != NULL && b < rows; b++) {
        memcpy(to + (size_t)b * (size_t)units, state + (size_t)b * (size_t)padded,
               (size_t)units * sizeof(float));
    }
}

/* z[t][row] = x[row][first + t] kernel + bias for `count` timesteps, or what steps left of that. */
static void project(const struct gatelet_recurrence *r, struct walk *w, int32_t first,
                    int32_t count) {
    const size_t columns = (size_t)w->columns, features = (size_t)r->features;
    if (w->ahead->next > 0) {
        gatelet_finish(w->ahead);
        return;
    }
    int32_t begin = r->enter == NULL ? 0 : INT32_MAX;
    for (size_t b = (size_t)r->rows; b-- > 0;) {
        if (r->enter != NULL && r->enter[b] < begin) {
            begin = r->enter[b]; /* a row runs from when one behind it does: see running_rows */
        }
        const int32_t skipped = begin > first ? begin - first : 0;
        if (skipped >= count) {
            continue;
        }
        const size_t place = b * (size_t)r->timesteps + (size_t)(first + skipped);
        const size_t z_stride = (size_t)r->rows * columns;
        const struct gatelet_rows rows = {.count = count - skipped,
                                          .x_stride = features,
                                          .z_stride = z_stride,
                                          .x = r->x + place * features,
                                          .start = r->bias,
                                          .z = w->z + (size_t)skipped * z_stride + b * columns};
        gatelet_product(r->kernel, 0, r->kernel->tiles, &rows);
    }
}

/* Lets steps take the projection of the timesteps from `first` on, if any, into w->z_later. */
static void plan(const struct gatelet_recurrence *r, struct walk *w, int32_t first) {
    const size_t columns = (size_t)w->columns, features = (size_t)r->features;
    w->ahead->next = w->ahead->pieces = 0;
    if (w->goes_ahead && first >= 0 && first < r->timesteps) {
        const struct gatelet_rows rows = {.count = GATELET_AHEAD,
                                          .x_stride = features,
                                          .z_stride = columns,
                                          .x = r->x + (size_t)first * features,
                                          .start = r->bias,
                                          .z = w->z_later};
        const struct gatelet_ahead ahead = {r->kernel, rows, 0, w->columns / GATELET_LANES * 2};
        *w->ahead = ahead;
    }
}

static int counts_anywhere(const struct gatelet_recurrence *r, int32_t t) {
    for (int32_t b = 0; b < r->rows; b++) {
        if (r->mask[(size_t)b * (size_t)r->timesteps + (size_t)t]) {
            return 1;
        }
    }
    return 0;
}

/* Lets masked rows keep their states, and keeps each row's output in w->y. */
static void mask_rows(const struct gatelet_recurrence *r, const struct walk *w, int32_t t,
                      int has_cell) {
    const size_t bytes = (size_t)w->padded * sizeof(float);
    for (int32_t b = 0; b < r->rows; b++) {
        const size_t row = (size_t)b * (size_t)w->padded;
        if (r->mask[(size_t)b * (size_t)r->timesteps + (size_t)t]) {
            memcpy(w->y + row, w->h_next + row, bytes);
            continue;
        }
        memcpy(w->h_next + row, w->h + row, bytes);
        if (has_cell) {
            memcpy(w->c_next + row, w->c + row, bytes);
        }
        if (r->flags & GATELET_ZERO_OUTPUT_FOR_MASK) {
            memset(w->y + row, 0, bytes);
        }
    }
}

static void swap(float **a, float **b) {
    float *kept = *a;
    *a = *b;
    *b = kept;
}

/* Rows that do not run yet give zeros, which nobody reads. */
static void put_output(const struct gatelet_recurrence *r, const struct walk *w, int32_t t,
                       const float *y) {
    const size_t bytes = (size_t)r->units * sizeof(float);
    for (int32_t b = 0; b < r->rows; b++) {
        float *to = r->y + ((size_t)b * (size_t)r->timesteps + (size_t)t) * (size_t)r->units;
        if (b < w->running) {
            memcpy(to, y + (size_t)b * (size_t)w->padded, bytes);
        } else {
            memset(to, 0, bytes);
        }
    }
}

/* Lets rows that enter at t begin at their own states. */
static void enter_rows(const struct gatelet_recurrence *r, struct walk *w, int32_t t,
                       int has_cell) {
    const int32_t before = w->running;
    w->running = running_rows(r, t);
    for (int32_t b = 0; b < w->running; b++) {
        if (b >= before || r->enter[b] == t) {
            const size_t from = (size_t)b * (size_t)r->units, to = (size_t)b * (size_t)w->padded;
            start_at(w->h + to, gatelet_moved(r->h0, from), 1, r->units, w->padded);
            if (has_cell) {
                start_at(w->c + to, gatelet_moved(r->c0, from), 1, r->units, w->padded);
            }
        }
    }
}

static void step_at(const struct gatelet_recurrence *r, struct walk *w, gatelet_stepper *step,
                    float *z, int32_t t, int has_cell) {
    if (r->enter != NULL) {
        enter_rows(r, w, t, has_cell);
    }
    if (r->mask == NULL || counts_anywhere(r, t)) {
        const struct gatelet_step s = {.rows = w->running,
                                       .z = z,
                                       .h = w->h,
                                       .c = w->c,
                                       .h_next = w->h_next,
                                       .c_next = w->c_next,
                                       .spare = w->spare,
                                       .ahead = w->ahead,
                                       .is_odd = w->is_odd};
        step(r, &s);
    }
    if (r->mask != NULL) {
        mask_rows(r, w, t, has_cell);
    }
    swap(&w->h, &w->h_next);
    w->is_odd = !w->is_odd;
    if (has_cell) {
        swap(&w->c, &w->c_next);
    }
    if (r->flags & GATELET_SEQUENCES) {
        put_output(r, w, t, r->mask == NULL ? w->h : w->y);
    }
}

GATELET_KERNEL void gatelet_walk(const struct gatelet_recurrence *r, gatelet_stepper *step,
                                 int has_cell, int32_t least_features) {
    struct gatelet_ahead ahead = {0};
    struct walk w = lay_out(r, least_features);
    w.ahead = &ahead;
    const int backwards = (r->flags & GATELET_BACKWARDS) != 0;
    const size_t step_floats = (size_t)r->rows * (size_t)w.columns;
    start_at(w.h, r->h0, r->rows, r->units, w.padded);
    start_at(w.c, r->c0, r->rows, r->units, w.padded);
    start_at(w.y, r->flags & GATELET_OUTPUT_INITIAL_STATE ? r->h0 : NULL, r->rows, r->units,
             w.padded);
    /* the first may be fewer, so that all that follow are as many */
    int32_t count = r->timesteps > 0 ? (r->timesteps - 1) % w.steps + 1 : 0;
    for (int32_t done = 0; done < r->timesteps; done += count, count = w.steps) {
        const int32_t first = backwards ? r->timesteps - done - count : done;
        project(r, &w, first, count);
        plan(r, &w, backwards ? first - w.steps : first + count);
        for (int32_t i = 0; i < count; i++) {
            const int32_t t = backwards ? count - 1 - i : i;
            step_at(r, &w, step, w.z + (size_t)t * step_floats, first + t, has_cell);
        }
        swap(&w.z, &w.z_later);
    }
    if (!(r->flags & GATELET_SEQUENCES)) {
        give(r->y, r->mask == NULL && r->timesteps > 0 ? w.h : w.y, r->rows, r->units, w.padded);
    }
    give(r->h, w.h, r->rows, r->units, w.padded);
    give(r->c, w.c, r->rows, r->units, w.padded);
}

#endif

GATELET_KERNEL void gatelet_unpack_gates(const float *z, int32_t gates, int32_t units, float *to) {
    for (int32_t from = 0; from < units; from += GATELET_LANES) {
        const int32_t count = units - from < GATELET_LANES ? units - from : GATELET_LANES;
        for (int32_t g = 0; g < gates; g++) {
            memcpy(to + (size_t)g * (size_t)units + (size_t)from, z, (size_t)count * sizeof(float));
            z += GATELET_LANES;
        }
    }
}
