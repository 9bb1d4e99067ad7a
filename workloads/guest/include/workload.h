/*
 * workload.h: what a workload is to the runner (init/runner.c). One struct workload in each workload's file, listed in
 * workloads/registry.c. A unit is fixed, checksummed work of at most 2 million guest instructions (an interpreter must
 * end it too); a sample runs whole units for a set time.
 */
#ifndef VIRTAX_WORKLOAD_H
#define VIRTAX_WORKLOAD_H
#include <stddef.h>
#include <stdint.h>

struct ctx {           /* one a participating CPU, one cache line apart or more */
  unsigned cpu, cpus;  /* this CPU's number among the participants, and how many there are */
  uint64_t seed;       /* of this sample and CPU: start of its random streams, generation of what it writes */
  void *mem;           /* workload->memory bytes, zeroed at prepare */
  uint64_t unit;       /* number of the unit within the sample, from 0 */
  uint64_t ops;        /* added to by unit(), in the workload's own unit */
  uint64_t errors;     /* wrong data seen */
  uint64_t wrong_at;   /* the lowest byte of the disk at which it was seen; UINT64_MAX: nowhere */
  uint64_t lat_ns, lat_count; /* what the workload timed itself (os/timer) */
  uint64_t extra[4];   /* reported by the names in workload->extra */
  uint32_t peer_ip;    /* net, mixed: the peer process */
  uint16_t peer_port;
  void *shared;        /* workload->shared bytes, one for all CPUs, zeroed at prepare */
  const char *reason;  /* why setup, begin, drain or finish gave an error, in words for the user; may stay NULL */
};

enum {
  W_REPEATS = 1, /* every unit has the same checksum; the runner checks that */
  W_CPU0 = 2,    /* units run on CPU 0 alone; the others stay idle for env_spawn and env_ipi */
};

struct workload {
  const char *name;
  size_t memory, shared;
  unsigned flags;
  const char *extra[4];
  int (*setup)(struct ctx *);     /* untimed, once at prepare, on each CPU: 0, or negative errno (-ENOTSUP: skipped) */
  int (*begin)(struct ctx *);     /* untimed, before each sample */
  uint64_t (*unit)(struct ctx *); /* timed; returns the unit's checksum */
  int (*drain)(struct ctx *);     /* timed, after the last unit: what is still in flight ends */
  int (*finish)(struct ctx *);    /* untimed, after the stop doorbell: read back and verify, ask the peer */
};

extern const struct workload *const workloads[]; /* ends with NULL */
#endif
