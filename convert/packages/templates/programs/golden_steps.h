
static inline int golden_wrong_steps(void) {
    ${PREFIX}_ALIGNED(64) static unsigned char scratch[${PREFIX}_STEP_SCRATCH_BYTES($step_scratch_of)];
    ${PREFIX}_ALIGNED(64) static unsigned char state[${PREFIX}_STATE_BYTES(1)];
    float *const outputs[] = {$outputs};
    int wrong = 0;
    for (int i = 0; i < GOLDEN_ROWS; i++) {
        const float *const expected = golden_expected[i];
        int bad = 0;
        ${prefix}_reset(state, 1);
        for (int32_t t = 0; t < GOLDEN_STEPS; t++) {
            const void *const inputs[] = {$step_inputs};
            bad |= ${prefix}_step(${prefix}_weights, $step_given, 1, 1, $step_made, state, scratch);
        }
        wrong += bad != 0$step_differs;
    }
    return wrong;
}
