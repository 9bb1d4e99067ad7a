/*
 * registry.c: every workload of the program, in the order of `list`. The TypeScript specs name the same ones, and those of timed/ as
 * parts of policy/.
 */
#include "workload.h"

#define ALL_WORKLOADS(X) \
  X(cpu_sieve) X(cpu_sha256) X(cpu_matmul) X(cpu_quicksort) X(cpu_mandelbrot) X(cpu_nbody) X(cpu_lists) \
  X(memory_triad) X(memory_copy) X(memory_chase) \
  X(os_trap) X(os_timer) X(os_ipi) X(os_map) X(os_lock) X(os_spawn) \
  X(block_read_1m) X(block_write_1m) X(block_randread_qd1) X(block_randread_qd32) X(block_randwrite_qd32) \
  X(net_udp_rr) X(net_udp_stream) X(mixed_average) \
  X(timed_randread_qd1) X(timed_randread_qd8) X(timed_randread_qd32)

#define DECLARE(w) extern const struct workload w;
#define ADDRESS(w) &w,

ALL_WORKLOADS(DECLARE)

const struct workload *const workloads[] = {ALL_WORKLOADS(ADDRESS) NULL};
