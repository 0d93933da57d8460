/* Rows sorted by their padding, a window at a time.
 *
 * Not the padding that is skipped: which of it that is, the layers decide.
 */
#ifndef GATELET_WINDOWS_H
#define GATELET_WINDOWS_H

#include "run.h"

/* Rows that are sorted together: eight blocks of the usual eight rows. More would skip more, and be
 * sorted more slowly: insertion takes the square of them. */
#define GATELET_WINDOW 64

/* The zeros in front of a row of ids and behind it. */
GATELET_INLINE int32_t gatelet_padding_of(const int32_t *ids, int32_t timesteps) {
    int32_t front = 0, behind = 0;
    while (front < timesteps && ids[front] == 0) {
        front++;
    }
    while (front + behind < timesteps && ids[timesteps - 1 - behind] == 0) {
        behind++;
    }
    return front + behind;
}

/* Gives the rows in the order of their padding, the least first. */
GATELET_INLINE void gatelet_sort_by_padding(const int32_t *ids, size_t timesteps, int32_t rows,
                                            uint8_t *order) {
    int32_t padding[GATELET_WINDOW];
    for (int32_t i = 0; i < rows; i++) {
        const int32_t mine = gatelet_padding_of(ids + (size_t)i * timesteps, (int32_t)timesteps);
        int32_t place = i;
        for (; place > 0 && padding[place - 1] > mine; place--) {
            padding[place] = padding[place - 1];
            order[place] = order[place - 1];
        }
        padding[place] = mine;
        order[place] = (uint8_t)i;
    }
}

/* `first` is the first row of a window, and `rows` their number; scratch begins at `scratch`. */
GATELET_INLINE void gatelet_one_window(const struct gatelet_function *f, struct gatelet_call *call,
                                       gatelet_layers *layers, int32_t first, int32_t rows,
                                       float *scratch) {
    uint8_t order[GATELET_WINDOW];
    const size_t timesteps = call->elements[0], at_once = (size_t)f->rows_at_once;
    const int32_t *ids = (const int32_t *)call->inputs[0] + (size_t)first * timesteps;
    int32_t *given = (int32_t *)(void *)scratch;
    scratch += GATELET_ROUNDED(at_once * timesteps);
    for (int32_t i = 0; i < f->outputs; i++) {
        call->to[i] = scratch;
        scratch += GATELET_ROUNDED(at_once * call->elements[1 + i]);
    }
    call->from[0] = given;
    call->scratch = scratch;
    gatelet_sort_by_padding(ids, timesteps, rows, order);
    for (int32_t block = 0; block < rows; block += f->rows_at_once) {
        const int32_t count = rows - block < f->rows_at_once ? rows - block : f->rows_at_once;
        for (int32_t i = 0; i < count; i++) {
            memcpy(given + (size_t)i * timesteps, ids + (size_t)order[block + i] * timesteps,
                   timesteps * sizeof *ids);
        }
        layers(call, count);
        for (int32_t output = 0; output < f->outputs; output++) {
            const size_t floats = call->elements[1 + output];
            for (int32_t i = 0; i < count; i++) {
                const size_t row = (size_t)first + order[block + i];
                memcpy(call->outputs[output] + row * floats, call->to[output] + (size_t)i * floats,
                       floats * sizeof(float));
            }
        }
    }
}

/* As gatelet_in_order, for one input of ids: rows of like padding together, since what all rows of
 * a block share is skipped. */
GATELET_INLINE void gatelet_by_padding(const struct gatelet_function *f, struct gatelet_call *call,
                                       gatelet_layers *layers) {
    float *const scratch = call->scratch;
    if (call->rows == 1 || f->rows_at_once == 1) {
        gatelet_in_order(f, call, layers);
        return;
    }
    for (int32_t first = 0; first < call->rows; first += GATELET_WINDOW) {
        const int32_t left = call->rows - first;
        gatelet_one_window(f, call, layers, first, left < GATELET_WINDOW ? left : GATELET_WINDOW,
                           scratch);
    }
}

#endif
