
void NAME(reset)(void *state, int32_t rows) {
    if (state != NULL && rows > 0) {
        memset(state, 0, ${PREFIX}_STATE_BYTES(rows));
    }
}

int NAME(step)(const void *weights, $step_argument, int32_t rows,
               int32_t timesteps, $step_result, void *state, void *scratch) {
    static const size_t floats[] = {$states}; /* of a row */
    const void *from[${PREFIX}_STEP_INPUTS]$step_from;
    float *to[${PREFIX}_STEP_OUTPUTS]$step_to, *place = (float *)state;
    const int32_t sizes[] = {$step_timesteps};
    if (state == NULL || !is_aligned(state) || rows < 0$step_checks) {
        return ${PREFIX}_BAD_ARGUMENT;
    }
$step_copies    for (int32_t i = 0; i < ${PREFIX}_STEP_INPUTS - ${PREFIX}_INPUTS; i++) {
        from[${PREFIX}_INPUTS + i] = place; /* read before it is written */
        to[${PREFIX}_OUTPUTS + i] = place;
        place += (size_t)rows * floats[i];
    }
    return NAME(step_run)(weights, from, sizes, rows, to, scratch);
}
