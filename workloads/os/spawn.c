/* os/spawn: a task is started on an idle CPU and awaited, on the other CPUs in turn. ops are tasks. */
#include "env.h"
#include "workload.h"

enum { TASKS = 8 };

struct shared {
  unsigned ran;
};

static void task(void *arg) {
  struct shared *s = arg;
  __atomic_add_fetch(&s->ran, 1, __ATOMIC_RELAXED);
}

static int setup(struct ctx *c) {
  if (c->cpus >= 2) return 0;
  c->reason = "two CPUs are needed";
  return -ENV_ENOTSUP;
}

static uint64_t unit(struct ctx *c) {
  struct shared *s = c->shared;
  s->ran = 0;
  for (unsigned i = 0; i < TASKS; i++) {
    unsigned cpu = 1 + i % (c->cpus - 1);
    if (env_spawn(cpu, task, s)) c->errors++;
    env_join(cpu);
  }
  if (__atomic_load_n(&s->ran, __ATOMIC_RELAXED) != TASKS) c->errors++;
  c->ops += TASKS;
  return 0;
}

const struct workload os_spawn = {.name = "os/spawn", .shared = sizeof(struct shared), .flags = W_REPEATS | W_CPU0, .setup = setup, .unit = unit};
