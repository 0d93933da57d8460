/* Activations by Keras' names, in the order of docs/graph.md. */
#ifndef GATELET_ACTIVATIONS_H
#define GATELET_ACTIVATIONS_H

#include "common.h"

enum gatelet_activation_kind {
    GATELET_LINEAR,
    GATELET_RELU,
    GATELET_SIGMOID,
    GATELET_HARD_SIGMOID,
    GATELET_HARD_SIGMOID_KERAS2,
    GATELET_TANH,
    GATELET_SOFTMAX,
    GATELET_LOG_SOFTMAX,
    GATELET_ELU,
    GATELET_SELU,
    GATELET_SOFTPLUS,
    GATELET_SOFTSIGN,
    GATELET_EXPONENTIAL,
    GATELET_SILU,
    GATELET_GELU,
    GATELET_LEAKY_RELU,
    GATELET_RELU6,
    GATELET_MISH,
    GATELET_CELU,
    GATELET_HARD_TANH,
    GATELET_HARD_SILU,
    GATELET_LOG_SIGMOID,
    GATELET_TANH_SHRINK,
    GATELET_HARD_SHRINK,
    GATELET_SOFT_SHRINK,
    GATELET_SQUAREPLUS,
    GATELET_SPARSE_PLUS,
    GATELET_SPARSE_SIGMOID,
    GATELET_GLU,
    GATELET_SPARSEMAX,
    GATELET_THRESHOLD
};

/* One bit a kind: the source of a model has those that the model has, kernels alone have all. */
#if !defined(GATELET_KINDS)
#define GATELET_KINDS 0xffffffffu
#endif
#define GATELET_HAS_KIND(one) (((uint32_t)GATELET_KINDS >> (one)&1) != 0)

/* a, b and c are its parameters: relu's negative_slope, threshold and max_value (infinity: none);
 * the slope, alpha, threshold or b of the others; threshold's default_value is b, gelu is
 * approximate where a is not 0. */
struct gatelet_activation {
    int32_t kind;
    float a, b, c;
};

/* y[i] = f(x[i]) for a kind without an axis. x may be y. */
GATELET_KERNEL void gatelet_activate(struct gatelet_activation f, const float *x, float *y,
                                     size_t n);

/* softmax, log_softmax, glu or sparsemax along the middle axis of x [outer, n, inner]; y is another
 * array, [outer, n, inner], or [outer, n / 2, inner] of glu. Any other kind does as above. */
GATELET_KERNEL void gatelet_activate_axis(struct gatelet_activation f, const float *x, float *y,
                                          size_t outer, int32_t n, size_t inner);

#endif
