
/* All layers for B rows, at most ${PREFIX}_ROWS_AT_ONCE. */
static void ${kind}_layers(const struct gatelet_call *call, int32_t B) {
$body
}

GATELET_INLINE uint64_t ${kind}_measure(const int32_t *sizes, int32_t B, size_t *elements) {
$sizes_used
    (void)B;
$elements
    return $wide_floats;
}

static const struct gatelet_function ${kind}_function = {
    .inputs = ${PREFIX}_${FORM}INPUTS,
    .outputs = ${PREFIX}_${FORM}OUTPUTS,
    .sizes = ${PREFIX}_${FORM}SIZES,
    .rows_at_once = ${PREFIX}_ROWS_AT_ONCE,
    .head = weights_head,
    .vocabularies = (const int32_t[]){$vocabularies},
    .states = $states,
    .state_floats = (const int32_t[]){$state_floats},
    .measure = ${kind}_measure,
};
