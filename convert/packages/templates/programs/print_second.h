
static inline void print_$name(const float *scores, int32_t count, const char *between) {
    static const char *const labels[] = ${PREFIX}_LABEL_NAMES;
    const int second = scores[0] >= ${PREFIX}_THRESHOLD;
    (void)count;
    SAY(labels[second]);
    SAY(between);
    SAY_SCORE(second ? (double)scores[0] : 1.0 - (double)scores[0]);
}
