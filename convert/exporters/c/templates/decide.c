
const char *const NAME(${stem}labels)[] = {$labels};

int32_t NAME(${stem}decide)(const float *outputs, float *scores, uint8_t *chosen) {
    const float thresholds[] = {$thresholds};
    int32_t first = -1;
$activate
    for (int32_t i = 0; i < ${PREFIX}${PART}_LABELS; i++) {
        chosen[i] = $chooses;
        first = first < 0 && chosen[i] ? i : first;
    }
    return first;
}
