/* Feeds the words of a text to '$title', and prints what `gatelet predict --stream` prints.
 *
 * Each word is a timestep. An empty line starts a new sequence.
 */
#ifndef ${PREFIX}_STEP_H
#define ${PREFIX}_STEP_H

#include <string.h>

#include "print.h"

#ifndef SAY_COUNT
#define SAY_COUNT(number) printf("%ld", number)
#endif

static int take_line(const char *line) {
    ${PREFIX}_ALIGNED(64) static unsigned char scratch[${PREFIX}_STEP_SCRATCH_BYTES($step_scratch_of)];
    ${PREFIX}_ALIGNED(64) static unsigned char state[${PREFIX}_STATE_BYTES(1)];
    static int32_t ids[${PREFIX}_MAXLEN];
    static long steps;
$static_outputs
    const int is_empty = line[strspn(line, " \t\r\n")] == 0;
    int32_t first = 0, known;
    if (is_empty || steps == 0) {
        ${prefix}_reset(state, 1);
        steps = 0;
    }
    if (is_empty) {
        return 0;
    }
    known = ${prefix}_ids_of_text(${prefix}_vocabulary, line, strlen(line), ids);
    if (known <= 0) {
        SAY("it has no word that the model knows\n");
        return 0;
    }
    while (ids[first] == 0) { /* padding */
        first++;
    }
    for (int32_t i = first; i < first + known; i++, steps++) {
        const void *const inputs[] = {ids + i};
        if (${prefix}_step(${prefix}_weights, $step_given, 1, 1, $step_made, state, scratch) != ${PREFIX}_OK) {
            SAY("this step cannot be taken\n");
            return 1;
        }
    }
    SAY_COUNT(steps);
    SAY("  ");
    print_step(outputs, counts);
    SAY("  ");
    SAY(line);
    SAY("\n");
    return 0;
}

#endif
