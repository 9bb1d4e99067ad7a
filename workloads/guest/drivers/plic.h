/*
 * plic.h: the platform-level interrupt controller (RISC-V PLIC specification 1.0.0; "sifive,plic-1.0.0", "riscv,plic0").
 *
 * Routing: every source goes to hart 0's S-mode context, as an ordinary system without interrupt balancing has it. A request's
 * owner is woken from there by an IPI, when it is another hart. irq_register() is in kernel/kernel.h.
 */
#ifndef VIRTAX_PLIC_H
#define VIRTAX_PLIC_H

void plic_init(void);
void plic_interrupt(void); /* claims and handles what is pending, until nothing is */

#endif
