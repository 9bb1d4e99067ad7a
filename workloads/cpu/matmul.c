/* cpu/matmul: a product of two square matrices of doubles. The inner loop runs along rows and can be vectorized. */
#include "cpu/cpu.h"
#include "lib/mix.h"
#include "workload.h"

enum { N = MATMUL_N, CELLS = N * N };

struct matrices {
  double a[CELLS], b[CELLS], product[CELLS];
};

/* Each element is summed in the order of k, vectorized or not: the result is the same to the last bit everywhere. */
void matmul(double *restrict to, const double *a, const double *b) {
  for (int i = 0; i < N; i++) {
    double *restrict row = to + i * N;
    for (int j = 0; j < N; j++) row[j] = 0;
    for (int k = 0; k < N; k++) {
      double factor = a[i * N + k];
      for (int j = 0; j < N; j++) row[j] += factor * b[k * N + j];
    }
  }
}

/* In [0, 1): 53 random bits. */
static double uniform(uint64_t *stream) { return (double)(mix_next(stream) >> 11) * 0x1p-53; }

static int setup(struct ctx *c) {
  struct matrices *m = c->mem;
  uint64_t stream = c->seed;
  for (int i = 0; i < CELLS; i++) {
    m->a[i] = uniform(&stream);
    m->b[i] = uniform(&stream);
  }
  return 0;
}

static uint64_t unit(struct ctx *c) {
  struct matrices *m = c->mem;
  uint64_t checksum = 0;
  matmul(m->product, m->a, m->b);
  for (int i = 0; i < CELLS; i++) {
    union {
      double value;
      uint64_t bits;
    } cell = {m->product[i]};
    checksum = checksum * 0x100000001b3ull + cell.bits;
  }
  c->ops++;
  return mix64(checksum);
}

const struct workload cpu_matmul = {.name = "cpu/matmul", .memory = sizeof(struct matrices), .flags = W_REPEATS, .setup = setup, .unit = unit};
