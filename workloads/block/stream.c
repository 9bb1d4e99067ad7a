/* stream.c: see stream.h. */
#include "block/stream.h"

#include "lib/format.h"
#include "lib/mem.h"
#include "lib/mix.h"

enum { APART = 16 }; /* depths: no request is overtaken by that many others */
#define ALL_RIGHT UINT64_MAX
enum { SECOND_MARK = 259 }; /* words 0 and 259 of a block are looked at in the timed part */

/* ---- order ---- */

/* A bijection of k-bit numbers: odd multipliers and xor-shifts can be undone, so can their product. */
static uint64_t scramble(uint64_t x, unsigned k, uint64_t seed) {
  uint64_t mask = ((uint64_t)1 << k) - 1;
  unsigned half = (k + 1) / 2;
  x = (x ^ seed) & mask;
  x = x * ((seed >> 8) | 1) & mask;
  x ^= x >> half;
  x = x * 0xbf58476d1ce4e5b9ull & mask;
  x ^= x >> half;
  x = x * ((seed >> 24) | 1) & mask;
  return x ^ x >> half;
}

uint64_t stream_shuffle(uint64_t i, uint64_t n, uint64_t seed) {
  unsigned k = 1;
  uint64_t x = i % n;
  while (k < 63 && ((uint64_t)1 << k) < n) k++;
  /* Walk the cycle until it comes back below n: at most half of the k-bit numbers are outside. */
  do x = scramble(x, k, seed);
  while (x >= n);
  return x;
}

static uint64_t next_offset(const struct stream *s) {
  uint64_t i = s->spec.random ? stream_shuffle(s->submitted, s->count, s->seed) : s->submitted % s->count;
  return (s->first + i) * s->spec.bytes;
}

/* ---- contents ---- */

static uint64_t *buffer(const struct stream *s, unsigned tag) { return (uint64_t *)(s->buffers + (size_t)tag * s->spec.bytes); }

static void mark(uint64_t *words, uint64_t offset, uint32_t bytes, uint64_t generation) {
  for (uint64_t first = offset / 8, end = first + bytes / 8; first < end; first += STREAM_WORDS, words += STREAM_WORDS) {
    words[0] = disk_word(first, generation);
    words[SECOND_MARK] = disk_word(first + SECOND_MARK, generation);
  }
}

/* 1 if the marks of every block are right. */
static int marks_are_right(const uint64_t *words, uint64_t offset, uint32_t bytes) {
  uint64_t wrong = 0;
  for (uint64_t first = offset / 8, end = first + bytes / 8; first < end; first += STREAM_WORDS, words += STREAM_WORDS) {
    wrong |= words[0] ^ disk_word(first, 0);
    wrong |= words[SECOND_MARK] ^ disk_word(first + SECOND_MARK, 0);
  }
  return wrong == 0;
}

/* Where the first wrong mark lies on the disk; there is one. */
static uint64_t first_wrong_mark(const uint64_t *words, uint64_t offset) {
  for (uint64_t at = offset / 8;; at += STREAM_WORDS, words += STREAM_WORDS) {
    if (words[0] != disk_word(at, 0)) return at * 8;
    if (words[SECOND_MARK] != disk_word(at + SECOND_MARK, 0)) return (at + SECOND_MARK) * 8;
  }
}

static void fill(struct stream *s) {
  for (unsigned tag = 0; tag < s->spec.depth; tag++) {
    for (uint32_t i = 0; i < s->spec.bytes / 8; i++) buffer(s, tag)[i] = disk_word(i % STREAM_WORDS, s->generation);
  }
}

/* Generation of a write's marks: the next one each time that the stream begins its part again, so that a lost write shows. */
static uint64_t marks_of(const struct stream *s, uint64_t number) { return 1 + (s->generation - 1 + number / s->count) % 65535; }

/* Where the first word that is not as it was written lies on the disk; ALL_RIGHT if there is none. */
static uint64_t first_wrong_word(const struct stream *s, const uint64_t *words, uint64_t offset, uint64_t marks) {
  for (uint64_t i = 0; i < s->spec.bytes / 8; i++) {
    uint64_t k = i % STREAM_WORDS;
    if (words[i] != (k == 0 || k == SECOND_MARK ? disk_word(offset / 8 + i, marks) : disk_word(k, s->generation))) return offset + i * 8;
  }
  return ALL_RIGHT;
}

/* ---- life of a stream ---- */

static void complain(struct stream *s, struct ctx *c, const char *what, uint64_t offset, int status) {
  c->errors++;
  if (c->reason) return; /* the first is the cause, others follow from it */
  format(s->reason, sizeof s->reason, "%s at offset %llu (errno %d%s)", what, (unsigned long long)offset, -status,
         status == -28 ? ": the host's file system is full" : "");
  c->reason = s->reason;
}

/* Wrong data: the first place of it is in the result. */
static void complain_of_data(struct stream *s, struct ctx *c, const char *what, uint64_t offset) {
  if (offset < c->wrong_at) c->wrong_at = offset;
  complain(s, c, what, offset, -ENV_EIO);
}

/* Reads in the first half, writes in the second, both in whole requests; `parts` of each when CPUs must not meet. */
static int place(struct stream *s, const struct ctx *c) {
  uint64_t bytes = env_block_bytes(), size = s->spec.bytes, half = bytes / 2 / size;
  uint64_t start = s->spec.op == ENV_BLOCK_WRITE ? (bytes / 2 + size - 1) / size : 0;
  uint64_t parts = s->spec.op == ENV_BLOCK_READ && s->spec.random ? 1 : c->cpus;
  if (start) half = bytes / size - start;
  s->count = half / parts;
  s->first = start + (parts > 1 ? s->count * c->cpu : 0);
  return s->count >= 1;
}

int stream_setup(struct stream *s, struct ctx *c, const struct stream_spec *spec) {
  s->spec = *spec;
  s->buffers = (unsigned char *)(((uintptr_t)(s + 1) + STREAM_BLOCK - 1) & ~(uintptr_t)(STREAM_BLOCK - 1));
  if (env_block_bytes() == 0) c->reason = "the machine has no disk";
  else if (!place(s, c)) c->reason = "the disk is too small for so many CPUs";
  return c->reason ? -ENV_ENOTSUP : 0;
}

void stream_begin(struct stream *s, uint64_t seed) {
  s->seed = seed;
  s->generation = 1 + mix64(seed ^ env_now_ns()) % 65535; /* 0 is mkdisk's */
  s->submitted = s->completed = s->early = s->early_sum = s->writes = 0;
  s->free = ~(uint64_t)0 >> (64 - s->spec.depth);
  if (s->spec.op == ENV_BLOCK_WRITE) fill(s);
}

static void prepare_request(struct stream *s, struct env_block_req *r) {
  unsigned slot = (unsigned)__builtin_ctzll(s->free);
  uint64_t offset = next_offset(s);
  s->free &= s->free - 1;
  s->offset[slot] = offset;
  s->number[slot] = s->submitted++;
  if (s->spec.op == ENV_BLOCK_WRITE) mark(buffer(s, slot), offset, s->spec.bytes, marks_of(s, s->number[slot]));
  *r = (struct env_block_req){.op = s->spec.op, .tag = s->spec.tag_base + slot, .buf = buffer(s, slot), .offset = offset, .bytes = s->spec.bytes};
}

/* All of them, in as many calls as it takes. */
static int submit_all(const struct env_block_req *reqs, unsigned n) {
  for (unsigned taken = 0; taken < n;) {
    int status = env_block_submit(reqs + taken, n - taken);
    if (status <= 0) return status ? status : -ENV_EIO;
    taken += (unsigned)status;
  }
  return 0;
}

static int wait(struct stream *s, struct ctx *c, unsigned min);

/* Is the write to the same place, of the pass before, still in flight? Each place comes again after `count` requests. */
static int place_is_busy(const struct stream *s) {
  if (s->spec.op != ENV_BLOCK_WRITE || s->submitted < s->count || s->count >= (uint64_t)APART * s->spec.depth) return 0;
  uint64_t free = s->free;
  for (unsigned slot = 0; slot < s->spec.depth; slot++)
    if (!(free >> slot & 1) && s->number[slot] == s->submitted - s->count) return 1;
  return 0;
}

/*
 * Two writes to one place must not be in flight together: either might be the last, and a lost one would not show. Only a small
 * part of the disk can bring that about.
 */
static int wait_for_place(struct stream *s, struct ctx *c) {
  while (place_is_busy(s))
    if (wait(s, c, 1) <= 0) return -ENV_EIO;
  return 0;
}

static int submit_prepared(struct stream *s, struct ctx *c, const struct env_block_req *reqs, unsigned n) {
  int status = n ? submit_all(reqs, n) : 0;
  if (status) complain(s, c, "the disk refused a request", reqs[0].offset, status);
  return status;
}

int stream_submit(struct stream *s, struct ctx *c, unsigned n) {
  struct env_block_req reqs[ENV_MAX_DEPTH];
  unsigned first = 0;
  int status = 0;
  for (unsigned i = 0; i < n && status == 0; i++) {
    if (place_is_busy(s)) { /* what is prepared goes first: the place may be its own */
      status = submit_prepared(s, c, reqs + first, i - first);
      first = i;
      if (status == 0) status = wait_for_place(s, c);
    }
    if (status == 0) prepare_request(s, &reqs[i]);
  }
  return status ? status : submit_prepared(s, c, reqs + first, n - first);
}

void stream_complete(struct stream *s, struct ctx *c, const struct env_block_done *done) {
  unsigned slot = done->tag - s->spec.tag_base;
  uint64_t offset = s->offset[slot], *words = buffer(s, slot);
  int writes = s->spec.op == ENV_BLOCK_WRITE;
  s->free |= (uint64_t)1 << slot;
  s->completed++;
  if (done->status) {
    complain(s, c, writes ? "a write failed" : "a read failed", offset, done->status);
    return;
  }
  if (writes) {
    unsigned at = (unsigned)(s->writes++ % s->spec.depth);
    s->written[at] = offset;
    s->written_marks[at] = marks_of(s, s->number[slot]);
  } else if (!marks_are_right(words, offset, s->spec.bytes)) complain_of_data(s, c, "wrong data was read", first_wrong_mark(words, offset));
  if (s->number[slot] < s->spec.per_unit) {
    /* A sum, since the order of completions is the disk's. What is written differs from engine to engine, its place does not. */
    uint64_t expected = 1 + s->seed % 65535;
    uint64_t first = writes ? disk_word(offset / 8, expected) : words[0];
    uint64_t second = writes ? disk_word(offset / 8 + SECOND_MARK, expected) : words[SECOND_MARK];
    s->early++;
    s->early_sum += mix64(first ^ mix64(second + offset));
  }
}

/* Waits until at least min requests of the stream are done; how many they were, or negative errno after complaining. */
static int wait(struct stream *s, struct ctx *c, unsigned min) {
  struct env_block_done done[ENV_MAX_DEPTH];
  int n = env_block_wait(done, min, ENV_MAX_DEPTH);
  for (int i = 0; i < n; i++) stream_complete(s, c, &done[i]);
  if (n < 0) complain(s, c, "the disk does not answer", 0, n);
  return n;
}

/* The first unit goes on until exactly its own requests are done: its checksum must not depend on the disk's order. */
uint64_t stream_unit(struct stream *s, struct ctx *c) {
  uint64_t goal = s->completed + s->spec.per_unit;
  int status = s->submitted == 0 ? stream_submit(s, c, s->spec.depth) : 0;
  while (status == 0 && (s->completed < goal || s->early + c->errors < s->spec.per_unit)) {
    int n = wait(s, c, 1);
    status = n > 0 ? stream_submit(s, c, s->spec.depth - (unsigned)(s->submitted - s->completed)) : -ENV_EIO;
  }
  return s->early_sum;
}

int stream_flush(struct stream *s, struct ctx *c) {
  struct env_block_req flush = {.op = ENV_BLOCK_FLUSH, .tag = s->spec.tag_base};
  struct env_block_done done = {0, -ENV_EIO};
  int status = submit_all(&flush, 1);
  if (status == 0) status = env_block_wait(&done, 1, 1) == 1 ? done.status : -ENV_EIO;
  if (status) complain(s, c, "a flush failed", 0, status);
  return status;
}

int stream_drain(struct stream *s, struct ctx *c) {
  while (s->completed < s->submitted) {
    if (wait(s, c, 1) <= 0) return -ENV_EIO;
  }
  return s->spec.op == ENV_BLOCK_WRITE ? stream_flush(s, c) : 0;
}

/* Takes out of the last writes those whose place has been written again since. How many are left. */
static unsigned last_of_each_place(struct stream *s) {
  unsigned had = s->writes < s->spec.depth ? (unsigned)s->writes : s->spec.depth, n = 0;
  uint64_t offset[ENV_MAX_DEPTH], marks[ENV_MAX_DEPTH];
  for (unsigned back = 1; back <= had; back++) {
    unsigned at = (unsigned)((s->writes - back) % s->spec.depth), same = 0;
    while (same < n && offset[same] != s->written[at]) same++;
    if (same < n) continue;
    offset[n] = s->written[at];
    marks[n++] = s->written_marks[at];
  }
  memcpy(s->written, offset, n * sizeof *offset);
  memcpy(s->written_marks, marks, n * sizeof *marks);
  return n;
}

int stream_verify(struct stream *s, struct ctx *c) {
  struct env_block_req reqs[ENV_MAX_DEPTH];
  struct env_block_done done[ENV_MAX_DEPTH];
  unsigned n = last_of_each_place(s);
  for (unsigned i = 0; i < n; i++) {
    reqs[i] = (struct env_block_req){ENV_BLOCK_READ, i, buffer(s, i), s->written[i], s->spec.bytes};
    memset(buffer(s, i), 0, s->spec.bytes);
  }
  int status = submit_all(reqs, n);
  for (unsigned got = 0; status == 0 && got < n;) {
    int some = env_block_wait(done + got, 1, n - got);
    if (some <= 0) status = some ? some : -ENV_EIO;
    else got += (unsigned)some;
  }
  if (status) complain(s, c, "written data could not be read back", 0, status);
  for (unsigned i = 0; status == 0 && i < n; i++) {
    unsigned slot = done[i].tag;
    if (done[i].status) {
      complain(s, c, "written data could not be read back", s->written[slot], done[i].status);
      continue;
    }
    uint64_t wrong = first_wrong_word(s, buffer(s, slot), s->written[slot], s->written_marks[slot]);
    if (wrong != ALL_RIGHT) complain_of_data(s, c, "what was written is not what was read back", wrong);
  }
  return status;
}
