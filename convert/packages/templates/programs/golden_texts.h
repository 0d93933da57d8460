
static inline int golden_wrong_texts(void) {
    ${PREFIX}_ALIGNED(64) static unsigned char scratch[${PREFIX}_TEXT_SCRATCH_BYTES];
    int wrong = 0;
    for (int i = 0; i < GOLDEN_ROWS; i++) {
        const int bad = ${prefix}_predict_text(${prefix}_weights, ${prefix}_vocabulary, golden_texts[i],
                                          golden_bytes[i], golden_scores, scratch);
        wrong += bad != 0 || golden_differs(golden_expected[i], 0, GOLDEN_SCORES);
    }
    return wrong;
}
