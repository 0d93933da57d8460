/* What every model does around its layers: checks, rows in blocks, states of steps.
 *
 * Not the layers, and not the sorting of rows by padding: see windows.h. Inline, so that what a
 * model has none of is left out: a function's description is a constant where it is used.
 */
#ifndef GATELET_RUN_H
#define GATELET_RUN_H

#include "common.h"

#include "library.h"

/* The name of a model's function: a library has one for each x86-64 level. */
#if defined(GATELET_SUFFIX)
#define GATELET_JOIN_(a, b) a##b
#define GATELET_JOIN(a, b) GATELET_JOIN_(a, b)
#define GATELET_NAME(name) GATELET_JOIN(name, GATELET_SUFFIX)
#else
#define GATELET_NAME(name) name
#endif

/* An array in the weights, by its offset. */
#define GATELET_AT(type, offset) ((const type *)(const void *)((const char *)weights + (offset)))

/* The floats of a piece of scratch memory, rounded up. */
#define GATELET_UNIT (GATELET_SMALL ? GATELET_SMALL_FLOATS : GATELET_SCRATCH_FLOATS)
#define GATELET_ROUNDED(floats) \
    (((size_t)(floats) + GATELET_UNIT - 1) / GATELET_UNIT * GATELET_UNIT)

enum { GATELET_OK, GATELET_BAD_ARGUMENT, GATELET_BAD_ID, GATELET_BAD_WEIGHTS };

/* What a caller gives, and what the layers see of it, with room for each input and output. */
struct gatelet_call {
    const void *weights;
    const void *const *inputs;
    const int32_t *sizes;
    int32_t rows;
    float *const *outputs;
    float *scratch;
    const void **from; /* of the rows that run */
    float **to;
    size_t *elements; /* of a row, of all inputs and behind them of all outputs */
};

/* One function of a model: whole sequences, or pieces of them. Written at conversion. */
struct gatelet_function {
    int32_t inputs, outputs;     /* with the states, which are the last ones of both */
    int32_t sizes;               /* those that the caller decides */
    int32_t rows_at_once;        /* so many share the reading of weights */
    const unsigned char *head;   /* of its weights: GATELET_HEAD_BYTES */
    const int32_t *vocabularies; /* [inputs]: of ids; 0 of features */
    int32_t states;
    const int32_t *state_floats; /* [states]: of a row */
    /* Gives the elements, and returns at least the floats of scratch memory for B rows: a processor
     * of 32 bits has no address for some sizes. */
    uint64_t (*measure)(const int32_t *sizes, int32_t B, size_t *elements);
};

/* Runs B rows, at most rows_at_once. Given apart from the description, so that layers which are
 * called from one place only lie there, where their sizes are constants. */
typedef void gatelet_layers(const struct gatelet_call *call, int32_t B);

GATELET_INLINE int gatelet_is_array(const void *numbers) {
    return numbers != NULL && (uintptr_t)numbers % 4 == 0;
}

/* Whether these are the weights, or the vocabulary, that begin with `head`. */
GATELET_INLINE int gatelet_is_own(const void *data, const unsigned char *head) {
    return gatelet_is_array(data) && memcmp(data, head, GATELET_HEAD_BYTES) == 0;
}

/* Whether sizes are given, and the processor has addresses for the scratch memory of so many. */
GATELET_INLINE int gatelet_has_room(const struct gatelet_function *f, const int32_t *sizes,
                                    int32_t rows, size_t *elements) {
    const int32_t most = rows < f->rows_at_once ? rows : f->rows_at_once;
    return (sizes != NULL || f->sizes == 0) && f->measure(sizes, most, elements) <= SIZE_MAX / 8;
}

/* Adds the states of a piece of a sequence to call, which has the model's own inputs and outputs.
 */
GATELET_INLINE int gatelet_add_states(const struct gatelet_function *f, struct gatelet_call *call,
                                      void *state) {
    const int32_t inputs = f->inputs - f->states, outputs = f->outputs - f->states;
    float *place = (float *)state;
    if (!gatelet_is_array(state) || call->rows < 0 || call->inputs == NULL ||
        call->outputs == NULL) {
        return GATELET_BAD_ARGUMENT;
    }
    for (int32_t i = 0; i < inputs; i++) {
        call->from[i] = call->inputs[i];
    }
    for (int32_t i = 0; i < outputs; i++) {
        call->to[i] = call->outputs[i];
    }
    for (int32_t i = 0; i < f->states; i++) {
        call->from[inputs + i] = place; /* read before it is written */
        call->to[outputs + i] = place;
        place += (size_t)call->rows * (size_t)f->state_floats[i];
    }
    call->inputs = call->from;
    call->outputs = call->to;
    return GATELET_OK;
}

GATELET_INLINE int gatelet_are_known(const int32_t *ids, size_t n, int32_t vocabulary) {
    for (size_t i = 0; i < n; i++) {
        if (ids[i] < 0 || ids[i] >= vocabulary) {
            return 0;
        }
    }
    return 1;
}

/* Checks all that a caller gives, and completes call. */
GATELET_INLINE int gatelet_look_at(const struct gatelet_function *f, struct gatelet_call *call) {
    if (call->weights == NULL || call->inputs == NULL || call->outputs == NULL ||
        !gatelet_is_array(call->scratch) || call->rows < 0 ||
        (call->sizes == NULL && f->sizes > 0)) {
        return GATELET_BAD_ARGUMENT;
    }
    if (!gatelet_is_own(call->weights, f->head)) {
        return GATELET_BAD_WEIGHTS;
    }
    if (call->rows == 0) {
        return GATELET_OK;
    }
    for (int32_t i = 0; i < f->outputs; i++) {
        call->to[i] = call->outputs[i];
        if (!gatelet_is_array(call->to[i])) {
            return GATELET_BAD_ARGUMENT;
        }
    }
    for (int32_t i = 0; i < f->sizes; i++) {
        if (call->sizes[i] < 1 || call->sizes[i] > GATELET_LARGEST_SIZE) {
            return GATELET_BAD_ARGUMENT;
        }
    }
    if (!gatelet_has_room(f, call->sizes, call->rows, call->elements)) {
        return GATELET_BAD_ARGUMENT;
    }
    for (int32_t i = 0; i < f->inputs; i++) {
        const size_t n = (size_t)call->rows * call->elements[i];
        call->from[i] = call->inputs[i];
        if (!gatelet_is_array(call->from[i])) {
            return GATELET_BAD_ARGUMENT;
        }
        if (f->vocabularies[i] &&
            !gatelet_are_known((const int32_t *)call->from[i], n, f->vocabularies[i])) {
            return GATELET_BAD_ID;
        }
    }
    return GATELET_OK;
}

/* Runs any number of rows of a call that has been looked at. */
GATELET_INLINE void gatelet_in_order(const struct gatelet_function *f, struct gatelet_call *call,
                                     gatelet_layers *layers) {
    int32_t count;
    for (int32_t left = call->rows; left > 0; left -= count) {
        count = left < f->rows_at_once ? left : f->rows_at_once;
        layers(call, count);
        for (int32_t i = 0; i < f->inputs; i++) {
            call->from[i] = (const float *)call->from[i] + (size_t)count * call->elements[i];
        }
        for (int32_t i = 0; i < f->outputs; i++) {
            call->to[i] += (size_t)count * call->elements[f->inputs + i];
        }
    }
}

#endif
