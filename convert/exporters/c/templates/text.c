
static const unsigned char vocabulary_head[GATELET_HEAD_BYTES] = {$vocabulary_head};

int32_t NAME(ids_of_text)(const void *vocabulary, const char *utf8, size_t bytes, int32_t *ids) {
    const void *const weights = vocabulary;
    uint8_t token[$token_bytes];
    if (!gatelet_is_own(vocabulary, vocabulary_head)) {
        return -1;
    }
$vectorizer
    return gatelet_ids_of_text(&v, utf8, bytes, token, ids);
}
