
int NAME(predict_text)(const void *weights, const void *vocabulary, const char *utf8,
                       size_t bytes, float *scores, void *scratch) {
    const int32_t timesteps = ${PREFIX}_MAXLEN;
    const void *inputs[] = {scratch};
    float *outputs[] = {scores};
    if (scratch == NULL ||
        NAME(ids_of_text)(vocabulary, utf8, bytes, (int32_t *)scratch) < 0) {
        return ${PREFIX}_BAD_ARGUMENT;
    }
    return NAME(run)(weights, inputs, &timesteps, 1, outputs,
                     (char *)scratch + 4 * GATELET_ROUNDED(${PREFIX}_MAXLEN));
}
