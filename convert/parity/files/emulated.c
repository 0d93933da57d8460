/* Runs a library of a bundle on another processor, under qemu-user.
 *
 * Reads library.so, weights.bin and call.bin in the current folder, and prints the outputs' bytes.
 * The C library is the emulated system's; its functions are declared here, for it brings no
 * headers.
 */
#define GATELET_LIBRARY
#include <stddef.h>
#include <stdint.h>
#include "library.h"

enum { NOW = 2, MOST = 8, LARGEST_BYTES = 1 << 26, ALIGNMENT = 64 };

extern void *dlopen(const char *name, int flags);
extern void *dlsym(void *library, const char *name);
extern int open(const char *name, int flags, ...);
extern long read(int file, void *to, size_t bytes);
extern long write(int file, const void *from, size_t bytes);
extern _Noreturn void _exit(int code);

struct head {
    int32_t rows, inputs, outputs, sizes[MOST], input_bytes[MOST], output_bytes[MOST];
};

static _Alignas(ALIGNMENT) unsigned char weights[LARGEST_BYTES], scratch[LARGEST_BYTES],
    data[LARGEST_BYTES], made[LARGEST_BYTES];
static struct head head;

static long read_all(int file, void *to, size_t most) {
    size_t done = 0;
    for (long count = 1; count > 0 && done < most; done += (size_t)count) {
        count = read(file, (char *)to + done, most - done);
        if (count < 0) {
            return -1;
        }
    }
    return (long)done;
}

static size_t rounded(int32_t bytes) {
    return ((size_t)bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
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
    const long weights_bytes = read_all(open("weights.bin", 0), weights, sizeof weights);
    if (weights_bytes < 0 || library->check(weights, (size_t)weights_bytes)) {
        _exit(4);
    }
    const int call = open("call.bin", 0);
    if (read_all(call, &head, sizeof head) != (long)sizeof head ||
        read_all(call, data, sizeof data) < 0 ||
        library->scratch_bytes(head.rows, head.sizes) > sizeof scratch) {
        _exit(5);
    }
    const void *inputs[MOST];
    float *outputs[MOST];
    size_t place = 0;
    for (int i = 0; i < head.inputs; i++) {
        inputs[i] = data + place;
        place += rounded(head.input_bytes[i]);
    }
    place = 0;
    for (int i = 0; i < head.outputs; i++) {
        outputs[i] = (float *)(void *)(made + place);
        place += rounded(head.output_bytes[i]);
    }
    if (library->run(weights, inputs, head.sizes, head.rows, outputs, scratch)) {
        _exit(6);
    }
    for (size_t done = 0; done < place;) {
        const long count = write(1, made + done, place - done);
        if (count <= 0) {
            _exit(7);
        }
        done += (size_t)count;
    }
    _exit(0);
}
