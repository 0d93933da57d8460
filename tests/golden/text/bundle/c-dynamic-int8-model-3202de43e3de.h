/* text: c dynamic-int8. Made by gatelet; see docs/c.md for how to use it.
 *
 * Nothing here allocates, keeps state, or needs more of libc than memcpy, memmove, memset and
 * memcmp. The caller gives the weights, aligned to 4 bytes (64 is faster), and the scratch memory,
 * aligned to 64 as well (to 4 it works, and is slower). One scratch serves one thread at a time.
 */
#ifndef TEXT_H
#define TEXT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum text_result {
    TEXT_OK = 0,
    TEXT_BAD_ARGUMENT = 1, /* NULL, not aligned to 4, negative rows, a size out of range */
    TEXT_BAD_ID = 2,       /* an id outside the vocabulary */
    TEXT_BAD_WEIGHTS = 3   /* not the weights that belong to this code */
};

#define TEXT_INPUTS 1
#define TEXT_OUTPUTS 1
#define TEXT_SIZES 1 /* sizes that the caller decides, such as the timesteps */
#define TEXT_LARGEST_SIZE 1048576
#define TEXT_WEIGHTS_BYTES ((size_t)11008)

/* Rows that run together; more of them share the reading of weights, and take more memory. */
#ifndef TEXT_ROWS_AT_ONCE
#define TEXT_ROWS_AT_ONCE 8
#endif

/* The bytes of scratch memory for B rows: a constant where the sizes are. */
#define TEXT_SCRATCH_BYTES(B, T0) \
    TEXT_SCRATCH_OF(((B) < TEXT_ROWS_AT_ONCE ? (B) : TEXT_ROWS_AT_ONCE), (T0))
#define TEXT_ROUNDED_(floats) (((size_t)(floats) + 15) / 16 * 16)
#define TEXT_SCRATCH_OF(B, T0) \
    ((size_t)4 * (TEXT_ROUNDED_((size_t)(B) * (size_t)(T0)) + \
      TEXT_ROUNDED_((size_t)(B) * (size_t)(T0) * (size_t)16) + \
      TEXT_ROUNDED_(((size_t)(B) * (size_t)(T0) * 1 + 3) / 4) + \
      TEXT_ROUNDED_((size_t)(B) * (size_t)24) + \
      TEXT_ROUNDED_(((size_t)(B) * (128 * (size_t)((T0) < 16 ? (T0) : 16) + 288) + 384)) + \
      TEXT_ROUNDED_((size_t)(B)) + \
      TEXT_ROUNDED_(64) + \
      TEXT_ROUNDED_((size_t)(B)) + \
      TEXT_ROUNDED_((size_t)TEXT_ROWS_AT_ONCE * (size_t)(T0)) + \
      TEXT_ROUNDED_((size_t)TEXT_ROWS_AT_ONCE * ((size_t)1))))

/* The weights of a program without files: link what the bundle names 'array'. */
extern const unsigned char text_weights[];

/* Tells whether these are the weights of this code. */
int text_check(const void *weights, size_t bytes);

/* As TEXT_SCRATCH_BYTES, for sizes that are known late; SIZE_MAX for a NULL, and where there is no
 * such memory. */
size_t text_scratch_bytes(int32_t rows, const int32_t *sizes);

/* Gives the shape of an output, at most 8 sizes, and returns their number, or -1. */
int32_t text_output_shape(int32_t output, int32_t rows, const int32_t *sizes, int32_t *shape);

/* Runs rows, any number of them.
 *
 * inputs: one array each: int32_t ids [rows, ?].
 * sizes: axis 1 of ids.
 * outputs: one array of floats each: [rows, 1].
 */
int text_run(const void *weights, const void *const *inputs, const int32_t *sizes,
                  int32_t rows, float *const *outputs, void *scratch);

/* Runs rows: scores has what the output has, see text_run. */
int text_predict(const void *weights, const int32_t *ids, int32_t rows, int32_t timesteps, float *scores,
                      void *scratch);

/* Texts. The vocabulary is a file of its own, aligned to 4 bytes. */
#define TEXT_MAXLEN 20
#define TEXT_VOCABULARY_BYTES ((size_t)9280)
extern const unsigned char text_vocabulary[]; /* as text_weights */

/* Gives exactly MAXLEN ids, as the bundle's vectorizer does in Python. Bytes that are no UTF-8 are
 * read as U+FFFD, as bytes.decode("utf-8", "replace") does. Returns the number of real ids, or -1
 * for a NULL or another vocabulary. */
int32_t text_ids_of_text(const void *vocabulary, const char *utf8, size_t bytes,
                              int32_t *ids);

#define TEXT_TEXT_SCRATCH_BYTES \
    (4 * TEXT_ROUNDED_(TEXT_MAXLEN) + TEXT_SCRATCH_BYTES(1, 20))

/* Predicts one text: scores [1]. */
int text_predict_text(const void *weights, const void *vocabulary, const char *utf8,
                           size_t bytes, float *scores, void *scratch);

/* Sequences in pieces: each step takes the next timesteps, and what lies in `state` is the sequence
 * so far. So any number of sequences can be under way, each with a state of its own: memory of
 * STATE_BYTES(rows), aligned to 4 bytes, which `reset` starts. A step that returns an error leaves
 * its state as it was. */
#define TEXT_STEP_INPUTS 3 /* with the states */
#define TEXT_STEP_OUTPUTS 3
#define TEXT_STEP_SIZES 1
#define TEXT_STATE_FLOATS 48
#define TEXT_STATE_BYTES(rows) ((size_t)4 * TEXT_STATE_FLOATS * (size_t)(rows))
#define TEXT_STEP_SCRATCH_BYTES(B, T0) \
    TEXT_STEP_SCRATCH_OF(((B) < TEXT_ROWS_AT_ONCE ? (B) : TEXT_ROWS_AT_ONCE), (T0))
#define TEXT_STEP_SCRATCH_OF(B, T0) \
    ((size_t)4 * (TEXT_ROUNDED_((size_t)(B) * (size_t)(T0) * (size_t)16) + \
      TEXT_ROUNDED_(((size_t)(B) * (size_t)(T0) * 1 + 3) / 4) + \
      TEXT_ROUNDED_((size_t)(B) * (size_t)24) + \
      TEXT_ROUNDED_((size_t)(B) * (size_t)24) + \
      TEXT_ROUNDED_((size_t)(B) * (size_t)24) + \
      TEXT_ROUNDED_(((size_t)(B) * (128 * (size_t)((T0) < 16 ? (T0) : 16) + 288) + 384)) + \
      TEXT_ROUNDED_((size_t)(B)) + \
      TEXT_ROUNDED_(64) + \
      TEXT_ROUNDED_((size_t)(B))))

/* Starts a new sequence of some rows: all states are zero. */
void text_reset(void *state, int32_t rows);

/* Takes the next timesteps of all rows, and gives what a run of the whole sequence so far would:
 * [rows, 1].
 *
 * ids [rows, timesteps].
 * scratch: TEXT_STEP_SCRATCH_BYTES(rows, timesteps) bytes, aligned to 64. */
int text_step(const void *weights, const int32_t *ids, int32_t rows,
                   int32_t timesteps, float *scores, void *state, void *scratch);

#ifdef __cplusplus
}
#endif

#endif
