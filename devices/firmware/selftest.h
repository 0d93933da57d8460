/* What the self-test needs of a board, and what boards need of the self-test.
 *
 * A board brings the first four functions, and calls `selftest` for each line that it has read. */
#ifndef GATELET_SELFTEST_H
#define GATELET_SELFTEST_H

#include <stdint.h>

enum { SELFTEST_LINE = 64 }; /* the longest line of the host, with its end */

void device_write(const char *text);
uint64_t device_clock(void);      /* counts up, in units of its own */
uint64_t device_loop_ticks(void); /* what 3,000,000 instructions take on that clock; 1 where it
                                     counts cycles, 0 where there is none */
uint32_t device_stack(void);      /* the most bytes of stack so far; 0 where nobody knows */

/* Answers one line of the host, without its end; returns 0 after the last one. */
int selftest(const char *line);

#endif
