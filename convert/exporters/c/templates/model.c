
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

static int is_aligned(const void *numbers) { return (uintptr_t)numbers % 4 == 0; }

/* By the digest of all weights, with which they begin. */
static int is_own(const void *weights) {
    return weights != NULL && is_aligned(weights) && memcmp(weights, digest, sizeof digest) == 0;
}

int NAME(check)(const void *weights, size_t bytes) {
    return bytes == ${PREFIX}_WEIGHTS_BYTES && is_own(weights) ? ${PREFIX}_OK : ${PREFIX}_BAD_WEIGHTS;
}

static int check_ids(const int32_t *ids, size_t n, int32_t vocabulary) {
    for (size_t i = 0; i < n; i++) {
        if (ids[i] < 0 || ids[i] >= vocabulary) {
            return ${PREFIX}_BAD_ID;
        }
    }
    return ${PREFIX}_OK;
}

$whole$extras$step_source
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
$step_library#endif
