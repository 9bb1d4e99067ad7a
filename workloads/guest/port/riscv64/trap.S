/*
 * trap.S: into the S-mode kernel and back.
 *
 * Registers: in the kernel tp is the struct hart and sscratch is 0; in user mode sscratch is the struct hart. So the swap at the
 * entry tells where the trap came from. The kernel uses no floating point, hence the f registers stay the program's.
 */
#include "offsets.h"

#define SSTATUS_SPIE 0x20
#define SSTATUS_SPP 0x100
#define SSTATUS_SUM 0x40000
#define CSR_FCSR 0x003

.macro each_saved_register op /* all but x0, sp and tp */
  \op x1, 8(sp)
  \op x3, 24(sp)
  .irp r, 5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
  \op x\r, \r*8(sp)
  .endr
.endm

.macro each_caller_saved op
  \op ra, 8(sp)
  .irp r, 5,6,7,10,11,12,13,14,15,16,17,28,29,30,31
  \op x\r, \r*8(sp)
  .endr
.endm

.text
.balign 4
.globl trap_entry
trap_entry:
  csrrw tp, sscratch, tp
  bnez tp, from_user
  csrrw tp, sscratch, zero

  /* From the kernel: an interrupt in cpu_sleep()'s window, or a fault in user_copy. C saves the callee-saved registers. */
  addi sp, sp, -FRAME_BYTES
  each_caller_saved sd
  csrr t0, sepc
  sd t0, 0(sp)
  mv a0, sp
  call kernel_trap
  ld t0, 0(sp)
  csrw sepc, t0
  each_caller_saved ld
  addi sp, sp, FRAME_BYTES
  sret

from_user:
  sd sp, HART_USER_SP(tp)
  ld sp, HART_KERNEL_SP(tp)
  addi sp, sp, -FRAME_BYTES
  each_saved_register sd
  ld t0, HART_USER_SP(tp)
  sd t0, 16(sp)
  csrrw t0, sscratch, zero
  sd t0, 32(sp)
  csrr t0, sepc
  sd t0, 0(sp)
  mv a0, sp
  call user_trap

to_user: /* sp: the frame, which is the only thing on the kernel's stack */
  ld t0, 0(sp)
  csrw sepc, t0
  li t0, SSTATUS_SPP
  csrc sstatus, t0
  li t0, SSTATUS_SPIE
  csrs sstatus, t0
  csrw sscratch, tp
  each_saved_register ld
  ld tp, 32(sp)
  ld sp, 16(sp)
  sret

/* user_start(frame): leaves the kernel for the first time of a task. The frame lies at the top of the hart's kernel stack. */
.globl user_start
user_start:
  mv sp, a0
  csrw CSR_FCSR, zero
  j to_user

/* hart_idle_again(): forgets the stack of the task whose system call this is, and idles. */
.globl hart_idle_again
hart_idle_again:
  ld sp, HART_KERNEL_SP(tp)
  addi sp, sp, -FRAME_BYTES /* room for the next task's frame */
  j hart_idle

/*
 * int user_copy(void *to, const void *from, size_t n): memcpy with one side in user memory. A fault in it that vm_fault()
 * does not mend resumes at user_copy_failed, with the stack as it was here: 0, or -1.
 */
.globl user_copy
user_copy:
  addi sp, sp, -112
  sd ra, 0(sp)
  sd s0, 8(sp)
  sd s1, 16(sp)
  .irp r, 2,3,4,5,6,7,8,9,10,11
  sd s\r, 8+\r*8(sp)
  .endr
  sd sp, HART_RECOVER(tp)
  li t0, SSTATUS_SUM
  csrs sstatus, t0
  call memcpy
  li a0, 0
  j 1f
.globl user_copy_failed
user_copy_failed:
  ld sp, HART_RECOVER(tp)
  ld s0, 8(sp)
  ld s1, 16(sp)
  .irp r, 2,3,4,5,6,7,8,9,10,11
  ld s\r, 8+\r*8(sp)
  .endr
  li a0, -1
1:
  li t0, SSTATUS_SUM
  csrc sstatus, t0
  sd zero, HART_RECOVER(tp)
  ld ra, 0(sp)
  addi sp, sp, 112
  ret
