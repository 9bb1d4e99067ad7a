/* task_harness.c: port/riscv64/task.c on a machine whose scheduling is a test. Built for wasm32, never into an image. */
#include "port/riscv64/hart.h"

struct hart harts[MAX_HARTS];

/* What CPU `cpu` has: its task's state, and who waits for the task's end. */
unsigned harness_task(unsigned cpu) { return harts[cpu].task; }
void harness_set_task(unsigned cpu, unsigned state) { harts[cpu].task = state; }
unsigned harness_joiners(unsigned cpu) { return harts[cpu].joiners; }

/* The second half of task_exit(), as a hart does it that was held up between its two halves. */
unsigned harness_take_joiners(unsigned cpu) {
  unsigned joiners = harts[cpu].joiners;
  harts[cpu].joiners = 0;
  return joiners;
}
