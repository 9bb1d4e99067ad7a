/* os/ipi: two CPUs that sleep wake each other in turn. ops are round trips: two interrupts, two wake-ups. */
#include "env.h"
#include "workload.h"

enum { TRIPS = 16 };

struct shared {
  unsigned stop, answered;
};

/* On CPU 1: answers each interrupt until it is told to stop. */
static void partner(void *arg) {
  struct shared *s = arg;
  for (;;) {
    env_ipi_wait();
    if (__atomic_load_n(&s->stop, __ATOMIC_ACQUIRE)) return;
    __atomic_add_fetch(&s->answered, 1, __ATOMIC_RELEASE);
    env_ipi(0);
  }
}

static int setup(struct ctx *c) {
  if (c->cpus >= 2) return 0;
  c->reason = "two CPUs are needed";
  return -ENV_ENOTSUP;
}

static int begin(struct ctx *c) {
  struct shared *s = c->shared;
  s->stop = s->answered = 0;
  return env_spawn(1, partner, s);
}

static uint64_t unit(struct ctx *c) {
  struct shared *s = c->shared;
  for (int i = 0; i < TRIPS; i++) {
    env_ipi(1);
    env_ipi_wait();
  }
  c->ops += TRIPS;
  if (__atomic_load_n(&s->answered, __ATOMIC_ACQUIRE) != c->ops) c->errors++;
  return 0;
}

static int finish(struct ctx *c) {
  struct shared *s = c->shared;
  __atomic_store_n(&s->stop, 1, __ATOMIC_RELEASE);
  env_ipi(1);
  env_join(1);
  return 0;
}

const struct workload os_ipi = {
    .name = "os/ipi", .shared = sizeof(struct shared), .flags = W_REPEATS | W_CPU0, .setup = setup, .begin = begin, .unit = unit, .finish = finish};
