/* rr.h: netperf's UDP_RR: a request of one byte and an answer of one byte. */
#ifndef VIRTAX_RR_H
#define VIRTAX_RR_H
#include <stdint.h>

#include "workload.h"

enum { RR_TIMEOUT_MS = 1000, RR_TRIES = 3 };

struct rr {
  uint16_t port; /* local */
  uint8_t sequence;
  uint64_t retries; /* requests sent again because no answer came in time */
};

/* Binds the CPU's port. Errors as of workload->setup, with a reason. */
int rr_setup(struct rr *r, struct ctx *c);
/* Sends the next request. */
int rr_send(struct rr *r, struct ctx *c);
/* Awaits its answer: 0, or negative errno after RR_TRIES tries (counted as an error of the sample). */
int rr_receive(struct rr *r, struct ctx *c);

#endif
