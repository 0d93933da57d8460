
int NAME(predict)(const void *weights, const $c_type *$input, int32_t rows,$timesteps_argument float *scores,
                  void *scratch) {
    const void *inputs[] = {$input};
    float *outputs[] = {scores};
    return NAME(run)(weights, inputs, $sizes_argument, rows, outputs, scratch);
}
