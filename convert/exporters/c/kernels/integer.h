/* Layers in integers: 8-bit weights, 16-bit values, sums of 32 and 64 bits, no floating point.
 *
 * A 16-bit value stands for q * scale; those of states have the scale 2^-15. What goes into an
 * activation is 32 bits of scale 2^-bits, and gates have 31 bits. Scales that are no powers of two
 * are multipliers and shifts, chosen at conversion.
 */
#ifndef GATELET_INTEGER_H
#define GATELET_INTEGER_H

#include "common.h"

#if !defined(GATELET_Q_KINDS)
#define GATELET_Q_KINDS 0xffu
#endif
#define GATELET_Q_HAS(kind) ((GATELET_Q_KINDS >> (kind)&1) != 0)
#define GATELET_Q_HAS_HARD \
    (GATELET_Q_HAS(GATELET_Q_HARD_SIGMOID) || GATELET_Q_HAS(GATELET_Q_HARD_SIGMOID_KERAS2))

enum gatelet_integer_activation {
    GATELET_Q_TANH,
    GATELET_Q_SIGMOID,
    GATELET_Q_HARD_SIGMOID,       /* x / 6 + 1/2 between 0 and 1 */
    GATELET_Q_HARD_SIGMOID_KERAS2 /* x / 5 + 1/2 between 0 and 1 */
};

/* Weights [columns, rows]: column j of x W is (sum of x[k] values[j][k]) multipliers[j] >> shift */
struct gatelet_integer_matrix {
    const int8_t *values;
    const int32_t *multipliers; /* [columns], below 2^24 */
    int32_t rows, columns, shift;
    int32_t fits; /* with whatever is multiplied no result, with the bias, leaves 30 bits */
};

/* Behind the activations, so that GATELET_Q_KINDS has a bit for each: as GATELET_KINDS. */
enum {
    GATELET_Q_LSTM = GATELET_Q_HARD_SIGMOID_KERAS2 + 1,
    GATELET_Q_GRU, /* the reset gate after the product */
    GATELET_Q_GRU_RESET_BEFORE,
    GATELET_Q_SIMPLE_RNN
};

/* Gates lie as Keras has them, [gates][units]. States are words of 32 bits: an LSTM's c of scale
 * 2^-16, its h of 2^-15 in the upper half and what c has behind its last bit in the lower; a GRU's
 * h of 2^-29; a SimpleRNN's h in the upper half. A state of zero is a word of zero. */
struct gatelet_integer_recurrence {
    int32_t kind, rows, timesteps, units, activation, recurrent_activation, flags;
    const int16_t *x; /* [rows, timesteps, features]; NULL where each step makes its own: */
    const float *numbers, *inverse; /* of features; NULL where there are none: */
    const int8_t *table;            /* of the rows of ids */
    const uint16_t *table_multipliers;
    const int32_t *ids; /* [rows, timesteps] */
    int32_t vocabulary;
    struct gatelet_integer_matrix kernel, recurrent, candidate;
    int32_t bits;                         /* 16 to 24: of what goes into the activations */
    const int32_t *bias, *recurrent_bias; /* [gates * units], or NULL */
    const uint8_t *mask;                  /* [rows, timesteps], or NULL */
    const int32_t *enter;                 /* [rows]: a row's first timestep, or NULL for 0 */
    const int32_t *h0, *c0;               /* [rows, units], or NULL for zeros */
    const int32_t *tail;                  /* s(-a), a = 0, 1/32 ... 16, of scale 2^-31 */
    int16_t *y;
    int32_t *h, *c; /* the last states, or NULL */
    /* gates units (GRU: twice that); units, of an LSTM and a GRU whose last states nobody wants;
     * and as halves, each rounded up: features; units for h, for the rest of c or h (not of a GRU),
     * for the output beside a mask, for r h of a GRU that resets before the product */
    int32_t *work;
};

GATELET_KERNEL void gatelet_integer_walk(const struct gatelet_integer_recurrence *r);

/* y [n, features] = values[id] * multipliers[id] >> 8. */
GATELET_KERNEL void gatelet_integer_embedding(const int8_t *values, const uint16_t *multipliers,
                                              int32_t vocabulary, int32_t features,
                                              const int32_t *ids, size_t n, int16_t *y);

/* y [m, columns] = x [m, rows] W + bias, of y's scale. */
GATELET_KERNEL void gatelet_integer_dense(const struct gatelet_integer_matrix *w,
                                          const int32_t *bias, const int16_t *x, size_t m,
                                          int16_t *y);

/* Element by element: x * multiplier >> shift, of an activation's scale 2^-16, or y's. */
GATELET_KERNEL void gatelet_integer_activate(int32_t kind, const int32_t *tail, const int16_t *x,
                                             size_t n, int32_t multiplier, int32_t shift,
                                             int16_t *y);
GATELET_KERNEL void gatelet_integer_scale(const int16_t *x, size_t n, int32_t multiplier,
                                          int32_t shift, int16_t *y);
GATELET_KERNEL void gatelet_integer_relu(const int16_t *x, size_t n, int16_t *y);

/* Over the last axis, [n, classes]. */
GATELET_KERNEL void gatelet_integer_softmax(const uint16_t *exponential, const int16_t *x, size_t n,
                                            int32_t classes, int32_t multiplier, int32_t shift,
                                            int16_t *y);

/* The border: features [n, features] in, and values out; states of floats as words, x unit * factor
 * within limit, and back, (x >> shift) * scale. */
GATELET_KERNEL void gatelet_integers_of_features(const float *x, const float *inverse, size_t n,
                                                 int32_t features, int16_t *y);
GATELET_KERNEL void gatelet_floats_of_integers(const int16_t *x, size_t n, float scale, float *y);
GATELET_KERNEL void gatelet_words_of_floats(const float *x, size_t n, float unit, int32_t limit,
                                            int32_t factor, int32_t *y);
GATELET_KERNEL void gatelet_floats_of_words(const int32_t *x, size_t n, int32_t shift, float scale,
                                            float *y);

#endif
