/*
 * memory/chase: latency. Each load gives the address of the next; the lines of 8 MiB form one random cycle, so that
 * neither a prefetcher nor an L2 helps. ops are loads.
 */
#include "lib/mix.h"
#include "workload.h"

enum { LINE = 64, LINES = (8 << 20) / LINE, LOADS = 8192 };

struct line {
  uint64_t next; /* index of a line, the same on every port */
  uint64_t padding[LINE / 8 - 1];
};

/* Sattolo's algorithm: a random permutation that is a single cycle. */
static int setup(struct ctx *c) {
  struct line *lines = c->mem;
  uint64_t stream = c->seed;
  for (uint64_t i = 0; i < LINES; i++) lines[i].next = i;
  for (uint64_t i = LINES - 1; i > 0; i--) {
    uint64_t k = mix_next(&stream) % i, t = lines[i].next;
    lines[i].next = lines[k].next;
    lines[k].next = t;
  }
  return 0;
}

static int begin(struct ctx *c) {
  struct line *lines = c->mem;
  lines[0].padding[0] = 0; /* where the last unit stopped */
  return 0;
}

static uint64_t unit(struct ctx *c) {
  struct line *lines = c->mem;
  uint64_t at = lines[0].padding[0];
  for (int i = 0; i < LOADS; i++) at = lines[at].next;
  lines[0].padding[0] = at;
  c->ops += LOADS;
  return mix64(at);
}

const struct workload memory_chase = {.name = "memory/chase", .memory = LINES * sizeof(struct line), .setup = setup, .begin = begin, .unit = unit};
