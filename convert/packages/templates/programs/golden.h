/* Golden rows of '$title' ($target_scheme), and their check. Made by gatelet export: do not edit.
 *
 * golden_wrong() runs them, and returns how many have other scores than on the computer that made
 * this: 0 if all is well. GOLDEN_WHOLE 0 leaves out whole rows where steps are checked too, which
 * takes less memory.
 */
#ifndef ${PREFIX}_GOLDEN_H
#define ${PREFIX}_GOLDEN_H

#include <stddef.h>
#include <stdint.h>

#include "$header"

#define GOLDEN_ROWS $rows
#define GOLDEN_SCORES $scores
#define GOLDEN_LIMIT $limit /* $limit_why */
#define GOLDEN_STEPS $steps /* timesteps of a row that is fed step by step, or 0 */
#ifndef GOLDEN_WHOLE
#define GOLDEN_WHOLE 1
#endif

$arrays
static const void *const golden_inputs[GOLDEN_ROWS][$inputs_count] = {$inputs};
${PREFIX}_ALIGNED(4) static const float golden_expected[GOLDEN_ROWS][GOLDEN_SCORES] = {
$expected
};
${PREFIX}_ALIGNED(4) static float golden_scores[GOLDEN_SCORES];
$texts
static inline int golden_differs(const float *expected, int32_t first, int32_t count) {
    for (int32_t i = first; i < first + count; i++) {
        const float apart = golden_scores[i] - expected[i];
        if (!(apart <= GOLDEN_LIMIT && -apart <= GOLDEN_LIMIT)) { /* of a NaN too */
            return 1;
        }
    }
    return 0;
}

#if GOLDEN_WHOLE || GOLDEN_STEPS == 0
static inline int golden_wrong_rows(void) {
    ${PREFIX}_ALIGNED(64) static unsigned char scratch[${PREFIX}_SCRATCH_BYTES($scratch_of)];
    static const int32_t sizes[] = {$sizes};
    float *const outputs[] = {$outputs};
    int wrong = 0;
    for (int i = 0; i < GOLDEN_ROWS; i++) {
        const int bad = ${prefix}_run(${prefix}_weights, golden_inputs[i], sizes, 1, outputs, scratch);
        wrong += bad != 0 || golden_differs(golden_expected[i], 0, GOLDEN_SCORES);
    }
    return wrong;
}
#endif
$step_check$text_check
static inline int golden_wrong(void) {
    int wrong = ${prefix}_check(${prefix}_weights, ${PREFIX}_WEIGHTS_BYTES) != ${PREFIX}_OK;
#if GOLDEN_WHOLE || GOLDEN_STEPS == 0
    wrong += golden_wrong_rows();
#endif
$calls
    return wrong;
}

#endif
