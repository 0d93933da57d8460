/* Runs golden rows: the exit code tells how it went. The macros are given by the test. */
#include "model.h"
#include "golden.h"
#include "c_bare.h"

static _Alignas(64) unsigned char scratch[MODEL_SCRATCH_BYTES(ROWS, TIMESTEPS)];

static int golden(void) {
    float scores[ROWS];
    if (model_check(weights, sizeof weights) != MODEL_OK) {
        return 2;
    }
    if (model_predict(weights, ids, ROWS, TIMESTEPS, scores, scratch) != MODEL_OK) {
        return 3;
    }
    for (int i = 0; i < ROWS; i++) {
        const float away = scores[i] - expected[i];
        if (!(away < LIMIT && away > -LIMIT)) {
            return 4;
        }
    }
    static _Alignas(64) unsigned char text_scratch[MODEL_TEXT_SCRATCH_BYTES];
    float score;
    if (model_predict_text(weights, vocabulary, (const char *)text, sizeof text, &score,
                           text_scratch) != MODEL_OK) {
        return 5;
    }
    const float away = score - text_expected;
    return away < LIMIT && away > -LIMIT ? 0 : 6;
}
