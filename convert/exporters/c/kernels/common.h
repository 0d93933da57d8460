/* What every kernel needs: types, and how a kernel is declared.
 *
 * Not the vectors: see vector.h. C11, no libc but memcpy, memmove and memset, no memory of its own.
 */
#ifndef GATELET_COMMON_H
#define GATELET_COMMON_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "layout.h"

#if defined(__BYTE_ORDER__) && defined(__ORDER_BIG_ENDIAN__)
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#error "the weights are little-endian, and so must be the processor"
#endif
#endif

#if defined(__GNUC__)
#define GATELET_INLINE static inline __attribute__((always_inline, unused))
#define GATELET_UNUSED __attribute__((unused))
#define GATELET_APART __attribute__((noinline))
#define GATELET_PREFETCH(from) __builtin_prefetch(from)
#define GATELET_SETTLED
#define GATELET_SETTLE(numbers) __asm__ volatile("" : : "r"(numbers) : "memory")
#else
#define GATELET_INLINE static inline
#define GATELET_UNUSED
#define GATELET_APART
#define GATELET_PREFETCH(from) ((void)(from))
#define GATELET_SETTLED volatile
#define GATELET_SETTLE(numbers) ((void)(numbers))
#endif
/* `GATELET_SETTLED float x[n]` holds products that are rounded: after GATELET_SETTLE(x) no compiler
 * fuses them with the sums that they go into, whatever its flags. */

/* In the single file that is shipped the kernels are static; separate objects link them. */
#if defined(GATELET_SINGLE_FILE)
#define GATELET_KERNEL static GATELET_UNUSED
#else
#define GATELET_KERNEL
#endif

/* 1 where memory counts more than speed: rows run one by one, a timestep at a time. The header of a
 * model decides, since its scratch memory follows. */
#if !defined(GATELET_SMALL)
#define GATELET_SMALL 0
#endif

#define GATELET_ROUND_UP(n) (((n) + GATELET_LANES - 1) / GATELET_LANES * GATELET_LANES)

#endif
