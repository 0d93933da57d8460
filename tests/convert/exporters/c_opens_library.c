/* Opens the library of a bundle on another processor, as the Python runtime does on its own.
 *
 * Reads library.so, weights.bin and ids.bin in the current folder, prints the scores' bytes.
 * The C library is the emulated system's; its functions are declared here, for it brings no
 * headers.
 */
#define GATELET_LIBRARY
#include <stddef.h>
#include <stdint.h>
#include "library.h"

enum { NOW = 2, LARGEST_BYTES = 1 << 20, LARGEST_ROWS = 64 };

extern void *dlopen(const char *name, int flags);
extern void *dlsym(void *library, const char *name);
extern int open(const char *name, int flags, ...);
extern long read(int file, void *to, size_t bytes);
extern long write(int file, const void *from, size_t bytes);
extern _Noreturn void _exit(int code);

static _Alignas(64) unsigned char weights[LARGEST_BYTES], scratch[LARGEST_BYTES];
static int32_t ids[LARGEST_ROWS * TIMESTEPS];
static float scores[LARGEST_ROWS];

static long read_file(const char *name, void *to, size_t most) {
    const int file = open(name, 0);
    return file < 0 ? -1 : read(file, to, most);
}

void _start(void);
__attribute__((noreturn)) void _start(void) {
    void *const opened = dlopen("./library.so", NOW);
    if (opened == NULL) {
        _exit(2);
    }
    const struct gatelet_library *(*const open_library)(int32_t) =
        (const struct gatelet_library *(*)(int32_t))dlsym(opened, "gatelet_open");
    if (open_library == NULL || open_library(0) == NULL || open_library(0)->abi != GATELET_ABI) {
        _exit(3);
    }
    const struct gatelet_library *const library = open_library(0);
    const long weights_bytes = read_file("weights.bin", weights, sizeof weights);
    if (weights_bytes < 0 || library->check(weights, (size_t)weights_bytes)) {
        _exit(4);
    }
    const long ids_bytes = read_file("ids.bin", ids, sizeof ids);
    const int32_t rows = (int32_t)(ids_bytes / (long)sizeof(int32_t) / TIMESTEPS);
    const int32_t sizes[] = {TIMESTEPS};
    const void *const inputs[] = {ids};
    float *const outputs[] = {scores};
    if (rows < 1 || library->scratch_bytes(rows, sizes) > sizeof scratch) {
        _exit(5);
    }
    if (library->run(weights, inputs, sizes, rows, outputs, scratch)) {
        _exit(6);
    }
    const size_t bytes = sizeof(float) * (size_t)rows;
    _exit(write(1, scores, bytes) == (long)bytes ? 0 : 7);
}
