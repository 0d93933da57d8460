
static inline void print_$name(const float *scores, int32_t count, const char *between) {
    static const char *const labels[] = ${PREFIX}_LABEL_NAMES;
    int32_t largest = 0;
    (void)count;
    for (int32_t i = 1; i < ${PREFIX}_LABELS; i++) {
        const int is_number = scores[i] == scores[i]; /* else it never wins */
        if (is_number && (scores[i] > scores[largest] || scores[largest] != scores[largest])) {
            largest = i;
        }
    }
    SAY(labels[largest]);
    SAY(between);
    SAY_SCORE((double)scores[largest]);
}
