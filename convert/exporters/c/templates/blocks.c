
/* Rows in the order they come in. */
static void run_blocks(const void *weights, const void *const *inputs, const int32_t *sizes,
                       int32_t rows, float *const *outputs, float *scratch) {
    for (int32_t first = 0; first < rows; first += ROWS_AT_ONCE) {
        const void *from[${PREFIX}_INPUTS];
        float *to[${PREFIX}_OUTPUTS];
        for (int32_t i = 0; i < ${PREFIX}_INPUTS; i++) {
            from[i] = (const char *)inputs[i] + (size_t)first * input_bytes(i, sizes);
        }
        for (int32_t i = 0; i < ${PREFIX}_OUTPUTS; i++) {
            to[i] = outputs[i] + (size_t)first * output_floats(i, sizes);
        }
        const int32_t left = rows - first;
        run_rows(weights, from, sizes, left < ROWS_AT_ONCE ? left : ROWS_AT_ONCE, to, scratch);
    }
}
