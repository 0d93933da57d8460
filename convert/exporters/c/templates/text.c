
static const unsigned char vocabulary_digest[] = {$vocabulary_digest};

int32_t NAME(ids_of_text)(const void *vocabulary, const char *utf8, size_t bytes, int32_t *ids) {
    const void *const weights = vocabulary;
    uint8_t token[$token_bytes];
    if (vocabulary == NULL || !is_aligned(vocabulary) || (utf8 == NULL && bytes > 0) ||
        ids == NULL || !is_aligned(ids) ||
        memcmp(vocabulary, vocabulary_digest, sizeof vocabulary_digest) != 0) {
        return -1;
    }
$vectorizer
    return gatelet_ids_of_text(&v, utf8, bytes, token, ids);
}
$predict_text
