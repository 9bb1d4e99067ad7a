/*
 * timed.c: random reads of 4 KiB at several depths, each request timed from its submission until the guest has its answer: what the
 * policy workloads look at. CPU 0 alone, so that quantiles of one histogram can be reported (extra values are added up over CPUs).
 */
#include "block/stream.h"
#include "lib/mem.h"

/* Octaves of nanoseconds in 64 steps each: a quantile is known to 1.6 %. */
enum { STEP_BITS = 6, STEPS = 1 << STEP_BITS, BUCKETS = (40 - STEP_BITS) * STEPS };

struct timed {
  uint64_t longest, count;
  uint64_t submitted[ENV_MAX_DEPTH]; /* when, by slot */
  uint32_t buckets[BUCKETS];
};
#define TIMED_BYTES ((sizeof(struct timed) + 63) & ~(size_t)63)

static struct timed *timed_of(const struct ctx *c) { return c->mem; }
static struct stream *stream_of(const struct ctx *c) { return (struct stream *)((char *)c->mem + TIMED_BYTES); }

static unsigned bucket_of(uint64_t ns) {
  if (ns < STEPS) return (unsigned)ns;
  unsigned octave = 63 - (unsigned)__builtin_clzll(ns);
  unsigned bucket = (octave - STEP_BITS + 1) * STEPS + (unsigned)(ns >> (octave - STEP_BITS) & (STEPS - 1));
  return bucket < BUCKETS ? bucket : BUCKETS - 1;
}

/* The least time that is counted in a bucket. */
static uint64_t bucket_ns(unsigned bucket) {
  unsigned octave = bucket >> STEP_BITS;
  return octave == 0 ? bucket : (uint64_t)(STEPS + (bucket & (STEPS - 1))) << (octave - 1);
}

static uint64_t quantile(const struct timed *t, unsigned percent) {
  uint64_t below = t->count * percent / 100, seen = 0;
  for (unsigned i = 0; i < BUCKETS; i++) {
    seen += t->buckets[i];
    if (seen > below) return bucket_ns(i);
  }
  return t->longest;
}

static void note(struct timed *t, uint64_t ns) {
  if (ns > t->longest) t->longest = ns;
  t->count++;
  t->buckets[bucket_of(ns)]++;
}

/* Starts n more; all that one call starts have one time. */
static int submit(struct timed *t, struct stream *s, struct ctx *c, unsigned n) {
  uint64_t before = s->free, now = env_now_ns();
  int status = stream_submit(s, c, n);
  for (uint64_t taken = before & ~s->free; taken; taken &= taken - 1) t->submitted[__builtin_ctzll(taken)] = now;
  return status;
}

/* At least one answer. How many there were, or negative errno. */
static int collect(struct timed *t, struct stream *s, struct ctx *c) {
  struct env_block_done done[ENV_MAX_DEPTH];
  int n = env_block_wait(done, 1, ENV_MAX_DEPTH);
  uint64_t now = env_now_ns();
  for (int i = 0; i < n; i++) {
    note(t, now - t->submitted[done[i].tag]);
    stream_complete(s, c, &done[i]);
  }
  if (n <= 0) {
    c->errors++;
    c->reason = "the disk does not answer";
  }
  return n;
}

static int begin(struct ctx *c) {
  memset(timed_of(c), 0, sizeof(struct timed));
  stream_begin(stream_of(c), c->seed);
  return 0;
}

/* As stream_unit(): the first unit ends with exactly its own requests. */
static uint64_t unit(struct ctx *c) {
  struct timed *t = timed_of(c);
  struct stream *s = stream_of(c);
  uint64_t goal = s->completed + s->spec.per_unit;
  int status = s->submitted == 0 ? submit(t, s, c, s->spec.depth) : 0;
  while (status == 0 && (s->completed < goal || s->early + c->errors < s->spec.per_unit)) {
    int n = collect(t, s, c);
    status = n > 0 ? submit(t, s, c, s->spec.depth - (unsigned)(s->submitted - s->completed)) : -ENV_EIO;
  }
  return s->early_sum;
}

static int drain(struct ctx *c) {
  struct stream *s = stream_of(c);
  int status = 0;
  while (status == 0 && s->completed < s->submitted) status = collect(timed_of(c), s, c) > 0 ? 0 : -ENV_EIO;
  c->ops = s->completed;
  return status;
}

static int finish(struct ctx *c) {
  const struct timed *t = timed_of(c);
  c->extra[0] = quantile(t, 50);
  c->extra[1] = quantile(t, 99);
  c->extra[2] = t->longest;
  return stream_verify(stream_of(c), c);
}

static int setup_at(struct ctx *c, uint32_t depth) {
  struct stream_spec spec = {.op = ENV_BLOCK_READ, .bytes = STREAM_BLOCK, .depth = depth, .random = 1, .per_unit = 8};
  return stream_setup(stream_of(c), c, &spec);
}
static int setup_qd1(struct ctx *c) { return setup_at(c, 1); }
static int setup_qd8(struct ctx *c) { return setup_at(c, 8); }
static int setup_qd32(struct ctx *c) { return setup_at(c, 32); }

#define TIMED(symbol, text, setup_, depth_)                                                                          \
  const struct workload symbol = {                                                                                   \
      .name = text, .memory = TIMED_BYTES + STREAM_MEMORY(STREAM_BLOCK, depth_), .flags = W_CPU0, .setup = setup_,   \
      .extra = {"p50ns", "p99ns", "maxns"}, .begin = begin, .unit = unit, .drain = drain, .finish = finish}

TIMED(timed_randread_qd1, "timed/randread-4k-qd1", setup_qd1, 1);
TIMED(timed_randread_qd8, "timed/randread-4k-qd8", setup_qd8, 8);
TIMED(timed_randread_qd32, "timed/randread-4k-qd32", setup_qd32, 32);
