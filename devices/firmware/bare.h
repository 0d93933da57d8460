/* What boards without an operating system share: the memory map, and the host by semihosting.
 *
 * Not the processor, which brings `semihost`. */
#include "board.h"

#define UNUSED __attribute__((unused))

extern unsigned char _estack[], _sdata[], _edata[], _sidata[], _sbss[], _ebss[], _stack_low[];

enum { SYS_OPEN = 1, SYS_WRITE = 5, SYS_READ = 6, SYS_EXIT = 0x18, APPLICATION_EXIT = 0x20026 };

static uintptr_t semihost(uintptr_t operation, uintptr_t argument);
static uintptr_t from_host, to_host;

static void open_host(void) {
    const uintptr_t read[3] = {(uintptr_t) ":tt", 0, 3}, write[3] = {(uintptr_t) ":tt", 4, 3};
    from_host = semihost(SYS_OPEN, (uintptr_t)read);
    to_host = semihost(SYS_OPEN, (uintptr_t)write);
}

static int read_some(char *to, int most) {
    const uintptr_t block[3] = {from_host, (uintptr_t)to, (uintptr_t)most};
    return most - (int)semihost(SYS_READ, (uintptr_t)block);
}

static char waiting[512];
static uintptr_t waits;

static void flush(void) {
    const uintptr_t block[3] = {to_host, (uintptr_t)waiting, waits};
    (void)semihost(SYS_WRITE, (uintptr_t)block);
    waits = 0;
}

/* Each call of the host costs as much as thousands of instructions: whole lines are written. */
void device_write(const char *text) {
    for (; *text; text++) {
        waiting[waits++] = *text;
        if (*text == '\n' || waits == sizeof waiting) {
            flush();
        }
    }
}

static void quit(void) {
    for (;;) {
        (void)semihost(SYS_EXIT, APPLICATION_EXIT);
    }
}

static void fault(void) {
    device_write("fault\n");
    quit();
}

uint32_t device_stack(void) { return painted_over(_stack_low, _estack); }

/* Begins a program: variables, then lines of the host until it says bye. */
static void begin(void) {
    for (unsigned char *from = _sidata, *to = _sdata; to < _edata;) {
        *to++ = *from++;
    }
    for (volatile unsigned char *to = _sbss; to < _ebss;) {
        *to++ = 0;
    }
    open_host();
    unsigned char here;
    paint(_stack_low, &here);
    (void)serve();
    quit();
}
