/*
 * units.c: the cpu and memory workloads as an ordinary program with the C library: what check:baseline holds the native
 * image against. Reads lines `NAME MS`, runs whole units for that time, and answers with what it did.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "workload.h"

extern const struct workload cpu_sieve, cpu_sha256, cpu_matmul, cpu_quicksort, cpu_mandelbrot, cpu_nbody, cpu_lists;
extern const struct workload memory_triad, memory_copy, memory_chase;
static const struct workload *const known[] = {&cpu_sieve, &cpu_sha256,   &cpu_matmul,  &cpu_quicksort, &cpu_mandelbrot,
                                               &cpu_nbody, &cpu_lists,    &memory_triad, &memory_copy,   &memory_chase};

static unsigned long long now(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return (unsigned long long)t.tv_sec * 1000000000 + (unsigned long long)t.tv_nsec;
}

static const struct workload *find(const char *name) {
  for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
    if (strcmp(known[i]->name, name) == 0) return known[i];
  }
  fprintf(stderr, "no workload %s\n", name);
  exit(2);
}

static void prepare(const struct workload *w, struct ctx *c) {
  free(c->mem);
  *c = (struct ctx){.cpus = 1, .seed = 1};
  c->mem = aligned_alloc(4096, (w->memory + 4096) & ~(size_t)4095);
  if (!c->mem) exit(1);
  memset(c->mem, 0, w->memory);
  if (w->setup) w->setup(c);
}

static void sample(const struct workload *w, struct ctx *c, unsigned ms) {
  unsigned long long units = 0;
  if (w->begin) w->begin(c);
  unsigned long long cpu = now(CLOCK_PROCESS_CPUTIME_ID), start = now(CLOCK_MONOTONIC), end = start + ms * 1000000ull;
  do {
    w->unit(c);
    c->unit = ++units;
  } while (now(CLOCK_MONOTONIC) < end);
  unsigned long long ns = now(CLOCK_MONOTONIC) - start;
  printf("units=%llu ns=%llu cpu=%llu\n", units, ns, now(CLOCK_PROCESS_CPUTIME_ID) - cpu);
  fflush(stdout);
}

int main(void) {
  char name[64];
  unsigned ms;
  struct ctx c = {0};
  const struct workload *current = NULL;
  while (scanf("%63s %u", name, &ms) == 2) {
    const struct workload *w = find(name);
    if (w != current) prepare(current = w, &c);
    sample(w, &c, ms);
  }
  return 0;
}
