/* syscall.h: system calls (abi.h). */
#ifndef VIRTAX_SYSCALL_H
#define VIRTAX_SYSCALL_H
#include "port/riscv64/hart.h"

void syscall(struct frame *); /* reads a7 and the arguments, writes a0 */

#endif
