
int32_t NAME(${form}output_shape)(int32_t output, int32_t rows, const int32_t *sizes,
                                  int32_t *shape) {
    if (shape == NULL || (sizes == NULL && ${PREFIX}_${FORM}SIZES > 0)) {
        return -1;
    }
$sizes_used
    shape[0] = rows;
    switch (output) {
$shapes
    default: return -1;
    }
}

size_t NAME(${form}scratch_bytes)(int32_t rows, const int32_t *sizes) {
    const int32_t B = rows < 1 ? 1 : rows;
    size_t elements[${PREFIX}_${FORM}INPUTS + ${PREFIX}_${FORM}OUTPUTS];
    if (!gatelet_has_room(&${kind}_function, sizes, B, elements)) {
        return SIZE_MAX;
    }
$sizes_used
    return ${PREFIX}_${FORM}SCRATCH_BYTES($macro_parameters);
}

int NAME(${form}run)(const void *weights, const void *const *inputs, const int32_t *sizes,
                     int32_t rows, float *const *outputs, void *scratch) {
    const void *from[${PREFIX}_${FORM}INPUTS];
    float *to[${PREFIX}_${FORM}OUTPUTS];
    size_t elements[${PREFIX}_${FORM}INPUTS + ${PREFIX}_${FORM}OUTPUTS];
    struct gatelet_call call = {
        .weights = weights, .inputs = inputs, .sizes = sizes, .rows = rows, .outputs = outputs,
        .scratch = (float *)scratch, .from = from, .to = to, .elements = elements};
    const int bad = gatelet_look_at(&${kind}_function, &call);
    if (!bad) {
        $blocks(&${kind}_function, &call, ${kind}_layers);
    }
    return bad;
}
