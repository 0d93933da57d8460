/* RISC-V under QEMU: start-up, and minstret as the clock of instructions. */
#include "bare.h"

enum { TURNS = 1000000 };

/* The three instructions are how a host knows the call; they must not be compressed. */
__attribute__((naked, noinline, aligned(16))) static uintptr_t semihost(UNUSED uintptr_t operation,
                                                                        UNUSED uintptr_t argument) {
    __asm__ volatile(".option push\n .option norvc\n slli x0, x0, 0x1f\n ebreak\n"
                     " srai x0, x0, 7\n ret\n .option pop");
}

uint64_t device_clock(void) {
    uint32_t high, low, again;
    do {
        __asm__ volatile("csrr %0, minstreth\n csrr %1, minstret\n csrr %2, minstreth"
                         : "=r"(high), "=r"(low), "=r"(again));
    } while (high != again);
    return (uint64_t)high << 32 | low;
}

/* 3 instructions a turn; n is in a0. */
__attribute__((naked, noinline)) static void three(UNUSED uint32_t turns) {
    __asm__ volatile("1: nop\n addi a0, a0, -1\n bnez a0, 1b\n ret");
}

uint64_t device_loop_ticks(void) {
    const uint64_t before = device_clock();
    three(TURNS);
    return device_clock() - before;
}

__attribute__((used, noreturn)) static void start(void) {
    begin();
    for (;;) {
    }
}

__attribute__((aligned(4), used)) static void trap(void) { fault(); }

__attribute__((naked, section(".isr"), used)) void Reset(void) {
    __asm__ volatile(".option push\n .option norelax\n la gp, __global_pointer$\n .option pop\n"
                     " la sp, _estack\n la t0, %0\n csrw mtvec, t0\n"
#ifdef __riscv_flen
                     " li t0, 0x6000\n csrs mstatus, t0\n fscsr x0\n"
#endif
                     " j %1" ::"i"(trap),
                     "i"(start));
}
