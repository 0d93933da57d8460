/* Feeds hostile ids, sizes and bytes to a model for some rounds, under sanitizers.
 *
 *     hostile SEED ROUNDS
 *
 * Buffers are of exactly the promised sizes, so that one byte beyond is seen.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "golden.h"
#include "model.h"

static uint64_t state;

static uint32_t draw(uint32_t below) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(state >> 33) % below;
}

static void *take(size_t bytes) {
    void *memory = aligned_alloc(64, (bytes + 63) / 64 * 64);
    if (memory == NULL) {
        exit(9);
    }
    return memory;
}

static int32_t hostile_id(void) {
    static const int32_t odd[] = {-1, INT32_MIN, INT32_MAX, VOCABULARY, VOCABULARY - 1, 0};
    return draw(40) == 0 ? odd[draw(6)] : (int32_t)draw(VOCABULARY);
}

static void predict_ids(const void *weights) {
    const int32_t rows = (int32_t)draw(20), timesteps = (int32_t)draw(30);
    const size_t n = (size_t)rows * (size_t)timesteps;
    int32_t *ids = malloc(n * sizeof *ids + 1);
    float *scores = malloc((size_t)rows * sizeof *scores + 1);
    void *scratch = take(MODEL_SCRATCH_BYTES(rows < 1 ? 1 : rows, timesteps));
    const uint32_t kind = draw(3);
    for (size_t i = 0; i < n; i++) {
        ids[i] = kind == 0 ? hostile_id() : kind == 1 || draw(2) ? 0 : (int32_t)draw(VOCABULARY);
    }
    const int found = model_predict(weights, ids, rows, timesteps, scores, scratch);
    for (int32_t i = 0; found == MODEL_OK && i < rows; i++) {
        if (!(scores[i] >= 0.0f && scores[i] <= 1.0f)) {
            exit(5);
        }
    }
    free(ids);
    free(scores);
    free(scratch);
}

static void predict_bytes(const void *weights, const void *vocabulary) {
    static const unsigned char leads[] = {' ', 'a', 0xce, 0xa3, 0xe0, 0xed, 0xf0, 0xf4, 0xff, 0x80};
    const size_t n = draw(draw(20) ? 40 : 2000);
    char *text = malloc(n + 1);
    float score;
    for (size_t i = 0; i < n; i++) {
        text[i] = (char)(draw(2) ? leads[draw(sizeof leads)] : draw(256));
    }
    void *scratch = take(MODEL_TEXT_SCRATCH_BYTES);
    if (model_predict_text(weights, vocabulary, text, n, &score, scratch) != MODEL_OK) {
        exit(6);
    }
    free(text);
    free(scratch);
}

int main(int count, char **arguments) {
    if (count != 3 || model_check(weights, sizeof weights) != MODEL_OK) {
        return 2;
    }
    state = strtoull(arguments[1], NULL, 10);
    for (long round = strtol(arguments[2], NULL, 10); round > 0; round--) {
        predict_ids(weights);
        predict_bytes(weights, vocabulary);
    }
    puts("clean");
    return 0;
}
