/*
 * clint.h: SiFive's core-local interruptor ("sifive,clint0", "riscv,clint0"): msip at 4 * hart, mtimecmp at 0x4000 + 8 * hart
 * (SiFive FU540-C000 manual, chapter 9). mtime itself is read by the time CSR. Its interrupts are M-mode's: boot.S passes them on.
 */
#ifndef VIRTAX_CLINT_H
#define VIRTAX_CLINT_H
#include <stdint.h>

void clint_init(void);                              /* boot: fills the machine-mode shim's areas, silences all timers */
void clint_send(unsigned hart);                     /* IPI: a software interrupt of that hart; what was stored before is seen after */
void clint_set_timer(unsigned hart, uint64_t ticks);

#endif
