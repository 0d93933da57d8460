/* What calls of the functions in string.h are linked with. Compiled with -fno-builtin: else a
 * compiler would make a call of memcpy of the loop in memcpy. */
#include <stddef.h>

void *memmove(void *to, const void *from, size_t bytes) {
    unsigned char *a = to;
    const unsigned char *b = from;
    if (a <= b) {
        for (size_t i = 0; i < bytes; i++) {
            a[i] = b[i];
        }
    } else {
        while (bytes > 0) {
            bytes--;
            a[bytes] = b[bytes];
        }
    }
    return to;
}

void *memcpy(void *restrict to, const void *restrict from, size_t bytes) {
    return memmove(to, from, bytes);
}

void *memset(void *to, int value, size_t bytes) {
    unsigned char *a = to;
    for (size_t i = 0; i < bytes; i++) {
        a[i] = (unsigned char)value;
    }
    return to;
}

int memcmp(const void *a, const void *b, size_t bytes) {
    const unsigned char *x = a, *y = b;
    for (size_t i = 0; i < bytes; i++) {
        if (x[i] != y[i]) {
            return x[i] - y[i];
        }
    }
    return 0;
}
