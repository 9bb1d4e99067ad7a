/*
 * task.c: user threads. A hart's task goes NONE -> CLAIMED (by whoever spawns) -> RUNNING -> NONE (by the hart itself), so a
 * second spawn finds it busy. The joiner sets its bit, then looks at task; the ending hart clears task, then looks at joiners.
 */
#include "include/env.h"
#include "kernel/port.h"
#include "lib/mem.h"
#include "port/riscv64/hart.h"
#include "port/riscv64/pages.h"
#include "port/riscv64/tlb.h"
#include "port/riscv64/vm.h"

_Noreturn void user_start(struct frame *);

int task_spawn(unsigned cpu, uint64_t entry, uint64_t a0, uint64_t a1) {
  if (cpu >= cpu_count()) return -ENV_EINVAL;
  struct hart *h = &harts[cpu];
  uint32_t none = TASK_NONE;
  if (!__atomic_compare_exchange_n(&h->task, &none, TASK_CLAIMED, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) return -ENV_EAGAIN;
  if (!h->stack && vm_make_stack(cpu) != 0) {
    __atomic_store_n(&h->task, TASK_NONE, __ATOMIC_SEQ_CST);
    return -ENV_ENOMEM;
  }
  h->stack = 1;
  h->entry = entry;
  h->arg[0] = a0;
  h->arg[1] = a1;
  __atomic_store_n(&h->task, TASK_RUNNING, __ATOMIC_SEQ_CST);
  cpu_wake(cpu);
  return 0;
}

void task_run(struct hart *h) {
  if (__atomic_load_n(&h->task, __ATOMIC_SEQ_CST) != TASK_RUNNING) return;
  __atomic_store_n(&h->in_user, 1, __ATOMIC_SEQ_CST);
  tlb_catch_up();
  struct frame *f = (struct frame *)(uintptr_t)h->kernel_sp - 1;
  memset(f, 0, sizeof *f);
  f->x[FRAME_PC] = h->entry;
  f->x[FRAME_SP] = vm_stack_top(h->cpu);
  f->x[FRAME_TP] = h->cpu;
  f->x[FRAME_A0] = h->arg[0];
  f->x[FRAME_A1] = h->arg[1];
  user_start(f);
}

void task_exit(void) {
  struct hart *h = this_hart();
  __atomic_store_n(&h->in_user, 0, __ATOMIC_SEQ_CST);
  __atomic_store_n(&h->task, TASK_NONE, __ATOMIC_SEQ_CST);
  uint32_t joiners = __atomic_exchange_n(&h->joiners, 0, __ATOMIC_SEQ_CST);
  for (; joiners; joiners &= joiners - 1) cpu_wake((unsigned)__builtin_ctz(joiners));
  hart_idle_again();
}

/*
 * The bit is set anew before each sleep: a hart that is held up between clearing its task and taking the joiners may take the bit
 * that was meant for the next task, which has been spawned in the meantime.
 */
int task_join(unsigned cpu) {
  if (cpu >= cpu_count() || cpu == cpu_id()) return -ENV_EINVAL;
  struct hart *h = &harts[cpu];
  while (__atomic_load_n(&h->task, __ATOMIC_SEQ_CST) != TASK_NONE) {
    __atomic_fetch_or(&h->joiners, 1u << cpu_id(), __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&h->task, __ATOMIC_SEQ_CST) != TASK_NONE) cpu_sleep(CPU_FOREVER);
  }
  return 0;
}

int task_post(unsigned cpu) {
  if (cpu >= cpu_count()) return -ENV_EINVAL;
  __atomic_fetch_add(&harts[cpu].posts, 1, __ATOMIC_SEQ_CST);
  cpu_wake(cpu);
  return 0;
}

void task_take_post(void) {
  struct hart *h = this_hart();
  while (!__atomic_load_n(&h->posts, __ATOMIC_SEQ_CST)) cpu_sleep(CPU_FOREVER);
  __atomic_fetch_sub(&h->posts, 1, __ATOMIC_SEQ_CST);
}
