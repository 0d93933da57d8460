/* Predicts a text with '$title', and prints what `gatelet predict` prints of it. */
#ifndef ${PREFIX}_TEXT_H
#define ${PREFIX}_TEXT_H

#include <string.h>

#include "print.h"

static int take_line(const char *text) {
    ${PREFIX}_ALIGNED(64) static unsigned char scratch[${PREFIX}_SCRATCH_BYTES($scratch_of)];
    static int32_t ids[${PREFIX}_MAXLEN];
$static_outputs
    const int32_t sizes[] = {$sizes};
    const void *const inputs[] = {ids};
    if (${prefix}_ids_of_text(${prefix}_vocabulary, text, strlen(text), ids) < 0 ||
        ${prefix}_run(${prefix}_weights, inputs, sizes, 1, outputs, scratch) != ${PREFIX}_OK) {
        SAY("this text cannot be predicted\n");
        return 1;
    }
    print_row(outputs, counts, ids);
    SAY("  ");
    SAY(text);
    SAY("\n");
    return 0;
}

#endif
