/*
 * os/trap: the cheapest round trip to the layer below: a system call on bare metal, a trap from user mode in `full`, a
 * hypercall in `para`. ops are calls.
 */
#include "env.h"
#include "lib/mix.h"
#include "workload.h"

enum { CALLS = 1000 };

static uint64_t unit(struct ctx *c) {
  long sum = 0;
  for (long i = 0; i < CALLS; i++) sum += env_null_call(i) - i;
  if (sum != CALLS) c->errors++;
  c->ops += CALLS;
  return mix64((uint64_t)sum);
}

const struct workload os_trap = {.name = "os/trap", .flags = W_REPEATS | W_CPU0, .unit = unit};
