/* Sums of 8-bit weights times 16-bit numbers on small ARM processors: by SMLAD, which takes two
 * products at a time (Cortex-M4, M7, M33), and by Helium, which takes eight (M55).
 *
 * The sums are integers, and those of the plain C beside each use. In assembler: what compilers
 * make of intrinsics takes up to twice the instructions.
 */
#ifndef GATELET_SUMS_H
#define GATELET_SUMS_H

#include "common.h"

#if !defined(GATELET_PLAIN) && defined(__GNUC__) && defined(__thumb2__) && \
    defined(__ARM_ARCH_PROFILE) && __ARM_ARCH_PROFILE == 'M'
#if defined(__ARM_FEATURE_MVE) && (__ARM_FEATURE_MVE & 1)
#define GATELET_SUMS_MVE
#elif defined(__ARM_FEATURE_DSP)
#define GATELET_SUMS_DSP
#endif
#endif

#if defined(GATELET_SUMS_MVE) || defined(GATELET_SUMS_DSP)
#define GATELET_SUMS
#define GATELET_ASSEMBLER static __attribute__((naked, noinline, unused))
#endif

/* SMLAD finds weights 0 and 2 of four in one word, 1 and 3 in the other; so lie the numbers. */
GATELET_INLINE void gatelet_order_fours(int16_t *x, int32_t n) {
#if defined(GATELET_SUMS_DSP)
    for (int16_t *const end = x + n; x < end; x += 4) {
        const int16_t second = x[1];
        x[1] = x[2];
        x[2] = second;
    }
#else
    (void)x;
    (void)n;
#endif
}

#if defined(GATELET_SUMS_DSP)

/* The four sums of the columns at w, w + n, w + 2 n and w + 3 n, over `fours` times four numbers.
 */
GATELET_ASSEMBLER void gatelet_sums_of_whole_fours(const int8_t *w, const int16_t *x, int32_t fours,
                                                   int32_t n, int32_t *sums) {
    __asm__(".syntax unified\n"
            "push {r4-r11, lr}\n"
            "movs r4, #0\n movs r5, #0\n movs r6, #0\n movs r7, #0\n"
            "add r9, r3, r3, lsl #1\n"
            "1: ldrd r10, r11, [r1], #8\n"
            "ldr r8, [r0, r3]\n"
            "sxtb16 r12, r8\n sxtb16 r8, r8, ror #8\n"
            "smlad r5, r12, r10, r5\n smlad r5, r8, r11, r5\n"
            "ldr r8, [r0, r3, lsl #1]\n"
            "sxtb16 r12, r8\n sxtb16 r8, r8, ror #8\n"
            "smlad r6, r12, r10, r6\n smlad r6, r8, r11, r6\n"
            "ldr r8, [r0, r9]\n"
            "sxtb16 r12, r8\n sxtb16 r8, r8, ror #8\n"
            "smlad r7, r12, r10, r7\n smlad r7, r8, r11, r7\n"
            "ldr r8, [r0], #4\n"
            "sxtb16 r12, r8\n sxtb16 r8, r8, ror #8\n"
            "smlad r4, r12, r10, r4\n smlad r4, r8, r11, r4\n"
            "subs r2, r2, #1\n bne 1b\n"
            "ldr r8, [sp, #36]\n"
            "stmia r8, {r4-r7}\n"
            "pop {r4-r11, pc}\n");
}

/* The same over n numbers, of which those behind the last four are in their own order. */
GATELET_INLINE void gatelet_sums_of_columns(const int8_t *w, const int16_t *x, int32_t n,
                                            int32_t *sums) {
    gatelet_sums_of_whole_fours(w, x, n / 4, n, sums);
    for (int32_t k = n & ~3; k < n; k++) {
        for (int i = 0; i < 4; i++) {
            sums[i] += x[k] * w[i * n + k];
        }
    }
}

#define GATELET_FOUR_OF_A_TILE                         \
    "ldmia r0, {r8, r9, r12, lr}\n"                    \
    "ldrd r10, r11, [r1], #8\n"                        \
    "add r0, r0, #256\n"                               \
    "sxtb16 r3, r8\n sxtb16 r8, r8, ror #8\n"          \
    "smlad r4, r3, r10, r4\n smlad r4, r8, r11, r4\n"  \
    "sxtb16 r3, r9\n sxtb16 r9, r9, ror #8\n"          \
    "smlad r5, r3, r10, r5\n smlad r5, r9, r11, r5\n"  \
    "sxtb16 r3, r12\n sxtb16 r12, r12, ror #8\n"       \
    "smlad r6, r3, r10, r6\n smlad r6, r12, r11, r6\n" \
    "sxtb16 r3, lr\n sxtb16 lr, lr, ror #8\n"          \
    "smlad r7, r3, r10, r7\n smlad r7, lr, r11, r7\n"

/* The same of 16 columns of a tile of 64, [fours][64][4]: four at a time, two fours a turn. */
GATELET_ASSEMBLER void gatelet_sums_of_16(const int8_t *w, const int16_t *x, int32_t fours,
                                          int32_t *sums) {
    __asm__(".syntax unified\n"
            "push {r4-r11, lr}\n"
            "mov r8, #4\n"
            "push {r0-r3, r8}\n"
            "1: movs r4, #0\n movs r5, #0\n movs r6, #0\n movs r7, #0\n"
            "lsls r3, r2, #31\n beq 2f\n" GATELET_FOUR_OF_A_TILE "subs r2, r2, #1\n beq 3f\n"
            "2: " GATELET_FOUR_OF_A_TILE GATELET_FOUR_OF_A_TILE "subs r2, r2, #2\n bne 2b\n"
            "3: pop {r0-r3, r8}\n"
            "stmia r3!, {r4-r7}\n"
            "adds r0, r0, #16\n"
            "subs r8, r8, #1\n"
            "push {r0-r3, r8}\n"
            "bne 1b\n"
            "add sp, sp, #20\n"
            "pop {r4-r11, pc}\n");
}

#elif defined(GATELET_SUMS_MVE)

/* The four sums of the columns at w, w + n, w + 2 n and w + 3 n, over n numbers. */
GATELET_ASSEMBLER void gatelet_sums_of_columns(const int8_t *w, const int16_t *x, int32_t n,
                                               int32_t *sums) {
    __asm__(".syntax unified\n"
            "push {r4-r10, lr}\n"
            "movs r4, #0\n movs r6, #0\n mov r8, #0\n mov r10, #0\n"
            "adds r5, r0, r2\n adds r7, r5, r2\n add r9, r7, r2\n"
            "dlstp.16 lr, r2\n"
            "mov r2, r9\n"
            "1: vldrh.u16 q0, [r1], #16\n"
            "vldrb.s16 q1, [r0], #8\n vmladava.s16 r4, q0, q1\n"
            "vldrb.s16 q1, [r5], #8\n vmladava.s16 r6, q0, q1\n"
            "vldrb.s16 q1, [r7], #8\n vmladava.s16 r8, q0, q1\n"
            "vldrb.s16 q1, [r2], #8\n vmladava.s16 r10, q0, q1\n"
            "letp lr, 1b\n"
            "str r4, [r3]\n str r6, [r3, #4]\n str r8, [r3, #8]\n str r10, [r3, #12]\n"
            "pop {r4-r10, pc}\n");
}

/* The same of 16 columns of a tile of `next` bytes for four k, [n / 4][next / 4][4]: eight weights
 * of a column are gathered at a time. */
GATELET_ASSEMBLER void gatelet_sums_of_16(const int8_t *w, const int16_t *x, int32_t n,
                                          int32_t *sums, int32_t next) {
    __asm__(".syntax unified\n"
            "push {r4-r11, lr}\n"
            "vpush {d8-d13}\n"
            "ldr r4, [sp, #84]\n"
            "movs r6, #0\n vidup.u16 q5, r6, #1\n"             /* 0 to 7 */
            "movs r5, #3\n vdup.16 q6, r5\n vand q4, q5, q6\n" /* k % 4 */
            "vshr.u16 q5, q5, #2\n vmul.i16 q5, q5, r4\n vadd.i16 q4, q4, q5\n"
            "lsls r4, r4, #1\n vdup.16 q3, r4\n"
            "movs r11, #4\n"
            "2: movs r4, #0\n movs r6, #0\n mov r8, #0\n mov r10, #0\n"
            "adds r5, r0, #4\n add r7, r0, #8\n add r9, r0, #12\n"
            "vmov q2, q4\n mov r12, r1\n"
            "dlstp.16 lr, r2\n"
            "1: vldrh.u16 q0, [r12], #16\n"
            "vldrb.s16 q1, [r0, q2]\n vmladava.s16 r4, q0, q1\n"
            "vldrb.s16 q1, [r5, q2]\n vmladava.s16 r6, q0, q1\n"
            "vldrb.s16 q1, [r7, q2]\n vmladava.s16 r8, q0, q1\n"
            "vldrb.s16 q1, [r9, q2]\n vmladava.s16 r10, q0, q1\n"
            "vadd.i16 q2, q2, q3\n"
            "letp lr, 1b\n"
            "str r6, [r3, #4]\n str r8, [r3, #8]\n str r10, [r3, #12]\n str r4, [r3], #16\n"
            "adds r0, r0, #16\n"
            "subs r11, r11, #1\n bne 2b\n"
            "vpop {d8-d13}\n"
            "pop {r4-r11, pc}\n");
}

#endif

#endif
