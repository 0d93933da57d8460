
/* Runs rows: scores has what the output has, see ${prefix}_run. */
int ${prefix}_predict(const void *weights, const $c_type *$input, int32_t rows,$timesteps_argument float *scores,
                      void *scratch);
