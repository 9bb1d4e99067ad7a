/*
 * net/udp-stream: datagrams of 1472 bytes, as fast as they go. What counts is what the peer got: ops are the bytes that
 * it counted, asked for after the sample; `sent` are the datagrams that left.
 */
#include "env.h"
#include "lib/mix.h"
#include "net/peer.h"
#include "workload.h"

enum { DATAGRAMS = 32, TRIES = 50 };
#define ANSWER_NS 100000000ull

struct sender {
  struct peer_data data;
  struct peer_count count;
  uint16_t port;
};

static int setup(struct ctx *c) {
  struct sender *s = c->mem;
  uint64_t stream = c->seed;
  if (!env_has_net()) c->reason = "the machine has no network card";
  else if (!c->peer_ip) c->reason = "no peer was given (peer=ADDRESS:PORT)";
  if (c->reason) return -ENV_ENOTSUP;
  for (int i = 0; i < PEER_FILLER; i++) s->data.filler[i] = mix_next(&stream);
  s->port = (uint16_t)(NET_FIRST_PORT + c->cpu);
  env_udp_close(s->port); /* an earlier workload's */
  int status = env_udp_open(s->port);
  if (status) c->reason = "cannot open a UDP port";
  return status;
}

/* The clock makes the stream's id new even where a sample is repeated with the same seed: the peer's counts start at 0. */
static int begin(struct ctx *c) {
  struct sender *s = c->mem;
  s->data.magic = PEER_DATA;
  s->data.stream = mix64(c->seed ^ env_now_ns());
  s->data.sequence = 0;
  return 0;
}

static uint64_t unit(struct ctx *c) {
  struct sender *s = c->mem;
  uint64_t checksum = c->seed;
  for (int i = 0; i < DATAGRAMS; i++) {
    s->data.mark = peer_mark(s->data.stream, s->data.sequence);
    if (env_udp_send(s->port, c->peer_ip, c->peer_port, &s->data, sizeof s->data) != sizeof s->data) {
      c->errors++;
      c->reason = "a datagram could not be sent";
      return 0;
    }
    checksum = mix_fold(checksum, s->data.sequence++);
  }
  return checksum;
}

/* 1 when the answer to our question came. */
static int ask(struct sender *s, const struct ctx *c) {
  struct peer_query query = {PEER_QUERY, s->data.stream};
  if (env_udp_send(s->port, c->peer_ip, c->peer_port, &query, sizeof query) < 0) return 0;
  for (;;) {
    int n = env_udp_recv(s->port, &s->count, sizeof s->count, ANSWER_NS);
    if (n < 0) return 0;
    if (n == sizeof s->count && s->count.magic == PEER_COUNT && s->count.stream == s->data.stream) return 1;
  }
}

/* The question follows the data on the same way, so the answer counts all that has arrived. */
static int finish(struct ctx *c) {
  struct sender *s = c->mem;
  int tries = 0;
  while (!ask(s, c)) {
    if (++tries < TRIES) continue;
    c->reason = "the peer does not answer";
    return -ENV_ETIMEDOUT;
  }
  c->ops = s->count.bytes;
  c->errors += s->count.wrong;
  c->extra[0] = s->data.sequence;
  c->extra[1] = s->count.datagrams;
  return 0;
}

const struct workload net_udp_stream = {
    .name = "net/udp-stream", .memory = sizeof(struct sender), .extra = {"sent", "received"}, .setup = setup, .begin = begin, .unit = unit, .finish = finish};
