/* Masks, bytes that are 1 where a timestep counts, and padding: its columns, and the states that it
 * leads to.
 *
 * Not what a recurrence does at a masked timestep: that is in recurrence.c.
 */
#include "masks.h"

GATELET_KERNEL void gatelet_mask_ids(const int32_t *ids, size_t n, uint8_t *mask) {
    for (size_t i = 0; i < n; i++) {
        mask[i] = ids[i] != 0;
    }
}

GATELET_KERNEL void gatelet_mask_features(const float *x, float value, size_t n, size_t features,
                                          uint8_t *mask) {
    for (size_t i = 0; i < n; i++) {
        mask[i] = 0;
        for (size_t k = 0; k < features; k++) {
            if (x[i * features + k] != value) {
                mask[i] = 1;
            }
        }
    }
}

GATELET_KERNEL void gatelet_select(const float *x, const float *other, const uint8_t *mask,
                                   size_t n, size_t features, float *y) {
    for (size_t i = 0; i < n; i++) {
        if (mask[i]) {
            memcpy(y + i * features, x + i * features, features * sizeof(float));
        } else if (other != NULL) {
            memcpy(y + i * features, other + i * features, features * sizeof(float));
        } else {
            memset(y + i * features, 0, features * sizeof(float));
        }
    }
}

static int is_padding(const int32_t *ids, int32_t rows, int32_t timesteps, int32_t t) {
    for (int32_t b = 0; b < rows; b++) {
        if (ids[(size_t)b * (size_t)timesteps + (size_t)t] != 0) {
            return 0;
        }
    }
    return 1;
}

GATELET_KERNEL int32_t gatelet_find_padding(const int32_t *ids, int32_t rows, int32_t timesteps,
                                            int32_t trailing, int32_t *start) {
    const int32_t last = timesteps - 1;
    int32_t first = 0, end = last;
    while (first < last && is_padding(ids, rows, timesteps, first)) {
        first++;
    }
    if (trailing) {
        while (end > first && is_padding(ids, rows, timesteps, end)) {
            end--;
        }
    }
    *start = first;
    return end - first + 1;
}

GATELET_KERNEL const int32_t *gatelet_keep_columns(const int32_t *ids, int32_t rows,
                                                   int32_t timesteps, int32_t start, int32_t kept,
                                                   int32_t *y) {
    if (rows == 1) {
        return ids + start;
    }
    for (size_t b = 0; b < (size_t)rows; b++) {
        memcpy(y + b * (size_t)kept, ids + b * (size_t)timesteps + (size_t)start,
               (size_t)kept * sizeof(int32_t));
    }
    return y;
}

GATELET_KERNEL int32_t gatelet_enter_rows(const int32_t *ids, int32_t rows, int32_t timesteps,
                                          int32_t limit, const float *before, int32_t *pads,
                                          int32_t *enter, float *after) {
    int32_t start = timesteps - 1;
    for (size_t b = 0; b < (size_t)rows; b++) {
        const int32_t *row = ids + b * (size_t)timesteps;
        const float given = before == NULL ? 0.0f : before[b];
        const int32_t seen = given >= 0.0f && given <= (float)limit ? (int32_t)given : limit + 1;
        const int32_t known = limit - seen; /* the pads that there are states after */
        int32_t front = 0;
        while (front < timesteps && row[front] == 0) {
            front++;
        }
        enter[b] = front < timesteps ? front : timesteps - 1;
        enter[b] = enter[b] < known ? enter[b] : known < 0 ? 0 : known;
        pads[b] = known < 0 ? -1 : seen + enter[b];
        if (after != NULL) {
            after[b] = (float)(front < timesteps || front > known ? limit + 1 : seen + front);
        }
        start = enter[b] < start ? enter[b] : start;
    }
    for (int32_t b = 0; b < rows; b++) {
        enter[b] -= start;
    }
    return start;
}

GATELET_KERNEL void gatelet_pad_states(const float *table, const int32_t *pads, int32_t rows,
                                       int32_t units, float *y) {
    for (size_t b = 0; b < (size_t)rows; b++) {
        if (pads[b] >= 0) {
            memcpy(y + b * (size_t)units, table + (size_t)pads[b] * (size_t)units,
                   (size_t)units * sizeof(float));
        } else {
            memset(y + b * (size_t)units, 0, (size_t)units * sizeof(float));
        }
    }
}

GATELET_KERNEL const float *gatelet_states_after(const float *table, const int32_t *pads,
                                                 int32_t rows, int32_t units, float *y) {
    if (rows == 1) {
        return table + (size_t)pads[0] * (size_t)units;
    }
    gatelet_pad_states(table, pads, rows, units, y);
    return y;
}

GATELET_KERNEL void gatelet_keep_states(const void *given, const int32_t *pads, int32_t rows,
                                        int32_t units, void *y) {
    const size_t bytes = (size_t)units * sizeof(float);
    for (size_t b = 0; b < (size_t)rows; b++) {
        if (pads[b] < 0) {
            memcpy((char *)y + b * bytes, (const char *)given + b * bytes, bytes);
        }
    }
}

static void state_on_line(const struct gatelet_lines *lines, int32_t start, float *y) {
    const int32_t units = lines->units, *knots = lines->knots;
    int32_t i = 0;
    while (i + 2 < lines->count && knots[i + 1] <= start) {
        i++;
    }
    /* integers up to here, so that every processor gives the same */
    const int8_t *from = lines->values + (size_t)i * (size_t)units;
    const int8_t *to = lines->count > 1 ? from + units : from;
    const int32_t length = lines->count > 1 ? knots[i + 1] - knots[i] : 1;
    const int32_t done = start - knots[i];
    const float share = lines->unit / (float)length;
    for (int32_t k = 0; k < units; k++) {
        y[k] = (float)(from[k] * (length - done) + to[k] * done) * share;
    }
}

GATELET_KERNEL void gatelet_pad_states_on_lines(const struct gatelet_lines *lines,
                                                const int32_t *pads, int32_t rows, float *y) {
    for (size_t b = 0; b < (size_t)rows; b++) {
        if (pads[b] >= 0) {
            state_on_line(lines, pads[b], y + b * (size_t)lines->units);
        } else {
            memset(y + b * (size_t)lines->units, 0, (size_t)lines->units * sizeof(float));
        }
    }
}
