
#define ${PREFIX}_TEXT_SCRATCH_BYTES \
    (4 * ${PREFIX}_ROUNDED_(${PREFIX}_MAXLEN) + ${PREFIX}_SCRATCH_BYTES($text_sizes))

/* Predicts one text: scores [$scores_text]. */
int ${prefix}_predict_text(const void *weights, const void *vocabulary, const char *utf8,
                           size_t bytes, float *scores, void *scratch);
