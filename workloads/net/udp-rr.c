/* net/udp-rr: round trips of one byte each way, one at a time on each CPU. ops are transactions. */
#include "lib/mix.h"
#include "net/rr.h"

enum { TRANSACTIONS = 8 };

static int setup(struct ctx *c) { return rr_setup(c->mem, c); }

static int begin(struct ctx *c) {
  struct rr *r = c->mem;
  r->sequence = 0;
  r->retries = 0;
  return 0;
}

static uint64_t unit(struct ctx *c) {
  struct rr *r = c->mem;
  uint64_t checksum = c->seed;
  for (int i = 0; i < TRANSACTIONS; i++) {
    int status = rr_send(r, c);
    if (status == 0) status = rr_receive(r, c);
    if (status) break;
    checksum = mix_fold(checksum, r->sequence);
    c->ops++;
  }
  c->extra[0] = r->retries;
  return checksum;
}

const struct workload net_udp_rr = {.name = "net/udp-rr", .memory = sizeof(struct rr), .extra = {"retries"}, .setup = setup, .begin = begin, .unit = unit};
