/* clock.h: nanoseconds of the time CSR, the same in kernel and program. */
#ifndef VIRTAX_CLOCK_H
#define VIRTAX_CLOCK_H
#include <stdint.h>

struct hart;

void clock_init(void);
uint64_t clock_scale(void);                            /* nanoseconds a tick, 32.32 fixed point; exact when the frequency divides 10^9 */
void clock_arm(struct hart *own, uint64_t deadline_ns); /* the hart's timer rings at the deadline or before */

static inline uint64_t clock_from_ticks(uint64_t ticks, uint64_t scale) {
  return (uint64_t)(((unsigned __int128)ticks * scale) >> 32);
}

#endif
