
static inline void print_$name(const float *scores, int32_t count, const char *between) {
    float of_labels[${PREFIX}${PART}_LABELS];
    uint8_t chosen[${PREFIX}${PART}_LABELS];
    int32_t first = ${prefix}${part}_decide(scores, of_labels, chosen);
    (void)count;
    (void)between;
    if (first < 0) {
        SAY("-");
    }
    for (int32_t i = 0; i < ${PREFIX}${PART}_LABELS; i++) {
        if (chosen[i]) {
            SAY(i > first ? ", " : "");
            SAY(${prefix}${part}_labels[i]);
            SAY(" ");
            SAY_SCORE((double)of_labels[i]);
        }
    }
}
