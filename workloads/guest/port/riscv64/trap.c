/* trap.c: why the hart is in the kernel. The entry code is trap.S. */
#include "drivers/ns16550.h"
#include "kernel/kernel.h"
#include "port/riscv64/hart.h"
#include "port/riscv64/riscv.h"
#include "port/riscv64/syscall.h"
#include "port/riscv64/vm.h"

extern uint8_t user_copy_failed[];

/* Privileged Architecture, table 4.2. */
static const char *const causes[16] = {
    "instruction address misaligned", "instruction access fault", "illegal instruction", "breakpoint", "load address misaligned",
    "load access fault", "store address misaligned", "store access fault", "system call", "system call from S-mode", "?", "?",
    "instruction page fault", "load page fault", "?", "store page fault"};

static const char *cause_name(uint64_t cause) { return cause < 16 ? causes[cause] : "?"; }

static int is_page_fault(uint64_t cause) { return cause == CAUSE_FETCH_PAGE || cause == CAUSE_LOAD_PAGE || cause == CAUSE_STORE_PAGE; }

static _Noreturn void user_fatal(const struct frame *f, uint64_t cause, uint64_t address) {
  console_dying();
  kprintf("\nprogram fault on CPU %u: %s, pc %llx, address %llx, ra %llx, sp %llx\n", cpu_id(), cause_name(cause), (unsigned long long)f->x[FRAME_PC],
          (unsigned long long)address, (unsigned long long)f->x[FRAME_RA], (unsigned long long)f->x[FRAME_SP]);
  machine_poweroff(1);
}

void user_trap(struct frame *f) {
  uint64_t cause = CSR_READ(scause), address = CSR_READ(stval);
  if (cause & CAUSE_INTERRUPT) {
    hart_interrupt(cause);
  } else if (cause == CAUSE_USER_ECALL) {
    f->x[FRAME_PC] += 4;
    syscall(f);
  } else if (!is_page_fault(cause) || vm_fault(address, cause) != 0) {
    user_fatal(f, cause, address);
  }
}

/* f holds the pc and the caller-saved registers alone. */
void kernel_trap(struct frame *f) {
  uint64_t cause = CSR_READ(scause), address = CSR_READ(stval);
  if (cause & CAUSE_INTERRUPT) {
    hart_interrupt(cause);
  } else if (is_page_fault(cause) && this_hart()->recover && address >= USER_IMAGE && address < USER_END) {
    if (vm_fault(address, cause) != 0) f->x[FRAME_PC] = (uint64_t)user_copy_failed;
  } else {
    console_dying();
    panic("%s in the kernel, pc %llx, address %llx", cause_name(cause), (unsigned long long)f->x[FRAME_PC], (unsigned long long)address);
  }
}

void machine_fatal(uint64_t cause, uint64_t pc, uint64_t address) {
  console_dying();
  panic("M-mode trap, mcause %llx, pc %llx, address %llx", (unsigned long long)cause, (unsigned long long)pc, (unsigned long long)address);
}
