/*
 * os/lock: a spin lock that all CPUs want at once. ops are acquisitions. With more vCPUs than processors its holder may
 * be descheduled, which is what makes spin locks dear in virtual machines.
 */
#include "env.h"
#include "workload.h"

enum { ROUNDS = 100 };

struct shared {
  unsigned held __attribute__((aligned(64)));
  uint64_t value __attribute__((aligned(64))); /* under the lock, and not atomic: lost updates would show */
  uint64_t added[ENV_MAX_CPUS];
};

static void acquire(unsigned *held) {
  while (__atomic_exchange_n(held, 1, __ATOMIC_ACQUIRE)) {
    while (__atomic_load_n(held, __ATOMIC_RELAXED)) env_relax();
  }
}

static void release(unsigned *held) { __atomic_store_n(held, 0, __ATOMIC_RELEASE); }

static int begin(struct ctx *c) {
  struct shared *s = c->shared;
  s->added[c->cpu] = 0;
  if (c->cpu == 0) s->value = 0;
  return 0;
}

static uint64_t unit(struct ctx *c) {
  struct shared *s = c->shared;
  for (int i = 0; i < ROUNDS; i++) {
    acquire(&s->held);
    s->value++;
    release(&s->held);
  }
  s->added[c->cpu] += ROUNDS;
  c->ops += ROUNDS;
  return 0;
}

static int finish(struct ctx *c) {
  struct shared *s = c->shared;
  uint64_t sum = 0;
  for (unsigned i = 0; i < c->cpus; i++) sum += s->added[i];
  if (c->cpu == 0 && sum != s->value) c->errors++;
  return 0;
}

const struct workload os_lock = {
    .name = "os/lock", .shared = sizeof(struct shared), .flags = W_REPEATS, .begin = begin, .unit = unit, .finish = finish};
