/* Prints what `gatelet predict` prints of a row of '$title'. */
#ifndef ${PREFIX}_PRINT_H
#define ${PREFIX}_PRINT_H

#include "$header"

#ifndef SAY /* a sketch has its own */
#include <stdio.h>
#define SAY(text) fputs(text, stdout)
#define SAY_SCORE(score) printf("%.6f", score)
#define SAY_NUMBER(number) printf("%.6g", (double)(number))
#endif
$outputs
/* A whole row: each output has its number of scores; ids are 0 where there is padding, or NULL. */
static inline void print_row(float *const *outputs, const int32_t *counts, const int32_t *ids) {
    (void)ids;
$row
}

/* A row that comes in steps: the newest of them. */
static inline void print_step(float *const *outputs, const int32_t *counts) {
$step
}

#endif
