/*
 * boot.S: from reset to S-mode, and the machine-mode shim that stays behind.
 *
 * Entered as QEMU's virt enters a `-bios none -kernel` image: at _start, every hart at once, in M-mode, a0 = hart id,
 * a1 = device tree. The image is an ELF file: its loader has cleared .bss. Hart 0 (there always is one: Privileged Architecture,
 * 3.1.5) boots; the others wait for a software interrupt.
 *
 * The shim has two tasks. The S-mode kernel writes the CLINT's mtimecmp and msip itself (the PMP lets it), so setting a timer or
 * sending an IPI costs no trap and there is no ecall interface; but the CLINT interrupts M-mode. So both interrupts are silenced
 * at the CLINT here and passed on as the one software interrupt that M can raise in S and S can clear: SSIP. S finds out why.
 */
#include "offsets.h"

#define MIE_MSIE 0x8
#define MIE_MTIE 0x80
#define MIP_SSIP 0x2
#define MSTATUS_MPP_S 0x800
#define MSTATUS_MPP 0x1800
#define MSTATUS_FS_INITIAL 0x2000
#define PMP_NAPOT_RWX 0x1f
#define DELEGATED_EXCEPTIONS 0xb1ff /* all but ecalls from S and M */
#define DELEGATED_INTERRUPTS 0x222
#define COUNTERS 0x7 /* cycle, time, instret */

.section .text.start, "ax"
.globl _start
_start:
  csrw mie, zero
  li t0, MAX_HARTS
  bgeu a0, t0, park
  la tp, harts
  slli t0, a0, HART_SHIFT
  add tp, tp, t0
  la sp, stacks
  addi t0, a0, 1
  slli t0, t0, STACK_SHIFT
  add sp, sp, t0
  sd sp, HART_KERNEL_SP(tp)
  addi sp, sp, -FRAME_BYTES /* room for the frame that task_run() makes */
  sw a0, HART_CPU(tp)
  la s0, machine_areas
  slli t0, a0, AREA_SHIFT
  add s0, s0, t0
  sd tp, AREA_HART(s0)
  csrw mscratch, s0

  /* All of memory open to S and U. A hart without a PMP traps here and goes on behind it. */
  la t0, 1f
  csrw mtvec, t0
  li t0, -1
  csrw pmpaddr0, t0
  li t0, PMP_NAPOT_RWX
  csrw pmpcfg0, t0
.balign 4
1:
  la t0, machine_trap
  csrw mtvec, t0
  li t0, DELEGATED_EXCEPTIONS
  csrw medeleg, t0
  li t0, DELEGATED_INTERRUPTS
  csrw mideleg, t0
  li t0, COUNTERS
  csrw mcounteren, t0
  csrw scounteren, t0
  csrw satp, zero
  li t0, MSTATUS_MPP
  csrc mstatus, t0
  li t0, MSTATUS_MPP_S | MSTATUS_FS_INITIAL
  csrs mstatus, t0

  la s1, supervisor_main
  bnez a0, secondary
  mv a0, a1
  call machine_main /* C, still in M-mode: device tree, console, CLINT */
  j enter_supervisor

secondary:
  li t0, MIE_MSIE
  csrw mie, t0
  la t0, harts_released
2:
  lw t1, 0(t0)
  bnez t1, 3f
  wfi
  j 2b
3:
  fence r, rw
  ld t0, AREA_MSIP(s0)
  sw zero, 0(t0)
  la s1, supervisor_secondary

enter_supervisor:
  li t0, MIE_MSIE | MIE_MTIE
  csrw mie, t0
  csrw mepc, s1
  mret

park:
  wfi
  j park

/* mscratch: this hart's struct machine_area, where t1 and t2 are kept. */
.balign 4
machine_trap:
  csrrw t0, mscratch, t0
  sd t1, AREA_T1(t0)
  sd t2, AREA_T2(t0)
  csrr t1, mcause
  bgez t1, fatal
  andi t1, t1, 0x3f
  li t2, 7
  beq t1, t2, timer
  li t2, 3
  bne t1, t2, fatal
  ld t1, AREA_MSIP(t0)
  sw zero, 0(t1)
  j raise
timer:
  ld t1, AREA_MTIMECMP(t0)
  li t2, -1
  sd t2, 0(t1)
raise:
  csrsi mip, MIP_SSIP
  ld t1, AREA_T1(t0)
  ld t2, AREA_T2(t0)
  csrrw t0, mscratch, t0
  mret
fatal:
  ld tp, AREA_HART(t0)
  ld sp, HART_KERNEL_SP(tp)
  csrr a0, mcause
  csrr a1, mepc
  csrr a2, mtval
  call machine_fatal
  j park

.section .bss
.balign 16
stacks:
  .space MAX_HARTS << STACK_SHIFT

.section .data
.balign 4
.globl harts_released
harts_released:
  .word 0
