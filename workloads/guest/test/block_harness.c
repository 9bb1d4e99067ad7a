/* block_harness.c: a disk whose inside is a test. Built for wasm32 with kernel/block.c, never into an image. */
#include "kernel/block.h"
#include "kernel/blockdev.h"

static struct block_request *taken[256];
static unsigned taken_count, capacity;
static struct block_request *finished;
static int finished_status;
static uint8_t buffer[1 << 20] __attribute__((aligned(4096)));

static unsigned submit(struct blockdev *dev, unsigned queue, struct block_request *list) {
  unsigned n = 0;
  for (; list && capacity; list = list->next, capacity--, n++) taken[taken_count++ % 256] = list;
  (void)dev;
  (void)queue;
  return n;
}

static void interrupt(struct blockdev *dev, unsigned queue) {
  (void)dev;
  (void)queue;
  if (finished) block_complete(finished, finished_status);
  finished = 0;
}

static struct blockdev disk = {.name = "test", .bytes = 1 << 24, .depth = 4, .submit = submit, .interrupt = interrupt};

void harness_start(unsigned slots) {
  capacity = slots;
  block_register(&disk);
}

/* block_queue() of a request on the harness's buffer, `shift` bytes into it. */
int harness_queue(unsigned op, unsigned tag, unsigned offset, unsigned bytes, unsigned shift) {
  struct env_block_req r = {.op = op, .tag = tag, .buf = buffer + shift, .offset = offset, .bytes = bytes};
  return block_queue(&r);
}

unsigned harness_taken(void) { return taken_count; }
unsigned harness_taken_tag(unsigned i) { return taken[i]->tag; }
unsigned harness_taken_cpu(unsigned i) { return taken[i]->cpu; }

/* The i-th request taken is done, which makes room for another. */
void harness_complete(unsigned i, int status) {
  finished = taken[i];
  finished_status = status;
  capacity++;
  block_interrupt(&disk);
}

static struct env_block_done done[ENV_MAX_DEPTH];
int harness_wait(unsigned min, unsigned max) { return block_wait(done, min, max); }
unsigned harness_done_tag(unsigned i) { return done[i].tag; }
int harness_done_status(unsigned i) { return done[i].status; }
