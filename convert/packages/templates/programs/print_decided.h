
static inline void print_$name(const float *scores, int32_t count, const char *between) {
    float of_labels[${PREFIX}${PART}_LABELS];
    uint8_t chosen[${PREFIX}${PART}_LABELS];
    const int32_t first = ${prefix}${part}_decide(scores, of_labels, chosen);
    (void)count;
    SAY(${prefix}${part}_labels[first]);
    SAY(between);
    SAY_SCORE((double)of_labels[first]);
}
