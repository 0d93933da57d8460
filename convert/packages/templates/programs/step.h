/* Feeds a timestep to '$title', and prints what `gatelet predict --stream` prints after it.
 *
 * A line holds the numbers of a timestep$of_inputs; an empty one starts a new sequence.
 */
#ifndef ${PREFIX}_STEP_H
#define ${PREFIX}_STEP_H

#include <stdlib.h>
#include <string.h>

#include "print.h"

#ifndef SAY_COUNT
#define SAY_COUNT(number) printf("%ld", number)
#endif

static int take_line(const char *line) {
    ${PREFIX}_ALIGNED(64) static unsigned char scratch[${PREFIX}_STEP_SCRATCH_BYTES($step_scratch_of)];
    ${PREFIX}_ALIGNED(64) static unsigned char state[${PREFIX}_STATE_BYTES(1)];
    static long steps;
$step_arrays
$static_outputs
    const void *const inputs[] = {$step_inputs};
    int bad = 0, is_empty = line[strspn(line, " \t\r\n")] == 0;
    if (is_empty || steps == 0) {
        ${prefix}_reset(state, 1);
        steps = 0;
    }
    if (is_empty) {
        return 0;
    }
$read
    bad |= line[strspn(line, " \t\r\n,;[]()")] != 0; /* there is more on it */
    if (bad || ${prefix}_step(${prefix}_weights, $step_given, 1, 1, $step_made, state, scratch) != ${PREFIX}_OK) {
        SAY("a timestep has $numbers numbers\n");
        return 1;
    }
    SAY_COUNT(++steps);
    SAY("  ");
    print_step(outputs, counts);
    SAY("\n");
    return 0;
}

#endif
