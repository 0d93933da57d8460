/* The four functions of libc that a model needs, where there is no libc. */
#ifndef GATELET_WASM_STRING_H
#define GATELET_WASM_STRING_H

#include <stddef.h>

void *memcpy(void *restrict to, const void *restrict from, size_t bytes);
void *memmove(void *to, const void *from, size_t bytes);
void *memset(void *to, int value, size_t bytes);
int memcmp(const void *a, const void *b, size_t bytes);

/* A compiler without a libc does not know what these are, and would call one for every float. */
#define memcpy(to, from, bytes) __builtin_memcpy((to), (from), (bytes))
#define memmove(to, from, bytes) __builtin_memmove((to), (from), (bytes))
#define memset(to, value, bytes) __builtin_memset((to), (value), (bytes))
#define memcmp(a, b, bytes) __builtin_memcmp((a), (b), (bytes))

#endif
