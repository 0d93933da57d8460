/* Masks, and padding. */
#ifndef GATELET_MASKS_H
#define GATELET_MASKS_H

#include "common.h"

GATELET_KERNEL void gatelet_mask_ids(const int32_t *ids, size_t n, uint8_t *mask);

/* 1 where some of the features is not `value`; x [n, features]. */
GATELET_KERNEL void gatelet_mask_features(const float *x, float value, size_t n, size_t features,
                                          uint8_t *mask);

/* y = x where the mask is 1, else `other`, or 0 where that is NULL; [n, features]. */
GATELET_KERNEL void gatelet_select(const float *x, const float *other, const uint8_t *mask,
                                   size_t n, size_t features, float *y);

/* Columns of ids [rows, timesteps] that are 0 in every row: the number in front, and with
 * `trailing` the others behind. One column stays.
 *
 * Returns the number of columns that stay; `start` is the number in front. */
GATELET_KERNEL int32_t gatelet_find_padding(const int32_t *ids, int32_t rows, int32_t timesteps,
                                            int32_t trailing, int32_t *start);

/* Where rows begin: the pads in front lead to states that are stored, after up to `limit` of them,
 * and the timesteps behind are taken. Of pads alone the last is taken.
 *
 * before: Pads that each row has had so far, and nothing else: `limit` + 1 where that is past. NULL
 *     of whole sequences. `after` [rows] is the same behind these ids, or NULL.
 * pads: For each row the number of pads that its state is stored after; -1 of one that has its own.
 * enter: For each row its first timestep, counted from the first of all rows.
 *
 * Returns the timesteps that no row takes. */
GATELET_KERNEL int32_t gatelet_enter_rows(const int32_t *ids, int32_t rows, int32_t timesteps,
                                          int32_t limit, const float *before, int32_t *pads,
                                          int32_t *enter, float *after);

/* ids[:, start : start + kept], [rows, kept]: y, or of one row ids themselves, without y. */
GATELET_KERNEL const int32_t *gatelet_keep_columns(const int32_t *ids, int32_t rows,
                                                   int32_t timesteps, int32_t start, int32_t kept,
                                                   int32_t *y);

/* States after 0, 1, 2 ... pads: rows of a table, of which some are stored, and the others lie on
 * straight lines between those. */
struct gatelet_lines {
    const int8_t *values; /* [count, units], multiples of `unit` */
    const int32_t *knots; /* [count]: which rows they are, from 0 to the last */
    int32_t count, units;
    float unit;
};

/* y [rows, units]: for each row the state after `pads` of it; zeros where it has its own. */
GATELET_KERNEL void gatelet_pad_states(const float *table, const int32_t *pads, int32_t rows,
                                       int32_t units, float *y);
/* The same where no row has its own; of one row a row of the table, without y. */
GATELET_KERNEL const float *gatelet_states_after(const float *table, const int32_t *pads,
                                                 int32_t rows, int32_t units, float *y);
GATELET_KERNEL void gatelet_pad_states_on_lines(const struct gatelet_lines *lines,
                                                const int32_t *pads, int32_t rows, float *y);

/* Those rows: y = given, of 4 bytes a unit. */
GATELET_KERNEL void gatelet_keep_states(const void *given, const int32_t *pads, int32_t rows,
                                        int32_t units, void *y);

#endif
