/* os/timer: how late a CPU wakes up that slept until a given time. ops are sleeps; the latency is the guest's own. */
#include "env.h"
#include "workload.h"

enum { SLEEP_NS = 200000 };

static uint64_t unit(struct ctx *c) {
  uint64_t due = env_now_ns() + SLEEP_NS;
  env_sleep_until(due);
  uint64_t now = env_now_ns();
  if (now < due) c->errors++; /* too early is wrong, not fast */
  else c->lat_ns += now - due;
  c->lat_count++;
  c->ops++;
  return 0;
}

const struct workload os_timer = {.name = "os/timer", .flags = W_REPEATS | W_CPU0, .unit = unit};
