/* Predicts texts with the model '$title' ($target_scheme). In the bundle's folder:
 *
 *     cc -O3 -o predict $example_name $source_name && ./predict "a text"
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "$header_name"

/* Reads a whole file into memory that is aligned to 64 bytes; an mmap would do too. */
static void *read_file(const char *name, size_t bytes) {
    FILE *file = fopen(name, "rb");
    void *data = aligned_alloc(64, (bytes + 63) / 64 * 64);
    if (file == NULL || data == NULL || fread(data, 1, bytes, file) != bytes) {
        fprintf(stderr, "cannot read '%s': run this in the bundle's folder\n", name);
        exit(1);
    }
    fclose(file);
    return data;
}

int main(int count, char **texts) {
    static _Alignas(64) char scratch[${PREFIX}_TEXT_SCRATCH_BYTES];
    const void *weights = read_file("$weights_name", ${PREFIX}_WEIGHTS_BYTES);
    const void *vocabulary = read_file("$vocabulary_name", ${PREFIX}_VOCABULARY_BYTES);
    if (${prefix}_check(weights, ${PREFIX}_WEIGHTS_BYTES) != ${PREFIX}_OK) {
        fprintf(stderr, "'$weights_name' does not belong to this program\n");
        return 1;
    }
    for (int i = 1; i < count; i++) {
        float scores[$scores_count];
        if (${prefix}_predict_text(weights, vocabulary, texts[i], strlen(texts[i]), scores,
                                   scratch) != ${PREFIX}_OK) {
            return 1;
        }
        for (int j = 0; j < $scores_count; j++) {
            printf("%.6f ", scores[j]);
        }
        printf(" %s\n", texts[i]);
    }
    return 0;
}
