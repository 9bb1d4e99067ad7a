/*
 * memory/triad: a[i] = b[i] + s * c[i] over arrays that no L2 holds, as McCalpin's STREAM; ops are bytes (24 an element).
 * A unit is one chunk of the arrays; the chunks follow each other round and round.
 */
#include "lib/mix.h"
#include "workload.h"

enum { CHUNK = 40960, CHUNKS = 8, COUNT = CHUNK * CHUNKS, SAMPLES = 16 };

struct arrays {
  double a[COUNT], b[COUNT], c[COUNT];
};

static void triad(double *restrict a, const double *restrict b, const double *restrict c, double s) {
  for (int i = 0; i < CHUNK; i++) a[i] = b[i] + s * c[i];
}

static uint64_t bits(double value) {
  union {
    double value;
    uint64_t bits;
  } u = {value};
  return u.bits;
}

static int setup(struct ctx *c) {
  struct arrays *m = c->mem;
  uint64_t stream = c->seed;
  for (int i = 0; i < COUNT; i++) {
    m->b[i] = (double)(mix_next(&stream) >> 11);
    m->c[i] = (double)(i & 1023);
  }
  return 0;
}

static uint64_t unit(struct ctx *c) {
  struct arrays *m = c->mem;
  size_t at = c->unit % CHUNKS * CHUNK;
  uint64_t checksum = 0;
  triad(m->a + at, m->b + at, m->c + at, 3.0);
  for (int i = 0; i < SAMPLES; i++) checksum = mix_fold(checksum, bits(m->a[at + i * (CHUNK / SAMPLES)]));
  c->ops += (uint64_t)CHUNK * 3 * sizeof(double);
  return checksum;
}

/* All that was written, against the formula. */
static int finish(struct ctx *c) {
  struct arrays *m = c->mem;
  size_t done = c->unit < CHUNKS ? (size_t)c->unit * CHUNK : COUNT;
  for (size_t i = 0; i < done; i++) {
    if (m->a[i] != m->b[i] + 3.0 * m->c[i]) c->errors++;
  }
  return 0;
}

const struct workload memory_triad = {.name = "memory/triad", .memory = sizeof(struct arrays), .setup = setup, .unit = unit, .finish = finish};
