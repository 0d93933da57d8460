/* $title: $target_scheme. Made by gatelet; see docs/c.md for how to use it.
 *
 * Nothing here allocates, keeps state, or needs more of libc than memcpy, memmove, memset and
 * memcmp. The caller gives the weights, aligned to 4 bytes (64 is faster), and the scratch memory,
 * aligned to 64 as well (to 4 it works, and is slower). One scratch serves one thread at a time.
$units */
#ifndef ${PREFIX}_H
#define ${PREFIX}_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum ${prefix}_result {
    ${PREFIX}_OK = 0,
    ${PREFIX}_BAD_ARGUMENT = 1, /* NULL, not aligned to 4, negative rows, a size out of range */
    ${PREFIX}_BAD_ID = 2,       /* an id outside the vocabulary */
    ${PREFIX}_BAD_WEIGHTS = 3   /* not the weights that belong to this code */
};

#define ${PREFIX}_INPUTS $inputs
#define ${PREFIX}_OUTPUTS $outputs
#define ${PREFIX}_SIZES $sizes /* sizes that the caller decides, such as the timesteps */
#define ${PREFIX}_LARGEST_SIZE $largest_size
#define ${PREFIX}_WEIGHTS_BYTES ((size_t)$weights_bytes)

/* 1 where memory counts more than speed: layers take a timestep at a time. Code and program are to
 * be compiled with the same. */
#ifndef ${PREFIX}_SMALL
#if defined(__AVR__) || defined(__XTENSA__) || (defined(__riscv) && __riscv_xlen == 32) || \
    (defined(__ARM_ARCH_PROFILE) && __ARM_ARCH_PROFILE == 'M')
#define ${PREFIX}_SMALL 1
#else
#define ${PREFIX}_SMALL 0
#endif
#endif

/* Rows that run together; more of them share the reading of weights, and take more memory. */
#ifndef ${PREFIX}_ROWS_AT_ONCE
#define ${PREFIX}_ROWS_AT_ONCE (${PREFIX}_SMALL ? 1 : 8)
#endif

/* The bytes of scratch memory for B rows: a constant where the sizes are. */
#define ${PREFIX}_SCRATCH_BYTES($macro_parameters) \
    ${PREFIX}_SCRATCH_OF($macro_passed)
#define ${PREFIX}_UNIT_ (${PREFIX}_SMALL ? 2 : 16)
#define ${PREFIX}_ROUNDED_(floats) (((size_t)(floats) + ${PREFIX}_UNIT_ - 1) / ${PREFIX}_UNIT_ * ${PREFIX}_UNIT_)
#define ${PREFIX}_SCRATCH_OF($macro_parameters) \
    ((size_t)4 * ($scratch_floats))

/* The weights of a program without files: link what the bundle names 'array'. */
extern const unsigned char ${prefix}_weights[];

/* Tells whether these are the weights of this code. */
int ${prefix}_check(const void *weights, size_t bytes);

/* As ${PREFIX}_SCRATCH_BYTES, for sizes that are known late; SIZE_MAX for a NULL, and where there is no
 * such memory. */
size_t ${prefix}_scratch_bytes(int32_t rows, const int32_t *sizes);

/* Gives the shape of an output, at most 8 sizes, and returns their number, or -1. */
int32_t ${prefix}_output_shape(int32_t output, int32_t rows, const int32_t *sizes, int32_t *shape);

/* Runs rows, any number of them.
 *
 * inputs: one array each: $inputs_text.
 * sizes: $sizes_text.
 * outputs: one array of floats each: $outputs_text.
 */
int ${prefix}_run(const void *weights, const void *const *inputs, const int32_t *sizes,
                  int32_t rows, float *const *outputs, void *scratch);
$declarations$step_declarations
#ifdef __cplusplus
}
#endif

#endif
