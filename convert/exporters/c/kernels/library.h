/* What a shared library gives to bindings: see runtime/backends/c.py. */
#ifndef GATELET_LIBRARY_H
#define GATELET_LIBRARY_H

#include <stddef.h>
#include <stdint.h>

#define GATELET_ABI 1
#define GATELET_ABI_OF_WORDS 2 /* states are int32 */

struct gatelet_library {
    int32_t abi;
    const char *description; /* inputs and outputs: a JSON list a line */
    size_t weights_bytes;
    int (*check)(const void *weights, size_t bytes);
    size_t (*scratch_bytes)(int32_t rows, const int32_t *sizes);
    int32_t (*output_shape)(int32_t output, int32_t rows, const int32_t *sizes, int32_t *shape);
    int (*run)(const void *weights, const void *const *inputs, const int32_t *sizes, int32_t rows,
               float *const *outputs, void *scratch);
    int32_t (*ids_of_text)(const void *weights, const char *utf8, size_t bytes, int32_t *ids);
};

#if defined(_WIN32)
#define GATELET_EXPORT __declspec(dllexport)
#else
#define GATELET_EXPORT __attribute__((visibility("default")))
#endif

#endif
