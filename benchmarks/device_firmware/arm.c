/* Start-up of a Cortex-M, its output by semihosting, and SysTick as a clock. */
#include <stdint.h>

extern uint32_t end_of_stack, start_of_data, end_of_data, stored_data, start_of_bss, end_of_bss;
int main(void);
void Reset(void);

static volatile uint32_t wraps;

static int semihosting(int operation, const void *given) {
    register int r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = given;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

void say(const char *text) { semihosting(4, text); }

static void leave(int is_good) {
    semihosting(0x18, (const void *)(uintptr_t)(is_good ? 0x20026 : 0x20023));
    for (;;) {
    }
}

static void fault(void) {
    say("fault\n");
    leave(0);
}

static void tick(void) { wraps++; }

__attribute__((section(".vectors"), used)) static void (*const vectors[16])(void) = {
    (void (*)(void))(void *)&end_of_stack, Reset, fault, fault, fault, fault, fault, 0, 0, 0, 0,
    fault, fault, 0, fault, tick};

#define SYSTICK ((volatile uint32_t *)0xE000E010u)

void start_clock(void) {
    SYSTICK[1] = 0xffffff;
    SYSTICK[2] = 0;
    SYSTICK[0] = 7;
}

uint64_t now(void) {
    uint32_t before, left;
    do {
        before = wraps;
        left = SYSTICK[2];
    } while (before != wraps);
    return (uint64_t)before * 0x1000000u + (0xffffffu - left);
}

__attribute__((naked, noinline)) void three_instructions(uint32_t loops) {
    __asm__ volatile(".syntax unified\n1: nop\n subs r0, r0, #1\n bne 1b\n bx lr");
}

__attribute__((used, noreturn)) void Reset(void) {
#if __ARM_ARCH >= 7 && defined(__ARM_FP)
    *(volatile uint32_t *)0xE000ED88u |= 0xfu << 20; /* the unit of floats is off at first */
    __asm__ volatile("dsb\n isb");
#endif
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
