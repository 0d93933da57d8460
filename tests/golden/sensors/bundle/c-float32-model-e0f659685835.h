/* sensors: c float32. Made by gatelet; see docs/c.md for how to use it.
 *
 * Nothing here allocates, keeps state, or needs more of libc than memcpy, memmove, memset and
 * memcmp. The caller gives the weights, aligned to 4 bytes (64 is faster), and the scratch memory,
 * aligned to 64 as well (to 4 it works, and is slower). One scratch serves one thread at a time.
 */
#ifndef SENSORS_H
#define SENSORS_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum sensors_result {
    SENSORS_OK = 0,
    SENSORS_BAD_ARGUMENT = 1, /* NULL, not aligned to 4, negative rows, a size out of range */
    SENSORS_BAD_ID = 2,       /* an id outside the vocabulary */
    SENSORS_BAD_WEIGHTS = 3   /* not the weights that belong to this code */
};

#define SENSORS_INPUTS 1
#define SENSORS_OUTPUTS 1
#define SENSORS_SIZES 1 /* sizes that the caller decides, such as the timesteps */
#define SENSORS_LARGEST_SIZE 1048576
#define SENSORS_WEIGHTS_BYTES ((size_t)12928)

/* Rows that run together; more of them share the reading of weights, and take more memory. */
#ifndef SENSORS_ROWS_AT_ONCE
#define SENSORS_ROWS_AT_ONCE 8
#endif

/* The bytes of scratch memory for B rows: a constant where the sizes are. */
#define SENSORS_SCRATCH_BYTES(B, T0) \
    SENSORS_SCRATCH_OF(((B) < SENSORS_ROWS_AT_ONCE ? (B) : SENSORS_ROWS_AT_ONCE), (T0))
#define SENSORS_ROUNDED_(floats) (((size_t)(floats) + 15) / 16 * 16)
#define SENSORS_SCRATCH_OF(B, T0) \
    ((size_t)4 * (SENSORS_ROUNDED_((size_t)(B) * (size_t)(T0) * (size_t)16) + \
      SENSORS_ROUNDED_(((size_t)(B) * (48 * (size_t)((T0) < 16 ? (T0) : 16) + 128) + 144)) + \
      SENSORS_ROUNDED_((size_t)(B) * (size_t)12) + \
      SENSORS_ROUNDED_(((size_t)(B) * (64 * (size_t)((T0) < 16 ? (T0) : 16) + 144) + 192)) + \
      SENSORS_ROUNDED_((size_t)(B) * (size_t)3) + \
      SENSORS_ROUNDED_(64) + \
      SENSORS_ROUNDED_((size_t)(B) * (size_t)3)))

/* The weights of a program without files: link what the bundle names 'array'. */
extern const unsigned char sensors_weights[];

/* Tells whether these are the weights of this code. */
int sensors_check(const void *weights, size_t bytes);

/* As SENSORS_SCRATCH_BYTES, for sizes that are known late; SIZE_MAX for a NULL, and where there is no
 * such memory. */
size_t sensors_scratch_bytes(int32_t rows, const int32_t *sizes);

/* Gives the shape of an output, at most 8 sizes, and returns their number, or -1. */
int32_t sensors_output_shape(int32_t output, int32_t rows, const int32_t *sizes, int32_t *shape);

/* Runs rows, any number of them.
 *
 * inputs: one array each: float [rows, ?, 6].
 * sizes: axis 1 of features.
 * outputs: one array of floats each: [rows, 3].
 */
int sensors_run(const void *weights, const void *const *inputs, const int32_t *sizes,
                  int32_t rows, float *const *outputs, void *scratch);

/* Runs rows: scores has what the output has, see sensors_run. */
int sensors_predict(const void *weights, const float *features, int32_t rows, int32_t timesteps, float *scores,
                      void *scratch);

/* Sequences in pieces: each step takes the next timesteps, and what lies in `state` is the sequence
 * so far. So any number of sequences can be under way, each with a state of its own: memory of
 * STATE_BYTES(rows), aligned to 4 bytes, which `reset` starts. A step that returns an error leaves
 * its state as it was. */
#define SENSORS_STEP_INPUTS 4 /* with the states */
#define SENSORS_STEP_OUTPUTS 4
#define SENSORS_STEP_SIZES 1
#define SENSORS_STATE_FLOATS 40
#define SENSORS_STATE_BYTES(rows) ((size_t)4 * SENSORS_STATE_FLOATS * (size_t)(rows))
#define SENSORS_STEP_SCRATCH_BYTES(B, T0) \
    SENSORS_STEP_SCRATCH_OF(((B) < SENSORS_ROWS_AT_ONCE ? (B) : SENSORS_ROWS_AT_ONCE), (T0))
#define SENSORS_STEP_SCRATCH_OF(B, T0) \
    ((size_t)4 * (SENSORS_ROUNDED_((size_t)(B) * (size_t)(T0) * (size_t)16) + \
      SENSORS_ROUNDED_((size_t)(B) * (size_t)16) + \
      SENSORS_ROUNDED_(((size_t)(B) * (48 * (size_t)((T0) < 16 ? (T0) : 16) + 128) + 144)) + \
      SENSORS_ROUNDED_((size_t)(B) * (size_t)12) + \
      SENSORS_ROUNDED_((size_t)(B) * (size_t)12) + \
      SENSORS_ROUNDED_((size_t)(B) * (size_t)12) + \
      SENSORS_ROUNDED_(((size_t)(B) * (64 * (size_t)((T0) < 16 ? (T0) : 16) + 144) + 192)) + \
      SENSORS_ROUNDED_((size_t)(B) * (size_t)3) + \
      SENSORS_ROUNDED_(64) + \
      SENSORS_ROUNDED_((size_t)(B) * (size_t)3)))

/* Starts a new sequence of some rows: all states are zero. */
void sensors_reset(void *state, int32_t rows);

/* Takes the next timesteps of all rows, and gives what a run of the whole sequence so far would:
 * [rows, 3].
 *
 * features [rows, timesteps, 6].
 * scratch: SENSORS_STEP_SCRATCH_BYTES(rows, timesteps) bytes, aligned to 64. */
int sensors_step(const void *weights, const float *features, int32_t rows,
                   int32_t timesteps, float *scores, void *state, void *scratch);

#ifdef __cplusplus
}
#endif

#endif
