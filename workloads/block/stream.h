/*
 * stream.h: a stream of block requests that keeps its depth full: what every block workload, and mixed/average, is made of.
 *
 * The first half of the disk is only ever read: its word i is disk_word(i, 0), as mkdisk made it. The second half is for
 * writing; there, each CPU has a part of its own. A block of 4 KiB that was written holds disk_word(k, generation) at its
 * k-th word, except two words that tell where it belongs: its marks, disk_word(absolute index, generation + pass), where pass is
 * how often the stream has been through its part before.
 * So filling the buffers costs nothing in the timed part, and a block at the wrong place, or an old one, still shows.
 */
#ifndef VIRTAX_BLOCK_STREAM_H
#define VIRTAX_BLOCK_STREAM_H
#include <stddef.h>
#include <stdint.h>

#include "env.h"
#include "workload.h"

enum { STREAM_BLOCK = 4096, STREAM_WORDS = STREAM_BLOCK / 8 };

struct stream_spec {
  uint32_t op;       /* ENV_BLOCK_READ or ENV_BLOCK_WRITE */
  uint32_t bytes;    /* of a request: a multiple of 4 KiB */
  uint32_t depth;    /* requests in flight */
  uint32_t tag_base; /* tags are tag_base to tag_base + depth - 1: several streams may share a CPU */
  int random;        /* else one after the other */
  uint32_t per_unit; /* requests that make a unit */
};

/* State of one CPU's stream; the buffers follow it in memory. */
struct stream {
  struct stream_spec spec;
  unsigned char *buffers;    /* depth of them */
  uint64_t first, count;     /* the stream's part of the disk, in requests */
  uint64_t seed;
  uint64_t generation; /* of what this sample writes: its own, so that what an earlier one left does not pass for it */
  uint64_t submitted, completed;
  uint64_t free;                   /* a bit for each slot (tag - tag_base) */
  uint64_t offset[ENV_MAX_DEPTH];  /* of the request in flight, by slot */
  uint64_t number[ENV_MAX_DEPTH];  /* which request of the sample it is, by slot */
  uint64_t early, early_sum;       /* of the first per_unit requests: how many are done, and their checksum */
  uint64_t written[ENV_MAX_DEPTH]; /* offsets of the last `depth` writes that were completed */
  uint64_t written_marks[ENV_MAX_DEPTH]; /* generations of their marks */
  uint64_t writes;
  char reason[96];
};

/* Memory that a workload with this stream needs. */
#define STREAM_MEMORY(bytes, depth) (sizeof(struct stream) + STREAM_BLOCK + (size_t)(bytes) * (depth))

/* Errors as of workload->setup, with a reason. The stream's memory is zeroed. */
int stream_setup(struct stream *s, struct ctx *c, const struct stream_spec *spec);
/* A new sample: fills the write buffers, starts at the beginning of the stream. */
void stream_begin(struct stream *s, uint64_t seed);
/* Starts n more requests: submitted - completed + n must not exceed the depth. 0, or negative errno after complaining. */
int stream_submit(struct stream *s, struct ctx *c, unsigned n);
/* A request of this stream is done: verifies it. */
void stream_complete(struct stream *s, struct ctx *c, const struct env_block_done *done);
/* A whole unit, for workloads that are nothing but a stream: keeps the depth full until per_unit more requests are done. */
uint64_t stream_unit(struct stream *s, struct ctx *c);
/* Completes what is in flight. A stream of writes is flushed: the disk has it when this returns. */
int stream_drain(struct stream *s, struct ctx *c);
/* Writes are durable when this returns 0. Nothing may be in flight on this CPU. */
int stream_flush(struct stream *s, struct ctx *c);
/* Reads the last writes back and compares every word. */
int stream_verify(struct stream *s, struct ctx *c);

/*
 * The i-th of n numbers in an order that the seed gives; as i runs from 0 to n - 1 each number comes once. i is taken
 * modulo n.
 */
uint64_t stream_shuffle(uint64_t i, uint64_t n, uint64_t seed);

#endif
