
static inline void print_$name(const float *scores, int32_t count, const char *between) {
    for (int32_t i = 0; i < count; i++) {
        SAY(i > 0 ? between : "");
        SAY_NUMBER(scores[i]);
    }
}
