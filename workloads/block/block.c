/*
 * block.c: the block workloads, named as fio's users do: operation, size, depth. Each is a stream (stream.h) with other
 * numbers. The 1 MiB ones go one after the other at depth 4; ops are bytes there, requests elsewhere.
 */
#include "block/stream.h"

enum { MIB = 1 << 20, DEPTH_1M = 4 };

static const struct stream_spec read_1m = {.op = ENV_BLOCK_READ, .bytes = MIB, .depth = DEPTH_1M, .per_unit = 4};
static const struct stream_spec write_1m = {.op = ENV_BLOCK_WRITE, .bytes = MIB, .depth = DEPTH_1M, .per_unit = 4};
static const struct stream_spec randread_qd1 = {.op = ENV_BLOCK_READ, .bytes = STREAM_BLOCK, .depth = 1, .random = 1, .per_unit = 8};
static const struct stream_spec randread_qd32 = {.op = ENV_BLOCK_READ, .bytes = STREAM_BLOCK, .depth = 32, .random = 1, .per_unit = 64};
static const struct stream_spec randwrite_qd32 = {.op = ENV_BLOCK_WRITE, .bytes = STREAM_BLOCK, .depth = 32, .random = 1, .per_unit = 64};

static int setup_read_1m(struct ctx *c) { return stream_setup(c->mem, c, &read_1m); }
static int setup_write_1m(struct ctx *c) { return stream_setup(c->mem, c, &write_1m); }
static int setup_randread_qd1(struct ctx *c) { return stream_setup(c->mem, c, &randread_qd1); }
static int setup_randread_qd32(struct ctx *c) { return stream_setup(c->mem, c, &randread_qd32); }
static int setup_randwrite_qd32(struct ctx *c) { return stream_setup(c->mem, c, &randwrite_qd32); }

static int begin(struct ctx *c) {
  stream_begin(c->mem, c->seed);
  return 0;
}

static uint64_t unit(struct ctx *c) { return stream_unit(c->mem, c); }

static int drain(struct ctx *c) {
  struct stream *s = c->mem;
  int status = stream_drain(s, c);
  c->ops = s->spec.bytes == MIB ? s->completed * MIB : s->completed;
  return status;
}

static int finish(struct ctx *c) { return stream_verify(c->mem, c); }

#define STREAM(symbol, text, setup_, bytes_, depth_) \
  const struct workload symbol = {.name = text, .memory = STREAM_MEMORY(bytes_, depth_), .setup = setup_, .begin = begin, .unit = unit, .drain = drain, .finish = finish}

STREAM(block_read_1m, "block/read-1m", setup_read_1m, MIB, DEPTH_1M);
STREAM(block_write_1m, "block/write-1m", setup_write_1m, MIB, DEPTH_1M);
STREAM(block_randread_qd1, "block/randread-4k-qd1", setup_randread_qd1, STREAM_BLOCK, 1);
STREAM(block_randread_qd32, "block/randread-4k-qd32", setup_randread_qd32, STREAM_BLOCK, 32);
STREAM(block_randwrite_qd32, "block/randwrite-4k-qd32", setup_randwrite_qd32, STREAM_BLOCK, 32);
