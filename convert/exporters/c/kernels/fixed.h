/* Integers that stand for numbers: shifted with rounding, and cut to a range. */
#ifndef GATELET_FIXED_H
#define GATELET_FIXED_H

#include "common.h"

/* Halves are rounded up. */
GATELET_INLINE int64_t q_shifted(int64_t x, int32_t shift) {
    return shift > 0 ? (x + ((int64_t)1 << (shift - 1))) >> shift : x;
}

GATELET_INLINE int64_t q_clamped(int64_t x, int64_t limit) {
    return x > limit ? limit : x < -limit ? -limit : x;
}

GATELET_INLINE int16_t q_narrow(int64_t x) { return (int16_t)q_clamped(x, INT16_MAX); }

/* Rounds x unit: to the same integers on every processor. */
GATELET_INLINE int64_t q_integer_of(float x, float unit, int64_t limit) {
    GATELET_SETTLED float product[] = {x * unit};
    GATELET_SETTLE(product);
    const float found = product[0];
    if (found >= (float)limit) {
        return limit;
    }
    return found > (float)-limit ? (int32_t)(found < 0.0f ? found - 0.5f : found + 0.5f) : -limit;
}

#endif
