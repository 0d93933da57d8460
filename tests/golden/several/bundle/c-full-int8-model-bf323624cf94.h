/* several: c full-int8. Made by gatelet; see docs/c.md for how to use it.
 *
 * Nothing here allocates, keeps state, or needs more of libc than memcpy, memmove, memset and
 * memcmp. The caller gives the weights, aligned to 4 bytes (64 is faster), and the scratch memory,
 * aligned to 64 as well (to 4 it works, and is slower). One scratch serves one thread at a time.
 */
#ifndef SEVERAL_H
#define SEVERAL_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum several_result {
    SEVERAL_OK = 0,
    SEVERAL_BAD_ARGUMENT = 1, /* NULL, not aligned to 4, negative rows, a size out of range */
    SEVERAL_BAD_ID = 2,       /* an id outside the vocabulary */
    SEVERAL_BAD_WEIGHTS = 3   /* not the weights that belong to this code */
};

#define SEVERAL_INPUTS 2
#define SEVERAL_OUTPUTS 3
#define SEVERAL_SIZES 2 /* sizes that the caller decides, such as the timesteps */
#define SEVERAL_LARGEST_SIZE 1048576
#define SEVERAL_WEIGHTS_BYTES ((size_t)15616)

/* Rows that run together; more of them share the reading of weights, and take more memory. */
#ifndef SEVERAL_ROWS_AT_ONCE
#define SEVERAL_ROWS_AT_ONCE 8
#endif

/* The bytes of scratch memory for B rows: a constant where the sizes are. */
#define SEVERAL_SCRATCH_BYTES(B, T0, T1) \
    SEVERAL_SCRATCH_OF(((B) < SEVERAL_ROWS_AT_ONCE ? (B) : SEVERAL_ROWS_AT_ONCE), (T0), (T1))
#define SEVERAL_ROUNDED_(floats) (((size_t)(floats) + 15) / 16 * 16)
#define SEVERAL_SCRATCH_OF(B, T0, T1) \
    ((size_t)4 * (SEVERAL_ROUNDED_((size_t)(B) * (size_t)(T0)) + \
      SEVERAL_ROUNDED_(((size_t)(B) * (size_t)(T0) * (size_t)16 * 2 + 3) / 4) + \
      SEVERAL_ROUNDED_(((size_t)(B) * (size_t)(T0) * 1 + 3) / 4) + \
      SEVERAL_ROUNDED_(((size_t)(B) * (size_t)16 * 2 + 3) / 4) + \
      SEVERAL_ROUNDED_(192) + \
      SEVERAL_ROUNDED_(((size_t)(B) * (size_t)16 * 2 + 3) / 4) + \
      SEVERAL_ROUNDED_(((size_t)(B) * (size_t)32 * 2 + 3) / 4) + \
      SEVERAL_ROUNDED_(((size_t)(B) * (size_t)(T1) * (size_t)4 * 2 + 3) / 4) + \
      SEVERAL_ROUNDED_(((size_t)(B) * (size_t)(T1) * (size_t)20 * 2 + 3) / 4) + \
      SEVERAL_ROUNDED_(200) + \
      SEVERAL_ROUNDED_(((size_t)(B) * (size_t)12 * 2 + 3) / 4) + \
      SEVERAL_ROUNDED_(144) + \
      SEVERAL_ROUNDED_(((size_t)(B) * (size_t)44 * 2 + 3) / 4) + \
      SEVERAL_ROUNDED_(((size_t)(B) * (size_t)3 * 2 + 3) / 4) + \
      SEVERAL_ROUNDED_(((size_t)(B) * (size_t)3 * 2 + 3) / 4) + \
      SEVERAL_ROUNDED_(((size_t)(B) * (size_t)2 * 2 + 3) / 4) + \
      SEVERAL_ROUNDED_(((size_t)(B) * (size_t)(T1) * (size_t)2 * 2 + 3) / 4) + \
      SEVERAL_ROUNDED_(((size_t)(B) * (size_t)(T1) * (size_t)2 * 2 + 3) / 4) + \
      SEVERAL_ROUNDED_((size_t)(B) * (size_t)3) + \
      SEVERAL_ROUNDED_((size_t)(B) * (size_t)2) + \
      SEVERAL_ROUNDED_((size_t)(B) * (size_t)(T1) * (size_t)2)))

/* The weights of a program without files: link what the bundle names 'array'. */
extern const unsigned char several_weights[];

/* Tells whether these are the weights of this code. */
int several_check(const void *weights, size_t bytes);

/* As SEVERAL_SCRATCH_BYTES, for sizes that are known late; SIZE_MAX for a NULL, and where there is no
 * such memory. */
size_t several_scratch_bytes(int32_t rows, const int32_t *sizes);

/* Gives the shape of an output, at most 8 sizes, and returns their number, or -1. */
int32_t several_output_shape(int32_t output, int32_t rows, const int32_t *sizes, int32_t *shape);

/* Runs rows, any number of them.
 *
 * inputs: one array each: int32_t ids [rows, ?], float [rows, ?, 4].
 * sizes: axis 1 of ids, axis 1 of features.
 * outputs: one array of floats each: [rows, 3], [rows, 2], [rows, ?, 2].
 */
int several_run(const void *weights, const void *const *inputs, const int32_t *sizes,
                  int32_t rows, float *const *outputs, void *scratch);

#ifdef __cplusplus
}
#endif

#endif
