/*
 * mixed/average: the average workload. Each unit starts four random reads of 4 KiB and a write, sends a request to the
 * peer, hashes 20 KiB meanwhile, and then collects what has come back. ops are units.
 */
#include "block/stream.h"
#include "cpu/cpu.h"
#include "lib/mem.h"
#include "lib/mix.h"
#include "net/rr.h"

enum { READS = 4, WRITES = 1, MESSAGE_BYTES = 20480 };

#define READ_MEMORY ((STREAM_MEMORY(STREAM_BLOCK, READS) + 63) & ~(size_t)63)
#define WRITE_MEMORY ((STREAM_MEMORY(STREAM_BLOCK, WRITES) + 63) & ~(size_t)63)

struct average {
  struct rr rr;
  struct stream *reads, *writes;
  unsigned char message[MESSAGE_BYTES];
};
#define AVERAGE_BYTES ((sizeof(struct average) + 63) & ~(size_t)63)

static const struct stream_spec reads = {.op = ENV_BLOCK_READ, .bytes = STREAM_BLOCK, .depth = READS, .random = 1, .per_unit = READS};
static const struct stream_spec writes = {
    .op = ENV_BLOCK_WRITE, .bytes = STREAM_BLOCK, .depth = WRITES, .tag_base = READS, .random = 1, .per_unit = WRITES};

static int setup(struct ctx *c) {
  struct average *a = c->mem;
  uint64_t random = c->seed;
  a->reads = (struct stream *)((char *)c->mem + AVERAGE_BYTES);
  a->writes = (struct stream *)((char *)a->reads + READ_MEMORY);
  for (int i = 0; i < MESSAGE_BYTES; i += 8) {
    uint64_t word = mix_next(&random);
    memcpy(a->message + i, &word, sizeof word);
  }
  int status = stream_setup(a->reads, c, &reads);
  if (status == 0) status = stream_setup(a->writes, c, &writes);
  return status ? status : rr_setup(&a->rr, c);
}

static int begin(struct ctx *c) {
  struct average *a = c->mem;
  stream_begin(a->reads, c->seed);
  stream_begin(a->writes, mix64(c->seed));
  a->rr.sequence = 0;
  a->rr.retries = 0;
  return 0;
}

/* All requests of the unit. */
static int collect_blocks(struct average *a, struct ctx *c) {
  struct env_block_done done[READS + WRITES];
  int n = env_block_wait(done, READS + WRITES, READS + WRITES);
  for (int i = 0; i < n; i++) stream_complete(done[i].tag < READS ? a->reads : a->writes, c, &done[i]);
  if (n == READS + WRITES) return 0;
  c->errors++;
  c->reason = "the disk does not answer";
  return -ENV_EIO;
}

static uint64_t unit(struct ctx *c) {
  struct average *a = c->mem;
  uint8_t digest[32];
  uint64_t words[4];
  if (stream_submit(a->reads, c, READS) || stream_submit(a->writes, c, WRITES)) return 0;
  int sent = rr_send(&a->rr, c);
  sha256(a->message, MESSAGE_BYTES, digest);
  if (collect_blocks(a, c)) return 0;
  if (sent == 0) sent = rr_receive(&a->rr, c);
  c->extra[0] = a->rr.retries;
  if (sent) return 0;
  memcpy(words, digest, sizeof words);
  c->ops++;
  return mix_fold(mix_fold(words[0] ^ words[1] ^ words[2] ^ words[3], a->reads->early_sum), mix_fold(a->writes->early_sum, a->rr.sequence));
}

static int drain(struct ctx *c) { return stream_flush(((struct average *)c->mem)->writes, c); }
static int finish(struct ctx *c) { return stream_verify(((struct average *)c->mem)->writes, c); }

const struct workload mixed_average = {.name = "mixed/average",
                                       .memory = AVERAGE_BYTES + READ_MEMORY + WRITE_MEMORY,
                                       .extra = {"retries"},
                                       .setup = setup,
                                       .begin = begin,
                                       .unit = unit,
                                       .drain = drain,
                                       .finish = finish};
