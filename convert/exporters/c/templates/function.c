/* All layers for B rows, at most ROWS_AT_ONCE. */
static void ${form}run_rows(const void *weights, const void *const *inputs,
                            const int32_t *sizes, int32_t B, float *const *outputs,
                            float *scratch) {
$body
}

/* The bytes of one row of an input, and the floats of one row of an output. */
static size_t ${form}input_bytes(int32_t input, const int32_t *sizes) {
$sizes_used
    switch (input) {
$input_cases
    default: return 0;
    }
}

static size_t ${form}output_floats(int32_t output, const int32_t *sizes) {
$sizes_used
    switch (output) {
$output_cases
    default: return 0;
    }
}

int32_t NAME(${form}output_shape)(int32_t output, int32_t rows, const int32_t *sizes,
                                  int32_t *shape) {
    if (shape == NULL || (sizes == NULL && ${PREFIX}_${FORM}SIZES > 0)) {
        return -1;
    }
$sizes_used
    shape[0] = rows;
    switch (output) {
$shape_cases
    default: return -1;
    }
}

/* A processor of 32 bits has no address for some of the sizes. */
static int ${form}fits(int32_t rows, const int32_t *sizes) {
$sizes_used
    const int32_t B = rows < ROWS_AT_ONCE ? rows : ROWS_AT_ONCE;
    const uint64_t floats = $wide_floats;
    (void)B;
    return floats <= SIZE_MAX / 8;
}

size_t NAME(${form}scratch_bytes)(int32_t rows, const int32_t *sizes) {
    if (sizes == NULL && ${PREFIX}_${FORM}SIZES > 0) {
        return SIZE_MAX;
    }
$sizes_used
    const int32_t B = rows < 1 ? 1 : rows;
    return ${form}fits(B, sizes) ? ${PREFIX}_${FORM}SCRATCH_BYTES($macro_arguments) : SIZE_MAX;
}

static int ${form}check_inputs(const void *const *inputs, const int32_t *sizes, int32_t rows) {
    static const int32_t vocabularies[] = {$vocabularies}; /* 0 for features */
    for (int32_t i = 0; i < ${PREFIX}_${FORM}SIZES; i++) {
        if (sizes[i] < 1 || sizes[i] > ${PREFIX}_LARGEST_SIZE) {
            return ${PREFIX}_BAD_ARGUMENT;
        }
    }
    if (!${form}fits(rows, sizes)) {
        return ${PREFIX}_BAD_ARGUMENT;
    }
    for (int32_t i = 0; i < ${PREFIX}_${FORM}INPUTS; i++) {
        if (inputs[i] == NULL || !is_aligned(inputs[i])) {
            return ${PREFIX}_BAD_ARGUMENT;
        }
        const size_t n = (size_t)rows * ${form}input_bytes(i, sizes) / sizeof(int32_t);
        if (vocabularies[i] && check_ids((const int32_t *)inputs[i], n, vocabularies[i])) {
            return ${PREFIX}_BAD_ID;
        }
    }
    return ${PREFIX}_OK;
}
$blocks
int NAME(${form}run)(const void *weights, const void *const *inputs, const int32_t *sizes,
                     int32_t rows, float *const *outputs, void *scratch) {
    if (weights == NULL || inputs == NULL || outputs == NULL || scratch == NULL ||
        !is_aligned(scratch) || rows < 0 || (sizes == NULL && ${PREFIX}_${FORM}SIZES > 0)) {
        return ${PREFIX}_BAD_ARGUMENT;
    }
    if (!is_own(weights)) {
        return ${PREFIX}_BAD_WEIGHTS;
    }
    for (int32_t i = 0; rows > 0 && i < ${PREFIX}_${FORM}OUTPUTS; i++) {
        if (outputs[i] == NULL || !is_aligned(outputs[i])) {
            return ${PREFIX}_BAD_ARGUMENT;
        }
    }
    const int bad = rows > 0 ? ${form}check_inputs(inputs, sizes, rows) : ${PREFIX}_OK;
    if (bad) {
        return bad;
    }
    ${form}run_blocks(weights, inputs, sizes, rows, outputs, (float *)scratch);
    return ${PREFIX}_OK;
}
