/* One recurrence in integers on a Cortex-M4, for integer_cost.py: LSTM or GRU of 8 units. */
#define GATELET_SINGLE_FILE
#include "integer.c"

#include "c_bare.h"

enum { UNITS = 8, FEATURES = 1, GATES = CELL == GATELET_Q_LSTM ? 4 : 3, COLUMNS = GATES * UNITS };

static int8_t kernel[COLUMNS * FEATURES], recurrent[COLUMNS * UNITS];
static int32_t multipliers[COLUMNS], bias[COLUMNS], work[2 * COLUMNS + 4 * UNITS];
static int16_t x[STEPS * FEATURES], y[UNITS];
#if defined(BEFORE)
static uint16_t table[513];
#define TABLE .sigmoid = table
#else
static int32_t table[GATELET_TAIL_ENTRIES];
#define TABLE .tail = table, .bits = 24
#endif

static int golden(void) {
    for (int i = 0; i < 513; i++) { /* any monotonous table will do */
#if defined(BEFORE)
        table[i] = (uint16_t)(32767 - 16383 / (1 + i * i / 64));
#else
        table[i] = (1 << 30) / (1 + i * i / 16);
#endif
    }
    for (int j = 0; j < COLUMNS; j++) {
        multipliers[j] = 1 << 10;
        kernel[j] = (int8_t)(j * 37 % 101 - 50);
        for (int k = 0; k < UNITS; k++) {
            recurrent[j * UNITS + k] = (int8_t)((j * 17 + k * 31) % 101 - 50);
        }
    }
    for (int t = 0; t < STEPS; t++) {
        x[t] = (int16_t)(t * 7919 % 8192 - 4096);
    }
    const struct gatelet_integer_recurrence r = {
        .kind = CELL, .rows = 1, .timesteps = STEPS, .units = UNITS,
        .activation = GATELET_Q_TANH, .recurrent_activation = GATELET_Q_SIGMOID,
        .x = x, .y = y, .bias = bias, .recurrent_bias = bias, .work = work, TABLE,
        .kernel = {kernel, multipliers, FEATURES, COLUMNS, 10},
        .recurrent = {recurrent, multipliers, UNITS, COLUMNS, 10}};
    gatelet_integer_walk(&r);
    return 0;
}
