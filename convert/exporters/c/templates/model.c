
/* The model '$title': $target_scheme. */

#define AT(type, offset) ((const type *)(const void *)((const char *)weights + (offset)))
#define ROUNDED(floats) (((size_t)(floats) + 15) / 16 * 16)
#define ROWS_AT_ONCE ${PREFIX}_ROWS_AT_ONCE
#if defined(GATELET_SUFFIX)
#define GATELET_JOIN_(a, b) a##b
#define GATELET_JOIN(a, b) GATELET_JOIN_(a, b)
#define NAME(stem) GATELET_JOIN(${prefix}_##stem, GATELET_SUFFIX)
#else
#define NAME(stem) ${prefix}_##stem
#endif

static const unsigned char digest[] = {$digest};

int NAME(check)(const void *weights, size_t bytes) {
    if (weights == NULL || bytes != ${PREFIX}_WEIGHTS_BYTES || (uintptr_t)weights % 4 != 0) {
        return ${PREFIX}_BAD_WEIGHTS;
    }
    return memcmp(weights, digest, sizeof digest) == 0 ? ${PREFIX}_OK : ${PREFIX}_BAD_WEIGHTS;
}

/* All layers for B rows, at most ROWS_AT_ONCE. */
static void run_rows(const void *weights, const void *const *inputs, const int32_t *sizes,
                     int32_t B, float *const *outputs, float *scratch) {
$body
}

/* The bytes of one row of an input, and the floats of one row of an output. */
static size_t input_bytes(int32_t input, const int32_t *sizes) {
$sizes_used
    switch (input) {
$input_cases
    default: return 0;
    }
}

static size_t output_floats(int32_t output, const int32_t *sizes) {
$sizes_used
    switch (output) {
$output_cases
    default: return 0;
    }
}

int32_t NAME(output_shape)(int32_t output, int32_t rows, const int32_t *sizes, int32_t *shape) {
$sizes_used
    shape[0] = rows;
    switch (output) {
$shape_cases
    default: return -1;
    }
}

size_t NAME(scratch_bytes)(int32_t rows, const int32_t *sizes) {
$sizes_used
    const int32_t B = rows < 1 ? 1 : rows;
    return ${PREFIX}_SCRATCH_BYTES($macro_arguments);
}

static int check_ids(const int32_t *ids, size_t n, int32_t vocabulary) {
    for (size_t i = 0; i < n; i++) {
        if (ids[i] < 0 || ids[i] >= vocabulary) {
            return ${PREFIX}_BAD_ID;
        }
    }
    return ${PREFIX}_OK;
}

static int check_inputs(const void *const *inputs, const int32_t *sizes, int32_t rows) {
    static const int32_t vocabularies[] = {$vocabularies}; /* 0 for features */
    for (int32_t i = 0; i < ${PREFIX}_SIZES; i++) {
        if (sizes[i] < 1 || sizes[i] > ${PREFIX}_LARGEST_SIZE) {
            return ${PREFIX}_BAD_ARGUMENT;
        }
    }
    for (int32_t i = 0; i < ${PREFIX}_INPUTS; i++) {
        if (inputs[i] == NULL) {
            return ${PREFIX}_BAD_ARGUMENT;
        }
        const size_t n = (size_t)rows * input_bytes(i, sizes) / sizeof(int32_t);
        if (vocabularies[i] && check_ids((const int32_t *)inputs[i], n, vocabularies[i])) {
            return ${PREFIX}_BAD_ID;
        }
    }
    return ${PREFIX}_OK;
}
$blocks
int NAME(run)(const void *weights, const void *const *inputs, const int32_t *sizes, int32_t rows,
              float *const *outputs, void *scratch) {
    if (weights == NULL || inputs == NULL || outputs == NULL || scratch == NULL || rows < 0 ||
        (sizes == NULL && ${PREFIX}_SIZES > 0)) {
        return ${PREFIX}_BAD_ARGUMENT;
    }
    const int bad = rows > 0 ? check_inputs(inputs, sizes, rows) : ${PREFIX}_OK;
    if (bad) {
        return bad;
    }
    run_blocks(weights, inputs, sizes, rows, outputs, (float *)scratch);
    return ${PREFIX}_OK;
}
$extras
#if defined(GATELET_LIBRARY)
static const char description[] = $description;

const struct gatelet_library NAME(library) = {
    GATELET_ABI, description, ${PREFIX}_WEIGHTS_BYTES, NAME(check), NAME(scratch_bytes),
    NAME(output_shape), NAME(run), $ids_of_text};

#if defined(GATELET_ONE_LEVEL)
GATELET_EXPORT const struct gatelet_library *gatelet_open(int32_t level) {
    return level <= 0 ? &NAME(library) : NULL;
}
#endif
#endif
