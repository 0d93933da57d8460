
/* Texts. The vocabulary is a file of its own, aligned to 4 bytes. */
#define ${PREFIX}_MAXLEN $maxlen
#define ${PREFIX}_VOCABULARY_BYTES ((size_t)$vocabulary_bytes)
extern const unsigned char ${prefix}_vocabulary[]; /* as ${prefix}_weights */

/* Gives exactly MAXLEN ids, as the bundle's vectorizer does in Python. Bytes that are no UTF-8 are
 * read as U+FFFD, as bytes.decode("utf-8", "replace") does. Returns the number of real ids, or -1
 * for a NULL or another vocabulary. */
int32_t ${prefix}_ids_of_text(const void *vocabulary, const char *utf8, size_t bytes,
                              int32_t *ids);
