/* Runs one row of a model on a bare processor: bits of its scores, instructions, stack.
 *
 * Not a start-up: see arm.c and riscv.c. Prints "check N", "error N", "score BITS", "stack N" and
 * "instructions N" where the processor counts them, or "ticks N of M": of a loop of known length.
 */
#include <stdint.h>
#include <string.h>

#include "model.h"
#include "row.h"

#define JOINED_(a, b) a##b
#define JOINED(a, b) JOINED_(a, b)
#define CALL(name) JOINED(LOWER, _##name)
#define MACRO(name) JOINED(UPPER, _##name)
#define APPLIED(macro, ...) macro(__VA_ARGS__)

enum { LOOPS = 100000, PAINT = 0x5a5a5a5a, SPARE_BYTES = 256 };

void say(const char *text);
void start_clock(void);
uint64_t now(void);
void three_instructions(uint32_t loops);
extern uint32_t end_of_bss;

#if defined(BY_STEPS)
static _Alignas(64) unsigned char scratch[MACRO(STEP_SCRATCH_BYTES)(1, 1)];
static _Alignas(8) unsigned char state[MACRO(STATE_BYTES)(1)];
enum { STATE_BYTES = sizeof state };
#else
static _Alignas(64) unsigned char scratch[APPLIED(MACRO(SCRATCH_BYTES), SIZES)];
enum { STATE_BYTES = 0 };
#endif

/* In hexadecimal: some processors have no division. */
static void say_number(const char *name, uint64_t number) {
    char digits[17];
    int at = 16;
    digits[at] = 0;
    do {
        digits[--at] = "0123456789abcdef"[number & 15];
        number >>= 4;
    } while (number > 0);
    say(name);
    say(" ");
    say(digits + at);
    say("\n");
}

static uintptr_t from_here; /* the stack of the model begins here */

static __attribute__((noinline)) int run(float *scores) {
    from_here = (uintptr_t)__builtin_frame_address(0);
#if defined(BY_STEPS)
    int error = 0;
    CALL(reset)(state, 1);
    for (int t = 0; t < TIMESTEPS && !error; t++) {
        error = CALL(step)(CALL(weights), row + t * FEATURES, 1, 1, scores, state, scratch);
    }
    return error;
#else
    return CALL(predict)(CALL(weights), row, SIZES, scores, scratch);
#endif
}

int main(void) {
    static float scores[SCORES];
    uint64_t before, after;
    start_clock();
    three_instructions(LOOPS / 100);
    before = now();
    three_instructions(LOOPS);
    after = now();
    say_number("ticks_of_loop", after - before);
    say_number("check", (uint64_t)CALL(check)(CALL(weights), MACRO(WEIGHTS_BYTES)));
    const uintptr_t here = (uintptr_t)__builtin_frame_address(0);
    volatile uint32_t *const top = (uint32_t *)((here - SPARE_BYTES) / 4 * 4);
    for (volatile uint32_t *at = &end_of_bss; at < top; at++) {
        *at = PAINT;
    }
    before = now();
    const int error = run(scores);
    after = now();
    volatile uint32_t *deepest = &end_of_bss;
    while (deepest < top && *deepest == PAINT) {
        deepest++;
    }
    say_number("error", (uint64_t)error);
    say_number("ticks", after - before);
    say_number("stack", from_here - (uintptr_t)deepest);
    say_number("scratch", sizeof scratch);
    say_number("state", STATE_BYTES);
    for (int i = 0; i < SCORES; i++) {
        uint32_t bits;
        memcpy(&bits, scores + i, 4);
        say_number("score", bits);
    }
    return 0;
}
