/* Cortex-M under QEMU: start-up, and SysTick as the clock of instructions (under -icount). */
#include "bare.h"

enum { TURNS = 1000000 };

static volatile uint32_t wraps;

static uintptr_t semihost(uintptr_t operation, uintptr_t argument) {
    register uintptr_t r0 __asm__("r0") = operation;
    register uintptr_t r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

static void tick(void) { wraps++; }

void Reset(void);
__attribute__((section(".isr"), used)) void (*const vectors[16])(void) = {
    (void (*)(void))(void *)_estack,
    Reset,
    fault,
    fault,
    fault,
    fault,
    fault,
    0,
    0,
    0,
    0,
    fault,
    fault,
    0,
    fault,
    tick};

#define SYST ((volatile uint32_t *)0xE000E010u) /* control, reload, current */

uint64_t device_clock(void) {
    uint32_t turns, value;
    do {
        turns = wraps;
        value = SYST[2];
    } while (turns != wraps);
    return (uint64_t)turns * 0x1000000u + (0xFFFFFFu - value);
}

/* 3 instructions a turn on every core; n is in r0. */
__attribute__((naked, noinline)) static void three(UNUSED uint32_t turns) {
    __asm__ volatile(".syntax unified\n1: nop\n subs r0, r0, #1\n bne 1b\n bx lr");
}

uint64_t device_loop_ticks(void) {
    SYST[1] = 0xFFFFFF;
    SYST[2] = 0;
    SYST[0] = 7;
    while (SYST[2] == 0) { /* it takes the reload value at the first tick */
    }
    wraps = 0;
    const uint64_t before = device_clock();
    three(TURNS);
    return device_clock() - before;
}

__attribute__((used, noreturn)) void Reset(void) {
#if __ARM_ARCH >= 7 && defined(__ARM_FP)
    *(volatile uint32_t *)0xE000ED88u |= 0xFu << 20; /* the floating-point unit */
    __asm__ volatile("dsb\n isb");
#endif
    begin();
    for (;;) {
    }
}
