/* What a model needs of a C library, word by word where both sides allow it. */
#include <stddef.h>
#include <stdint.h>

void *memcpy(void *restrict to, const void *restrict from, size_t n) {
    unsigned char *put = to;
    const unsigned char *take = from;
    if ((((uintptr_t)to | (uintptr_t)from) & 3) == 0) {
        for (; n >= 4; n -= 4, put += 4, take += 4) {
            *(uint32_t *)(void *)put = *(const uint32_t *)(const void *)take;
        }
    }
    while (n-- > 0) {
        *put++ = *take++;
    }
    return to;
}

void *memmove(void *to, const void *from, size_t n) {
    unsigned char *put = to;
    const unsigned char *take = from;
    if (put <= take || put >= take + n) {
        return memcpy(to, from, n);
    }
    while (n-- > 0) {
        put[n] = take[n];
    }
    return to;
}

void *memset(void *to, int value, size_t n) {
    unsigned char *put = to;
    if (((uintptr_t)to & 3) == 0) {
        for (; n >= 4; n -= 4, put += 4) {
            *(uint32_t *)(void *)put = (unsigned char)value * 0x01010101u;
        }
    }
    while (n-- > 0) {
        *put++ = (unsigned char)value;
    }
    return to;
}

int memcmp(const void *a, const void *b, size_t n) {
    const unsigned char *x = a, *y = b;
    for (; n > 0; n--, x++, y++) {
        if (*x != *y) {
            return *x - *y;
        }
    }
    return 0;
}
