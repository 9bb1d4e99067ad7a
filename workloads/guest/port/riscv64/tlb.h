/*
 * tlb.h: who may still have an old translation.
 *
 * tlb_generation counts shootdowns. A hart with a task that has not seen the newest one is interrupted and waited for; an idle one
 * looks before it starts a task. The caller holds no lock: a hart that spins on it would never take the interrupt. A hart that waits
 * here answers the others' shootdowns itself.
 */
#ifndef VIRTAX_TLB_H
#define VIRTAX_TLB_H
#include <stdint.h>

void tlb_shootdown(uint64_t va, uint64_t bytes); /* returns when no hart has a translation for the range */
void tlb_catch_up(void);                         /* this hart, if it has not seen the newest shootdown */

#endif
