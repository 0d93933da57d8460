
/* The zeros in front of a row of ids and behind it: which of them are skipped, the calls decide. */
static int32_t padding_of(const int32_t *ids, int32_t timesteps) {
    int32_t front = 0, behind = 0;
    while (front < timesteps && ids[front] == 0) {
        front++;
    }
    while (front + behind < timesteps && ids[timesteps - 1 - behind] == 0) {
        behind++;
    }
    return front + behind;
}

/* Rows of like padding together, since what all rows of a block share is skipped: of 64 rows at a
 * time, those with the least padding first. */
enum { WINDOW = 64 };

static void sort_by_padding(const int32_t *ids, int32_t timesteps, int32_t rows, uint8_t *order) {
    int32_t padding[WINDOW];
    for (int32_t i = 0; i < rows; i++) {
        const int32_t mine = padding_of(ids + (size_t)i * (size_t)timesteps, timesteps);
        int32_t place = i;
        for (; place > 0 && padding[place - 1] > mine; place--) {
            padding[place] = padding[place - 1];
            order[place] = order[place - 1];
        }
        padding[place] = mine;
        order[place] = (uint8_t)i;
    }
}

static void run_window(const void *weights, const int32_t *ids, const int32_t *sizes, int32_t rows,
                       float *const *outputs, float *scratch) {
    uint8_t order[WINDOW];
    const size_t row_bytes = input_bytes(0, sizes);
    int32_t *given = (int32_t *)(void *)scratch;
    float *made = scratch + ROUNDED((size_t)ROWS_AT_ONCE * row_bytes / sizeof(float));
    float *to[${PREFIX}_OUTPUTS], *rest = made;
    for (int32_t i = 0; i < ${PREFIX}_OUTPUTS; i++) {
        to[i] = rest;
        rest += ROUNDED((size_t)ROWS_AT_ONCE * output_floats(i, sizes));
    }
    sort_by_padding(ids, sizes[0], rows, order);
    for (int32_t first = 0; first < rows; first += ROWS_AT_ONCE) {
        const int32_t count = rows - first < ROWS_AT_ONCE ? rows - first : ROWS_AT_ONCE;
        for (int32_t i = 0; i < count; i++) {
            memcpy((char *)given + (size_t)i * row_bytes,
                   (const char *)ids + (size_t)order[first + i] * row_bytes, row_bytes);
        }
        const void *from[] = {given};
        run_rows(weights, from, sizes, count, to, rest);
        for (int32_t output = 0; output < ${PREFIX}_OUTPUTS; output++) {
            const size_t floats = output_floats(output, sizes);
            for (int32_t i = 0; i < count; i++) {
                memcpy(outputs[output] + (size_t)order[first + i] * floats,
                       to[output] + (size_t)i * floats, floats * sizeof(float));
            }
        }
    }
}

static void run_blocks(const void *weights, const void *const *inputs, const int32_t *sizes,
                       int32_t rows, float *const *outputs, float *scratch) {
    if (rows == 1) {
        run_rows(weights, inputs, sizes, 1, outputs, scratch);
        return;
    }
    for (int32_t first = 0; first < rows; first += WINDOW) {
        float *to[${PREFIX}_OUTPUTS];
        for (int32_t i = 0; i < ${PREFIX}_OUTPUTS; i++) {
            to[i] = outputs[i] + (size_t)first * output_floats(i, sizes);
        }
        const int32_t left = rows - first;
        run_window(weights, (const int32_t *)inputs[0] + (size_t)first * (size_t)sizes[0], sizes,
                   left < WINDOW ? left : WINDOW, to, scratch);
    }
}
