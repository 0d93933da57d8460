/* Predicts texts with the model 'text' (c dynamic-int8). In the bundle's folder:
 *
 *     cc -O3 -o predict c-dynamic-int8-example-*.c c-dynamic-int8-model-d7cca206a039.c && ./predict "a text"
 */
#include <stdio.h>
#include <string.h>

#include "c-dynamic-int8-model-3202de43e3de.h"

static _Alignas(64) unsigned char weights[TEXT_WEIGHTS_BYTES]; /* an mmap would do too */
static _Alignas(64) unsigned char vocabulary[TEXT_VOCABULARY_BYTES];
static _Alignas(64) unsigned char scratch[TEXT_TEXT_SCRATCH_BYTES];

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
    if (!read_file("c-dynamic-int8-dfe2825c8cbe.bin", weights, sizeof weights) ||
        !read_file("c-vocabulary-3e8d2d1e7819.bin", vocabulary, sizeof vocabulary)) {
        return 1;
    }
    if (text_check(weights, sizeof weights) != TEXT_OK) {
        fprintf(stderr, "'c-dynamic-int8-dfe2825c8cbe.bin' does not belong to this program\n");
        return 1;
    }
    for (int i = 1; i < count; i++) {
        float scores[1];
        if (text_predict_text(weights, vocabulary, texts[i], strlen(texts[i]), scores,
                                   scratch) != TEXT_OK) {
            fprintf(stderr, "'%s' cannot be predicted\n", texts[i]);
            return 1;
        }
        for (int j = 0; j < 1; j++) {
            printf("%.6f ", (double)scores[j]);
        }
        printf(" %s\n", texts[i]);
    }
    return 0;
}
