/* Chooses among the levels of x86-64, or of aarch64, that a library was compiled for, when it is
 * opened.
 *
 * Not part of the model's own code: a program that compiles that chooses by its own flags.
 */
#include "library.h"

#if defined(__x86_64__)
#include <cpuid.h>

/* The registers that the operating system saves. */
static uint64_t saved_registers(void) {
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

/* The highest level of this processor: 2, 3, 4 (with VNNI), or 1 for the plain path. */
static int32_t level_of_processor(void) {
    uint32_t a, b, c, d, b7, c7;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c >> 19 & 1)) {
        return 1; /* no SSE4.1 */
    }
    const uint32_t avx_fma_xsave = 1u << 28 | 1u << 12 | 1u << 27;
    if ((c & avx_fma_xsave) != avx_fma_xsave || !__get_cpuid_count(7, 0, &a, &b7, &c7, &d)) {
        return 2;
    }
    const uint32_t avx2_bmi = 1u << 5 | 1u << 3 | 1u << 8;
    const uint64_t saved = saved_registers();
    if ((b7 & avx2_bmi) != avx2_bmi || (saved & 6) != 6) {
        return 2;
    }
    const uint32_t avx512 = 1u << 16 | 1u << 17 | 1u << 28 | 1u << 30 | 1u << 31;
    if ((b7 & avx512) != avx512 || !(c7 >> 11 & 1) || (saved & 0xe6) != 0xe6) {
        return 3;
    }
    return 4;
}

/* The best level (0), or a given one: 1 plain, 2, 3, 4; NULL where the processor lacks it. */
static inline const struct gatelet_library *choose(const struct gatelet_library *const *tables,
                                                   int32_t level) {
    const int32_t most = level_of_processor();
    if (level > most || most > 4) {
        return NULL;
    }
    return tables[(level > 0 ? level : most) - 1];
}

/* Defines what opens the library of one function of a model. */
#define GATELET_LEVELS(open, library)                                                              \
    extern const struct gatelet_library library##_plain, library##_v2, library##_v3, library##_v4; \
    GATELET_EXPORT const struct gatelet_library *open(int32_t level) {                             \
        const struct gatelet_library *const tables[] = {&library##_plain, &library##_v2,           \
                                                        &library##_v3, &library##_v4};             \
        return choose(tables, level);                                                              \
    }

#elif defined(__aarch64__)

extern unsigned long getauxval(unsigned long type) __attribute__((weak)); /* of Linux */

enum { HARDWARE = 16, DOT_PRODUCT = 20 };

/* The best level; what is asked for by number is of x86-64. */
static inline const struct gatelet_library *choose(const struct gatelet_library *const *tables,
                                                   int32_t level) {
    if (level > 0) {
        return NULL;
    }
    const int is_known = getauxval != NULL;
    return tables[is_known && (getauxval(HARDWARE) >> DOT_PRODUCT & 1)];
}

/* Defines what opens the library of one function of a model. */
#define GATELET_LEVELS(open, library)                                                          \
    extern const struct gatelet_library library##_plain, library##_dotprod;                    \
    GATELET_EXPORT const struct gatelet_library *open(int32_t level) {                         \
        const struct gatelet_library *const tables[] = {&library##_plain, &library##_dotprod}; \
        return choose(tables, level);                                                          \
    }

#endif
