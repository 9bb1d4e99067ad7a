/* registry.c: every workload of the program, in the order of `list`. The TypeScript specs name the same ones. */
#include "workload.h"

#define ALL_WORKLOADS(X) X(cpu_sieve)

#define DECLARE(w) extern const struct workload w;
#define ADDRESS(w) &w,

ALL_WORKLOADS(DECLARE)

const struct workload *const workloads[] = {ALL_WORKLOADS(ADDRESS) NULL};
