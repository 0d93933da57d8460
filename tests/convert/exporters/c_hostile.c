/* Feeds hostile ids, sizes and bytes to a model, under sanitizers.
 *
 *     clang -fsanitize=fuzzer,address,undefined -DLIBFUZZER ...     libFuzzer chooses the inputs
 *     hostile SEED ROUNDS                                           or they are drawn
 *
 * Buffers are of exactly the promised sizes, so that one byte beyond is seen.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "golden.h"
#include "model.h"

static void *take(size_t bytes) {
    void *memory = aligned_alloc(64, (bytes + 63) / 64 * 64);
    if (memory == NULL) {
        exit(9);
    }
    return memory;
}

/* An id of two bytes: in the vocabulary, 0, or far outside. */
static int32_t id_of(const uint8_t *data) {
    static const int32_t odd[] = {-1, INT32_MIN, INT32_MAX, VOCABULARY, VOCABULARY - 1, 0};
    if (data[0] == 255) {
        return odd[data[1] % 6];
    }
    return data[0] < 96 ? 0 : (data[0] * 256 + data[1]) % VOCABULARY;
}

static int32_t *take_ids(const uint8_t *data, size_t bytes, size_t n) {
    int32_t *ids = malloc(n * sizeof *ids + 1);
    for (size_t i = 0; i < n; i++) {
        ids[i] = bytes < 2 ? 0 : id_of(data + 2 * i % (bytes - 1));
    }
    return ids;
}

static void check_scores(int found, const float *scores, int32_t rows) {
    for (int32_t i = 0; found == MODEL_OK && i < rows; i++) {
        if (!(scores[i] >= 0.0f && scores[i] <= 1.0f)) {
            abort();
        }
    }
}

static void predict_ids(int32_t rows, int32_t timesteps, const uint8_t *data, size_t bytes) {
    int32_t *ids = take_ids(data, bytes, (size_t)rows * (size_t)timesteps);
    float *scores = malloc((size_t)rows * sizeof *scores + 1);
    void *scratch = take(MODEL_SCRATCH_BYTES(rows < 1 ? 1 : rows, timesteps));
    check_scores(model_predict(weights, ids, rows, timesteps, scores, scratch), scores, rows);
    free(ids);
    free(scores);
    free(scratch);
}

static void step_ids(int32_t rows, int32_t timesteps, const uint8_t *data, size_t bytes) {
    int32_t *ids = take_ids(data, bytes, (size_t)rows * (size_t)timesteps);
    float *scores = malloc((size_t)rows * sizeof *scores + 1);
    void *state = malloc(MODEL_STATE_BYTES(rows) + 1);
    void *scratch = take(MODEL_STEP_SCRATCH_BYTES(rows < 1 ? 1 : rows, timesteps));
    model_reset(state, rows);
    for (int32_t i = 0; i < 3; i++) {
        const int found = model_step(weights, ids, rows, timesteps, scores, state, scratch);
        check_scores(found, scores, rows);
    }
    free(ids);
    free(scores);
    free(state);
    free(scratch);
}

static void predict_bytes(const uint8_t *data, size_t bytes) {
    char *text = malloc(bytes + 1); /* without an end, exactly as long */
    float score;
    memcpy(text, data, bytes);
    char *exact = realloc(text, bytes ? bytes : 1);
    void *scratch = take(MODEL_TEXT_SCRATCH_BYTES);
    const int found = model_predict_text(weights, vocabulary, exact, bytes, &score, scratch);
    if (found != MODEL_OK) {
        abort();
    }
    check_scores(found, &score, 1);
    free(exact);
    free(scratch);
}

#if !defined(LIBFUZZER)
static void refuse(int found, int expected, int line) {
    if (found != expected) {
        fprintf(stderr, "line %d: %d instead of %d\n", line, found, expected);
        abort();
    }
}

/* What is missing, not aligned or another model's is named, and nothing is read or written. */
static void refuse_bad_arguments(void) {
    enum { T = 17 };
    static const int32_t ids[T] = {1, 2, 3};
    static _Alignas(64) char scratch[MODEL_SCRATCH_BYTES(1, T) + 64],
        state[MODEL_STATE_BYTES(1) + 4];
    static _Alignas(64) char text[MODEL_TEXT_SCRATCH_BYTES], moved[sizeof weights + 4];
    const void *other = vocabulary;
    const int32_t size = T;
    int32_t shape[8];
    float score = 0.0f, near = 0.0f;
#define BAD(call) refuse(model_##call, MODEL_BAD_ARGUMENT, __LINE__)
    BAD(predict(NULL, ids, 1, T, &score, scratch));
    BAD(predict(weights, NULL, 1, T, &score, scratch));
    BAD(predict(weights, (const int32_t *)(const void *)((const char *)ids + 1), 1, 3, &score,
                scratch));
    BAD(predict(weights, ids, 1, T, NULL, scratch));
    BAD(predict(weights, ids, 1, T, (float *)(void *)(text + 2), scratch));
    BAD(predict(weights, ids, 1, T, &score, NULL));
    BAD(predict(weights, ids, 1, T, &score, scratch + 1));
    BAD(predict(weights, ids, -1, T, &score, scratch));
    BAD(predict(weights, ids, 1, -T, &score, scratch));
    BAD(step(weights, ids, 1, 1, &score, NULL, scratch));
    BAD(step(weights, ids, 1, 1, &score, state + 1, scratch));
    BAD(step(weights, ids, 1, 1, NULL, state, scratch));
    BAD(predict_text(weights, NULL, "a", 1, &score, text));
    BAD(predict_text(weights, weights, "a", 1, &score, text));
    BAD(predict_text(weights, vocabulary, NULL, 1, &score, text));
    BAD(predict_text(weights, vocabulary, "a", 1, &score, text + 1));
    refuse(model_scratch_bytes(1, NULL) == SIZE_MAX, 1, __LINE__);
    refuse(model_output_shape(0, 1, NULL, shape), -1, __LINE__);
    refuse(model_output_shape(0, 1, &size, NULL), -1, __LINE__);
    refuse(model_output_shape(1, 1, &size, shape), -1, __LINE__);
    refuse(model_predict(other, ids, 1, T, &score, scratch), MODEL_BAD_WEIGHTS, __LINE__);
    refuse(model_predict(moved + 1, ids, 1, T, &score, scratch), MODEL_BAD_WEIGHTS, __LINE__);
    memcpy(moved + 4, weights, sizeof weights); /* aligned to 4 is enough */
    refuse(model_predict(weights, ids, 1, T, &score, scratch), MODEL_OK, __LINE__);
    refuse(model_predict(moved + 4, ids, 1, T, &near, scratch + 4), MODEL_OK, __LINE__);
    refuse(score == near, 1, __LINE__);
}
#endif

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    if (bytes < 3) {
        predict_bytes(data, bytes);
        return 0;
    }
    const int32_t rows = data[1] % 20, timesteps = data[2] % 30;
    switch (data[0] % 3) {
    case 0: predict_ids(rows, timesteps, data + 3, bytes - 3); break;
    case 1: step_ids(rows, timesteps, data + 3, bytes - 3); break;
    default: predict_bytes(data + 1, bytes - 1); break;
    }
    return 0;
}

#if !defined(LIBFUZZER)
static uint64_t drawn;

static uint32_t draw(uint32_t below) {
    drawn = drawn * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(drawn >> 33) % below;
}

int main(int count, char **arguments) {
    static const unsigned char leads[] = {' ', 'a', 0xce, 0xa3, 0xe0, 0xed, 0xf0, 0xf4, 0xff, 0x80};
    if (count != 3 || model_check(weights, sizeof weights) != MODEL_OK) {
        return 2;
    }
    refuse_bad_arguments();
    drawn = strtoull(arguments[1], NULL, 10);
    for (long round = strtol(arguments[2], NULL, 10); round > 0; round--) {
        const size_t n = draw(draw(20) ? 60 : 2000);
        uint8_t *data = malloc(n + 1);
        for (size_t i = 0; i < n; i++) {
            data[i] = (uint8_t)(i > 2 && draw(2) ? leads[draw(sizeof leads)] : draw(256));
        }
        LLVMFuzzerTestOneInput(data, n);
        free(data);
    }
    puts("clean");
    return 0;
}
#endif
