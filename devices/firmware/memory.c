/* The four functions of a libc that a model needs: word by word where both sides allow it. */
#include <stddef.h>
#include <stdint.h>

typedef uint32_t __attribute__((may_alias)) word;

void *memcpy(void *restrict to, const void *restrict from, size_t n) {
    unsigned char *d = (unsigned char *)to;
    const unsigned char *s = (const unsigned char *)from;
    if ((((uintptr_t)d | (uintptr_t)s) & 3) == 0) {
        word *dw = (word *)(void *)d;
        const word *sw = (const word *)(const void *)s;
        for (; n >= 16; n -= 16) {
            dw[0] = sw[0];
            dw[1] = sw[1];
            dw[2] = sw[2];
            dw[3] = sw[3];
            dw += 4;
            sw += 4;
        }
        for (; n >= 4; n -= 4) {
            *dw++ = *sw++;
        }
        d = (unsigned char *)dw;
        s = (const unsigned char *)sw;
    }
    while (n--) {
        *d++ = *s++;
    }
    return to;
}

void *memmove(void *to, const void *from, size_t n) {
    unsigned char *d = (unsigned char *)to;
    const unsigned char *s = (const unsigned char *)from;
    if (d <= s || d >= s + n) {
        return memcpy(to, from, n);
    }
    while (n--) {
        d[n] = s[n];
    }
    return to;
}

void *memset(void *to, int value, size_t n) {
    unsigned char *d = (unsigned char *)to;
    const uint32_t four = (unsigned char)value * 0x01010101u;
    for (; n && ((uintptr_t)d & 3); n--) {
        *d++ = (unsigned char)value;
    }
    word *w = (word *)(void *)d;
    for (; n >= 4; n -= 4) {
        *w++ = four;
    }
    d = (unsigned char *)w;
    while (n--) {
        *d++ = (unsigned char)value;
    }
    return to;
}

int memcmp(const void *a, const void *b, size_t n) {
    const unsigned char *x = (const unsigned char *)a, *y = (const unsigned char *)b;
    for (; n; n--, x++, y++) {
        if (*x != *y) {
            return *x - *y;
        }
    }
    return 0;
}
