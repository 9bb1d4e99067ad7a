/*
 * runner.h: runs workloads. One workload is prepared at a time; any number of samples of it follow.
 * All calls are made on CPU 0, which takes part itself.
 */
#ifndef VIRTAX_RUNNER_H
#define VIRTAX_RUNNER_H
#include <stdint.h>

#include "workload.h"

struct run_config {
  uint64_t seed;
  unsigned cpus;     /* that take part, 1..env_cpus() */
  uint32_t peer_ip;  /* 0: no peer */
  uint16_t peer_port;
};

struct run_result {
  uint64_t units, ops, checksum, errors, ns;
  uint64_t lat_ns, lat_count; /* sums; lat_count 0: the workload times nothing itself */
  uint64_t extra[4];
  uint64_t wrong_at; /* lowest byte of the disk with wrong data; UINT64_MAX: none */
};

const struct workload *runner_find(const char *name);

/*
 * Makes w ready: memory, then setup() on each participating CPU.
 * 0; -ENOTSUP: it cannot run here; another negative errno: it failed. *reason: why, never NULL unless 0.
 */
int runner_prepare(const struct workload *w, const struct run_config *config, const char **reason);

/*
 * One sample of what is prepared: whole units for ms milliseconds; ms 0: an empty pair of doorbells. Errors as above.
 * With 0, *reason tells the cause of result->errors, or is NULL.
 */
int runner_sample(uint64_t ms, uint64_t seed, struct run_result *result, const char **reason);

/* The prepared workload, or NULL. */
const struct workload *runner_current(void);

#endif
