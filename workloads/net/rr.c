/* rr.c: see rr.h. */
#include "net/rr.h"

#include "env.h"
#include "net/peer.h"

/* Each CPU has a port of its own; one that is still open from an earlier workload is opened anew. */
static int open_port(uint16_t port) {
  env_udp_close(port);
  return env_udp_open(port);
}

int rr_setup(struct rr *r, struct ctx *c) {
  if (!env_has_net()) c->reason = "the machine has no network card";
  else if (!c->peer_ip) c->reason = "no peer was given (peer=ADDRESS:PORT)";
  if (c->reason) return -ENV_ENOTSUP;
  r->port = (uint16_t)(NET_FIRST_PORT + c->cpu);
  int status = open_port(r->port);
  if (status) c->reason = "cannot open a UDP port";
  return status;
}

static int send(struct rr *r, struct ctx *c) {
  int status = env_udp_send(r->port, c->peer_ip, c->peer_port, &r->sequence, 1);
  return status < 0 ? status : 0;
}

int rr_send(struct rr *r, struct ctx *c) {
  r->sequence++;
  return send(r, c);
}

/* Answers to requests that were given up are told by their byte and dropped. */
static int receive_one(struct rr *r, uint64_t timeout_ns) {
  uint8_t answer[16];
  for (;;) {
    int n = env_udp_recv(r->port, answer, sizeof answer, timeout_ns);
    if (n < 0) return n;
    if (n == 1 && answer[0] == r->sequence) return 0;
  }
}

int rr_receive(struct rr *r, struct ctx *c) {
  int status = receive_one(r, RR_TIMEOUT_MS * 1000000ull);
  for (int tries = 1; status == -ENV_ETIMEDOUT && tries < RR_TRIES; tries++) {
    r->retries++;
    status = send(r, c);
    if (status == 0) status = receive_one(r, RR_TIMEOUT_MS * 1000000ull);
  }
  if (status) {
    c->errors++;
    c->reason = "the peer does not answer";
  }
  return status;
}
