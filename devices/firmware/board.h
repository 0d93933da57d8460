/* What all emulated boards share: reading lines, and the stack by painting.
 *
 * Not the processor: see start_*.c. */
#include "selftest.h"

enum { PAINT = 0x5A };

/* Reads some bytes of the host, at least one; 0 or less at the end. */
static int read_some(char *to, int most);

static int serve(void) {
    static char input[SELFTEST_LINE], line[SELFTEST_LINE];
    int count, length = 0;
    while ((count = read_some(input, SELFTEST_LINE)) > 0) {
        for (int i = 0; i < count; i++) {
            if (input[i] == '\r') {
                continue;
            }
            if (input[i] != '\n') {
                line[length < SELFTEST_LINE - 1 ? length++ : length] = input[i];
                continue;
            }
            line[length] = 0;
            length = 0;
            if (!selftest(line)) {
                return 0;
            }
        }
    }
    return 1;
}

/* Paints what is free of the stack, which grows downwards. */
static void paint(unsigned char *low, const unsigned char *stack_pointer) {
    for (volatile unsigned char *at = low; at < stack_pointer - 64; at++) {
        *at = PAINT;
    }
}

static uint32_t painted_over(const unsigned char *low, const unsigned char *high) {
    const unsigned char *at = low;
    while (at < high && *at == PAINT) {
        at++;
    }
    return (uint32_t)(high - at);
}
