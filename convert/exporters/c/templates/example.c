/* Predicts texts with the model '$title' ($target_scheme). In the bundle's folder:
 *
 *     cc -O3 -o predict $example_name $source_name && ./predict "a text"
 */
#include <stdio.h>
#include <string.h>

#include "$header_name"

static _Alignas(64) unsigned char weights[${PREFIX}_WEIGHTS_BYTES]; /* an mmap would do too */
static _Alignas(64) unsigned char vocabulary[${PREFIX}_VOCABULARY_BYTES];
static _Alignas(64) unsigned char scratch[${PREFIX}_TEXT_SCRATCH_BYTES];

static int read_file(const char *name, void *data, size_t bytes) {
    FILE *file = fopen(name, "rb");
    const int is_whole = file != NULL && fread(data, 1, bytes, file) == bytes;
    if (file != NULL) {
        fclose(file);
    }
    if (!is_whole) {
        fprintf(stderr, "cannot read '%s': run this in the bundle's folder\n", name);
    }
    return is_whole;
}

int main(int count, char **texts) {
    if (!read_file("$weights_name", weights, sizeof weights) ||
        !read_file("$vocabulary_name", vocabulary, sizeof vocabulary)) {
        return 1;
    }
    if (${prefix}_check(weights, sizeof weights) != ${PREFIX}_OK) {
        fprintf(stderr, "'$weights_name' does not belong to this program\n");
        return 1;
    }
    for (int i = 1; i < count; i++) {
        float scores[$scores_count];
        if (${prefix}_predict_text(weights, vocabulary, texts[i], strlen(texts[i]), scores,
                                   scratch) != ${PREFIX}_OK) {
            fprintf(stderr, "'%s' cannot be predicted\n", texts[i]);
            return 1;
        }
$print_scores
        printf(" %s\n", texts[i]);
    }
    return 0;
}
