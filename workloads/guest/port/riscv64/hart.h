/*
 * hart.h: what the kernel keeps for each hart. CPU number and hart id are the same.
 *
 * The kernel runs with interrupts off (sstatus.SIE = 0) but for one window in cpu_sleep(). A hart is idle (in hart_idle()) or has
 * a task: the user thread that it runs to its end. There is one thread a hart and so no context switch.
 */
#ifndef VIRTAX_HART_H
#define VIRTAX_HART_H
#include <stdint.h>

#include "offsets.h"

/* A user thread's registers while it is in the kernel. x[0] is the pc. */
struct frame {
  uint64_t x[32];
};
enum { FRAME_PC = 0, FRAME_RA = 1, FRAME_SP = 2, FRAME_TP = 4, FRAME_A0 = 10, FRAME_A1 = 11, FRAME_A7 = 17 };

enum task_state { TASK_NONE, TASK_CLAIMED, TASK_RUNNING };

struct hart {
  uint64_t kernel_sp, user_sp, recover; /* the assembly's */
  uint32_t cpu;
  uint32_t token, sleeping; /* cpu_wake() and cpu_sleep() */
  uint64_t armed;           /* the timer's deadline in ticks; in the past if none */
  uint32_t task;            /* enum task_state */
  uint64_t entry, arg[2];   /* of the task */
  uint32_t joiners;         /* a bit a CPU that waits for the task's end */
  uint32_t posts;           /* env_ipi()s not yet taken */
  uint32_t in_user;         /* has a task: may have user translations in its TLB */
  uint64_t tlb_seen;        /* the shootdown up to which its TLB is clean */
  struct page *free;        /* its own free pages (pages.c) */
  uint32_t free_count;
  int stack;                /* its user stack is mapped */
} __attribute__((aligned(256)));

/* The machine-mode shim's (boot.S). */
struct machine_area {
  uint64_t t1, t2, msip, mtimecmp;
  struct hart *hart;
} __attribute__((aligned(64)));

extern struct hart harts[MAX_HARTS];
extern struct machine_area machine_areas[MAX_HARTS];
extern uint32_t harts_released;

#ifdef __riscv
static inline struct hart *this_hart(void) {
  struct hart *h;
  __asm__("mv %0, tp" : "=r"(h));
  return h;
}
#else
struct hart *this_hart(void); /* a test's */
#endif

void harts_find(void);    /* boot, M-mode: counts the CPUs of the device tree */
void harts_release(void); /* boot: lets the others leave M-mode */
_Noreturn void hart_idle(void);
_Noreturn void hart_idle_again(void);
void hart_interrupt(uint64_t cause); /* an interrupt, from the trap handlers */

/* ---- task.c ---- */
int task_spawn(unsigned cpu, uint64_t entry, uint64_t a0, uint64_t a1); /* 0, -EAGAIN, -EINVAL */
void task_run(struct hart *);                                           /* its task; does not come back when there is one */
_Noreturn void task_exit(void);
int task_join(unsigned cpu);
int task_post(unsigned cpu);
void task_take_post(void);

#endif
