/* Runs a stream in two pieces: the exit code tells whether it has the bits of another machine. */
#include "model.h"
#include "golden.h"
#include "c_bare.h"

static _Alignas(64) unsigned char scratch[M_STEP_SCRATCH_BYTES(1, TIMESTEPS)];
static _Alignas(64) unsigned char state[M_STATE_BYTES(1)];
static float scores[sizeof expected / sizeof(float)];

static int golden(void) {
    const int32_t first = 7;
    m_reset(state, 1);
    if (m_step(weights, features, 1, first, scores, state, scratch) != M_OK ||
        m_step(weights, features + first * FEATURES, 1, TIMESTEPS - first, scores + first * UNITS,
               state, scratch) != M_OK) {
        return 3;
    }
    return memcmp(scores, expected, sizeof expected) == 0 ? 0 : 4;
}
