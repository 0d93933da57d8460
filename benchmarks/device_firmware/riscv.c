/* Start-up of RISC-V on QEMU's board "virt": its serial port, its exit, and minstret as a clock. */
#include <stdint.h>

extern uint32_t start_of_data, end_of_data, stored_data, start_of_bss, end_of_bss;
int main(void);

void say(const char *text) {
    while (*text) {
        *(volatile uint8_t *)0x10000000u = (uint8_t)*text++;
    }
}

static void leave(int is_good) {
    *(volatile uint32_t *)0x100000u = is_good ? 0x5555u : 0x13333u;
    for (;;) {
    }
}

void start_clock(void) {}

uint64_t now(void) {
    uint32_t high, low, again;
    do {
        __asm__ volatile("csrr %0, minstreth\n csrr %1, minstret\n csrr %2, minstreth"
                         : "=r"(high), "=r"(low), "=r"(again));
    } while (high != again);
    return (uint64_t)high << 32 | low;
}

__attribute__((naked, noinline)) void three_instructions(uint32_t loops) {
    __asm__ volatile("1: nop\n addi a0, a0, -1\n bnez a0, 1b\n ret");
}

__attribute__((used, noreturn)) void begin(void) {
    for (uint32_t *from = &stored_data, *to = &start_of_data; to < &end_of_data;) {
        *to++ = *from++;
    }
    for (uint32_t *to = &start_of_bss; to < &end_of_bss;) {
        *to++ = 0;
    }
    leave(main() == 0);
    for (;;) {
    }
}

__attribute__((aligned(4), used)) static void fault(void) {
    say("fault\n");
    leave(0);
}

__attribute__((naked, section(".vectors"), used)) void Reset(void) {
    __asm__ volatile(".option push\n .option norelax\n la gp, __global_pointer$\n .option pop\n"
                     "la sp, end_of_stack\n la t0, %0\n csrw mtvec, t0\n"
#if defined(__riscv_flen)
                     "li t0, 0x6000\n csrs mstatus, t0\n fscsr x0\n"
#endif
                     "j begin" ::"i"(fault));
}
