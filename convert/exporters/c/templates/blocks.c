
/* Rows in the order they come in. */
static void ${form}run_blocks(const void *weights, const void *const *inputs, const int32_t *sizes,
                       int32_t rows, float *const *outputs, float *scratch) {
    for (int32_t first = 0; first < rows; first += ROWS_AT_ONCE) {
        const void *from[${PREFIX}_${FORM}INPUTS];
        float *to[${PREFIX}_${FORM}OUTPUTS];
        for (int32_t i = 0; i < ${PREFIX}_${FORM}INPUTS; i++) {
            from[i] = (const char *)inputs[i] + (size_t)first * ${form}input_bytes(i, sizes);
        }
        for (int32_t i = 0; i < ${PREFIX}_${FORM}OUTPUTS; i++) {
            to[i] = outputs[i] + (size_t)first * ${form}output_floats(i, sizes);
        }
        const int32_t left = rows - first;
        ${form}run_rows(weights, from, sizes, left < ROWS_AT_ONCE ? left : ROWS_AT_ONCE, to, scratch);
    }
}
