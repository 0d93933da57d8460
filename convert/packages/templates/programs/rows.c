/* Predicts rows with '$title': prints what `gatelet predict --file rows.npz` prints.
 *
 * Rows are read from standard input: the numbers of a row in any lines, an empty line behind it.$of_inputs
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "print.h"

static const int is_ids[] = {$is_ids};
static const size_t fixed[] = {$fixed};   /* numbers of each input, where they do not depend on the timesteps */
static const size_t of_step[] = {$of_step}; /* numbers of a timestep of each input, else */

static void *memory(size_t bytes) { /* aligned to 64 */
    unsigned char *const found = calloc(1, bytes + 64);
    if (found == NULL) {
        fputs("there is no memory\n", stderr);
        exit(1);
    }
    return found + (64 - (uintptr_t)found % 64);
}

static int predict(const double *numbers, size_t count) {
    static long row;
    const void *inputs[${PREFIX}_INPUTS];
    float *outputs[${PREFIX}_OUTPUTS];
    int32_t counts[${PREFIX}_OUTPUTS], sizes[${PREFIX}_SIZES + 1];
    size_t whole = 0, each = 0;
    for (int i = 0; i < ${PREFIX}_INPUTS; i++) {
        whole += fixed[i];
        each += of_step[i];
    }
    const size_t steps = each > 0 && count > whole ? (count - whole) / each : 0;
    if (count != whole + steps * each || (each > 0 && steps == 0)) {
        fprintf(stderr, "a row of %lu numbers: expected %lu, and %lu a timestep\n",
                (unsigned long)count, (unsigned long)whole, (unsigned long)each);
        return 1;
    }
    for (int i = 0; i < ${PREFIX}_INPUTS; i++) {
        const size_t n = fixed[i] + steps * of_step[i];
        float *const floats = memory(4 * n);
        for (size_t j = 0; j < n; j++) {
            if (is_ids[i]) {
                ((int32_t *)floats)[j] = (int32_t)*numbers++;
            } else {
                floats[j] = (float)*numbers++;
            }
        }
        inputs[i] = floats;
    }
    for (int i = 0; i <= ${PREFIX}_SIZES; i++) {
        sizes[i] = (int32_t)steps;
    }
    for (int i = 0; i < ${PREFIX}_OUTPUTS; i++) {
        int32_t shape[8];
        const int32_t rank = ${prefix}_output_shape(i, 1, sizes, shape);
        counts[i] = 1;
        for (int axis = 0; axis < rank; axis++) {
            counts[i] *= shape[axis];
        }
        outputs[i] = memory(4 * (size_t)counts[i]);
    }
    void *const scratch = memory(${prefix}_scratch_bytes(1, sizes));
    if (${prefix}_run(${prefix}_weights, inputs, sizes, 1, outputs, scratch) != ${PREFIX}_OK) {
        fputs("this row cannot be predicted\n", stderr);
        return 1;
    }
    printf("%ld  ", row++);
    print_row(outputs, counts, $ids_of_row);
    printf("\n");
    return 0; /* what a row took is never freed: this is an example */
}

int main(void) {
    static char line[1 << 16];
    double *numbers = NULL;
    size_t count = 0, most = 0;
    int failed = 0, is_open = 1;
    while (is_open) {
        is_open = fgets(line, sizeof line, stdin) != NULL;
        char *at = line, *end = line;
        at[is_open ? strcspn(at, "\r\n") : 0] = 0;
        if (*at == 0) {
            failed |= count > 0 && predict(numbers, count);
            count = 0;
        }
        for (; *(at += strspn(at, " \t,;[]()")) != 0; at = end) {
            if (count == most) {
                most = 2 * most + 64;
                numbers = realloc(numbers, most * sizeof *numbers);
            }
            const double number = strtod(at, &end);
            if (end == at || numbers == NULL) {
                fprintf(stderr, "'%.20s' is no number\n", at);
                return 1;
            }
            numbers[count++] = number;
        }
    }
    return failed;
}
