/* The recurrences over [B, T, F]: what LSTM, GRU and SimpleRNN share. */
#ifndef GATELET_RECURRENCE_H
#define GATELET_RECURRENCE_H

#include "activations.h"
#include "ahead.h"
#include "product.h"

enum {
    GATELET_BACKWARDS = 1,
    GATELET_SEQUENCES = 2,
    GATELET_ZERO_OUTPUT_FOR_MASK = 4,
    GATELET_OUTPUT_INITIAL_STATE = 8
};

struct gatelet_table;

struct gatelet_recurrence {
    int32_t rows, timesteps, features, units;
    const float *x; /* [rows, timesteps, features] */
    const struct gatelet_matrix *kernel,
        *recurrent;                         /* columns: [tiles][gates][16] (SimpleRNN: plain) */
    const struct gatelet_matrix *candidate; /* of a GRU that resets before the product */
    const float *bias, *recurrent_bias;     /* packed as the columns, or NULL */
    const uint8_t *mask;                    /* [rows, timesteps], or NULL */
    const int32_t *enter;                   /* [rows]: a row's first timestep, or NULL for 0 */
    const float *h0, *c0;                   /* [rows, units], or NULL for zeros */
    struct gatelet_activation activation, recurrent_activation;
    int32_t flags;
    float *y;     /* [rows, timesteps, units] with SEQUENCES, else [rows, units], or NULL for h */
    float *h, *c; /* the last states [rows, units], or NULL */
    /* With C the kernel's columns and P the units rounded up to tiles, floats:
     * rows C min(timesteps, GATELET_STEPS) + GATELET_WALK_STATES rows P; where GATELET_SMALL is set
     * C, and P for the output beside a mask, and for h and for c but where the last ones are given
     * and are P; and what a step has spare. */
    float *work;
#if GATELET_SMALL /* where ids are given, not x: `embed` fills row with one timestep's */
    void (*embed)(const struct gatelet_table *table, const int32_t *ids, size_t n, float *y);
    const struct gatelet_table *table;
    const int32_t *ids; /* [rows, timesteps] */
    float *row;         /* [features] */
#endif
};

/* Where a step finds and leaves things, of the rows that run. States are [rows, units rounded up].
 */
struct gatelet_step {
    int32_t rows;
    float *z; /* [rows, columns], the projected input; may be overwritten */
    const float *h, *c;
    float *h_next, *c_next;
    float *spare; /* so many columns as each step says */
    struct gatelet_ahead
        *ahead; /* which a step may take pieces of; NULL where GATELET_SMALL is set */
    int is_odd; /* every other step is: it may take the weights from the end */
};

typedef void gatelet_stepper(const struct gatelet_recurrence *r, const struct gatelet_step *s);

/* Takes all steps. `has_cell` says whether c is a state too. From `least_features` on a step gains
 * by taking projections along; with 0 it takes none. */
GATELET_KERNEL void gatelet_walk(const struct gatelet_recurrence *r, gatelet_stepper *step,
                                 int has_cell, int32_t least_features);

/* Copies a row's packed gates [tiles][gates][16] to gates[g][units]. */
GATELET_KERNEL void gatelet_unpack_gates(const float *z, int32_t gates, int32_t units, float *to);

#endif
