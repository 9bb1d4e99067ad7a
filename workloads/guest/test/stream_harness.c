/*
 * stream_harness.c: block/stream.c on a disk of 1 MiB that forgets one write, and that answers the youngest request first. Built for
 * wasm32, never into an image.
 */
#include "../block/stream.h"
#include "lib/mem.h"

enum { DISK = 1 << 20 };
static uint8_t disk[DISK];
static struct env_block_req pending[ENV_MAX_DEPTH];
static unsigned pending_count, writes, lost = ~0u, overlaps;
static uint64_t lost_at;
static int made_good; /* the place of the lost write was written again */
static uint8_t memory[1 << 20] __attribute__((aligned(4096)));
static struct ctx c;

uint64_t env_block_bytes(void) { return DISK; }
uint64_t env_now_ns(void) { return 1; }

int env_block_submit(const struct env_block_req *reqs, unsigned n)
{
  for (unsigned i = 0; i < n; i++) {
    for (unsigned k = 0; k < pending_count; k++) overlaps += reqs[i].op != ENV_BLOCK_FLUSH && pending[k].offset == reqs[i].offset;
    pending[pending_count++] = reqs[i];
  }
  return (int)n;
}

static void carry_out(const struct env_block_req *r)
{
  if (r->op == ENV_BLOCK_READ) memcpy(r->buf, disk + r->offset, r->bytes);
  if (r->op != ENV_BLOCK_WRITE) return;
  if (writes++ == lost) {
    lost_at = r->offset;
    return;
  }
  if (writes > lost && r->offset == lost_at) made_good = 1;
  memcpy(disk + r->offset, r->buf, r->bytes);
}

int env_block_wait(struct env_block_done *done, unsigned min, unsigned max)
{
  if (min > pending_count || !max || !pending_count) return min > pending_count ? -ENV_EINVAL : 0;
  struct env_block_req r = pending[--pending_count];
  carry_out(&r);
  *done = (struct env_block_done){r.tag, 0};
  return 1;
}

/* A sample of `units` units of writes; the write number `lose` does not reach the disk. Errors, as the result line has them. */
unsigned harness_write(unsigned random, unsigned depth, unsigned cpus, unsigned units, unsigned lose)
{
  struct stream *s = (struct stream *)memory;
  struct stream_spec spec = {.op = ENV_BLOCK_WRITE, .bytes = 4096, .depth = depth, .random = (int)random, .per_unit = 64};
  memset(memory, 0, sizeof memory);
  memset(disk, 0, sizeof disk);
  c = (struct ctx){.cpus = cpus, .seed = 7, .wrong_at = UINT64_MAX};
  pending_count = writes = overlaps = 0;
  lost = lose;
  made_good = 0;
  stream_setup(s, &c, &spec);
  stream_begin(s, c.seed);
  for (unsigned i = 0; i < units; i++) stream_unit(s, &c);
  stream_drain(s, &c);
  stream_verify(s, &c);
  return (unsigned)c.errors;
}

unsigned harness_writes(void) { return writes; }
unsigned harness_overlaps(void) { return overlaps; }
int harness_made_good(void) { return made_good; }
unsigned harness_lost_at(void) { return (unsigned)lost_at; }
unsigned harness_wrong_at(void) { return (unsigned)c.wrong_at; }
