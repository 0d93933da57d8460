/* Linux boards, and qemu-user: the host is on the standard streams. Nothing counts instructions.
 *
 * It needs no libc, and so no system files: the program runs wherever its processor's Linux does.
 */
#include "board.h"

enum { PAINTED = 1 << 18 };

static unsigned char *low, *high;

/* Of each processor: the numbers of calls, the registers of a call, and how a program begins. */
#if defined(__aarch64__)
enum { READ = 63, WRITE = 64, EXIT = 93 };
#define REGISTERS(X) X("x8", "x0", "x1", "x2")
#define SYSTEM_CALL "svc 0"
#define BEGIN "mov x29, #0\n bl begin"
#elif defined(__arm__)
enum { READ = 3, WRITE = 4, EXIT = 1 };
#define REGISTERS(X) X("r7", "r0", "r1", "r2")
#define SYSTEM_CALL "svc 0"
#define BEGIN "bic sp, sp, #7\n bl begin"
#elif defined(__riscv)
enum { READ = 63, WRITE = 64, EXIT = 93 };
#define REGISTERS(X) X("a7", "a0", "a1", "a2")
#define SYSTEM_CALL "ecall"
#define BEGIN ".option push\n .option norelax\n la gp, __global_pointer$\n .option pop\n call begin"
#elif defined(__x86_64__)
enum { READ = 0, WRITE = 1, EXIT = 60 };
#define REGISTERS(X) X("rax", "rdi", "rsi", "rdx")
#define SYSTEM_CALL "syscall"
#define BEGIN "xor %ebp, %ebp\n call begin"
#endif

#if defined(__x86_64__)
#define RESULT number
#define SPOILED "rcx", "r11", "memory"
#else
#define RESULT first
#define SPOILED "memory"
#endif

static long system_call(long which, long a, const void *b, long c) {
#define DECLARE(N, A, B, C)                     \
    register long number __asm__(N) = which;    \
    register long first __asm__(A) = a;         \
    register const void *second __asm__(B) = b; \
    register long third __asm__(C) = c;
    REGISTERS(DECLARE)
    __asm__ volatile(SYSTEM_CALL
                     : "+r"(RESULT)
                     : "r"(number), "r"(first), "r"(second), "r"(third)
                     : SPOILED);
    return RESULT;
}

static int read_some(char *to, int most) { return (int)system_call(READ, 0, to, most); }

void device_write(const char *text) {
    static char waiting[512];
    static long waits;
    for (; *text; text++) {
        waiting[waits++] = *text;
        if (*text == '\n' || waits == (long)sizeof waiting) {
            for (long done = 0; done < waits;) {
                const long count = system_call(WRITE, 1, waiting + done, waits - done);
                if (count <= 0) {
                    (void)system_call(EXIT, 2, 0, 0);
                }
                done += count;
            }
            waits = 0;
        }
    }
}

uint64_t device_clock(void) { return 0; }
uint64_t device_loop_ticks(void) { return 0; }
uint32_t device_stack(void) { return painted_over(low, high); }

/* Paints below itself: the functions that are called afterwards lie there. */
__attribute__((noinline)) static void paint_below(void) {
    unsigned char here[PAINTED];
    low = here;
    high = here + PAINTED;
    paint(low, high + 64);
    __asm__ volatile("" ::"r"(here) : "memory");
}

__attribute__((used, noreturn)) static void begin(void) {
    paint_below();
    const int code = serve();
    for (;;) {
        (void)system_call(EXIT, code, 0, 0);
    }
}

__attribute__((naked, used)) void _start(void) { __asm__ volatile(BEGIN); }
