
void NAME(reset)(void *state, int32_t rows) {
    if (state != NULL && rows > 0) {
        memset(state, 0, ${PREFIX}_STATE_BYTES(rows));
    }
}

int NAME(step)(const void *weights, $step_argument, int32_t rows,
               int32_t timesteps, $step_result, void *state, void *scratch) {
    const void *from[${PREFIX}_STEP_INPUTS];
    float *to[${PREFIX}_STEP_OUTPUTS];
    size_t elements[${PREFIX}_STEP_INPUTS + ${PREFIX}_STEP_OUTPUTS];
    const int32_t sizes[] = {$step_timesteps};
    struct gatelet_call call = {
        .weights = weights, .inputs = $step_inputs_given, .sizes = sizes, .rows = rows, .outputs = $step_outputs_given,
        .scratch = (float *)scratch, .from = from, .to = to, .elements = elements};
    int bad = gatelet_add_states(&step_function, &call, state);
    if (!bad) {
        bad = gatelet_look_at(&step_function, &call);
    }
    if (!bad) {
        $step_blocks(&step_function, &call, step_layers);
    }
    return bad;
}
