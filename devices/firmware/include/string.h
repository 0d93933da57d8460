/* For compilers without a libc. As builtins: a freestanding compiler would call memcpy for every
 * float. */
#ifndef GATELET_STRING_H
#define GATELET_STRING_H

#include <stddef.h>

void *memcpy(void *restrict to, const void *restrict from, size_t n);
void *memmove(void *to, const void *from, size_t n);
void *memset(void *to, int value, size_t n);
int memcmp(const void *a, const void *b, size_t n);

#define memcpy(to, from, n) __builtin_memcpy((to), (from), (n))
#define memmove(to, from, n) __builtin_memmove((to), (from), (n))
#define memset(to, value, n) __builtin_memset((to), (value), (n))
#define memcmp(a, b, n) __builtin_memcmp((a), (b), (n))

#endif
