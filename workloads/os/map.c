/* os/map: 16 fresh pages are mapped, touched and unmapped again. ops are such rounds: 2 calls and 16 page faults each. */
#include "env.h"
#include "workload.h"

enum { PAGE = 4096, PAGES = 16, ROUNDS = 4 };

static int setup(struct ctx *c) {
  if (env_has_mmu()) return 0;
  c->reason = "this port has no MMU: memory is one flat space";
  return -ENV_ENOTSUP;
}

static void one_round(struct ctx *c) {
  volatile unsigned char *p = env_map(PAGES * PAGE);
  if (!p) {
    c->errors++;
    return;
  }
  for (int i = 0; i < PAGES; i++) {
    if (p[i * PAGE] != 0) c->errors++; /* another round's data would show here */
    p[i * PAGE] = (unsigned char)(i + 1);
  }
  env_unmap((void *)p, PAGES * PAGE);
  c->ops++;
}

static uint64_t unit(struct ctx *c) {
  for (int i = 0; i < ROUNDS; i++) one_round(c);
  return 0;
}

const struct workload os_map = {.name = "os/map", .flags = W_REPEATS | W_CPU0, .setup = setup, .unit = unit};
