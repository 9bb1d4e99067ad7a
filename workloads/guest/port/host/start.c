/* start.c: the first instructions of the process and of its threads. */
#include "arch.h"

#if defined(__x86_64__)

/* The kernel leaves argc, argv, the environment and the auxiliary vector at rsp (System V ABI, x86-64, 3.4.1). */
__asm__(
    ".text\n.globl _start\n_start:\n"
    "  xor %ebp, %ebp\n"
    "  mov %rsp, %rdi\n"
    "  and $-16, %rsp\n"
    "  call host_start\n"
    "  ud2\n");

/* clone(flags, stack, parent_tid, child_tid, tls): r8 holds self for the kernel and, in the child, for us. */
__asm__(
    ".text\n.globl thread_clone\nthread_clone:\n"
    "  mov %rdx, %r8\n"
    "  mov %rcx, %r9\n"
    "  xor %edx, %edx\n"
    "  xor %r10d, %r10d\n"
    "  mov $56, %eax\n"
    "  syscall\n"
    "  test %rax, %rax\n"
    "  jz 1f\n"
    "  ret\n"
    "1: xor %ebp, %ebp\n"
    "  mov %r8, %rdi\n"
    "  call *%r9\n"
    "  ud2\n");

#elif defined(__aarch64__)

__asm__(
    ".text\n.globl _start\n_start:\n"
    "  mov x29, #0\n"
    "  mov x30, #0\n"
    "  mov x0, sp\n"
    "  bl host_start\n"
    "  brk #0\n");

/* clone(flags, stack, parent_tid, tls, child_tid). */
__asm__(
    ".text\n.globl thread_clone\nthread_clone:\n"
    "  mov x5, x2\n"
    "  mov x6, x3\n"
    "  mov x2, #0\n"
    "  mov x3, x5\n"
    "  mov x4, #0\n"
    "  mov x8, #220\n"
    "  svc #0\n"
    "  cbz x0, 1f\n"
    "  ret\n"
    "1: mov x29, #0\n"
    "  mov x30, #0\n"
    "  mov x0, x5\n"
    "  blr x6\n"
    "  brk #0\n");

#else

__asm__(
    ".text\n.globl _start\n_start:\n"
    "  mv a0, sp\n"
    "  call host_start\n"
    "  unimp\n");

/* clone(flags, stack, parent_tid, tls, child_tid). */
__asm__(
    ".text\n.globl thread_clone\nthread_clone:\n"
    "  mv t0, a2\n"
    "  mv t1, a3\n"
    "  li a2, 0\n"
    "  mv a3, t0\n"
    "  li a4, 0\n"
    "  li a7, 220\n"
    "  ecall\n"
    "  beqz a0, 1f\n"
    "  ret\n"
    "1: mv a0, tp\n"
    "  jalr t1\n"
    "  unimp\n");

#endif
