/*
 * memory/copy: a loop that moves 64-bit words between two arrays that no L2 holds; ops are bytes, read and written.
 * The compiler is forbidden to see a memcpy in it: what is compared is this loop, not the platforms' library functions.
 */
#include "lib/mix.h"
#include "workload.h"

enum { CHUNK = 65536, CHUNKS = 8, COUNT = CHUNK * CHUNKS, SAMPLES = 16 };

struct arrays {
  uint64_t from[COUNT], to[COUNT];
};

#ifdef __clang__
__attribute__((no_builtin("memcpy", "memmove")))
#else
__attribute__((optimize("no-tree-loop-distribute-patterns")))
#endif
static void
copy(uint64_t *restrict to, const uint64_t *restrict from) {
  for (int i = 0; i < CHUNK; i++) to[i] = from[i];
}

static int setup(struct ctx *c) {
  struct arrays *m = c->mem;
  uint64_t stream = c->seed;
  for (int i = 0; i < COUNT; i++) m->from[i] = mix_next(&stream);
  return 0;
}

static uint64_t unit(struct ctx *c) {
  struct arrays *m = c->mem;
  size_t at = c->unit % CHUNKS * CHUNK;
  uint64_t checksum = 0;
  copy(m->to + at, m->from + at);
  for (int i = 0; i < SAMPLES; i++) checksum = mix_fold(checksum, m->to[at + i * (CHUNK / SAMPLES)]);
  c->ops += (uint64_t)CHUNK * 2 * sizeof(uint64_t);
  return checksum;
}

static int finish(struct ctx *c) {
  struct arrays *m = c->mem;
  size_t done = c->unit < CHUNKS ? (size_t)c->unit * CHUNK : COUNT;
  for (size_t i = 0; i < done; i++) {
    if (m->to[i] != m->from[i]) c->errors++;
  }
  return 0;
}

const struct workload memory_copy = {.name = "memory/copy", .memory = sizeof(struct arrays), .setup = setup, .unit = unit, .finish = finish};
