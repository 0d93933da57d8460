
static inline void print_${name}_steps(const float *scores, int32_t count, const int32_t *ids) {
    int is_first = 1;
    for (int32_t t = 0; t < count / $width; t++) {
        if (ids == NULL || ids[$place] != 0) {
            SAY(is_first ? "" : ", ");
            print_$name(scores + t * $width, $width, " ");
            is_first = 0;
        }
    }
    SAY(is_first ? "-" : "");
}
