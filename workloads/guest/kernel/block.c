/*
 * block.c: requests of many CPUs on their way to one disk and back.
 *
 * Invariants
 * - A request lives in the slot [cpu][tag] of the CPU that made it. The slot is in flight from block_queue() until
 *   block_wait() has handed out its completion; only the owner looks at in_flight.
 * - The lock of a queue of the disk guards the driver's side of that queue, the requests that wait for it and the producing
 *   side of the completion rings of its CPUs. Requests go to the driver in the order in which they came; what it has no room
 *   for waits, and is offered again when requests have come back.
 * - A completion ring has one producer (whoever holds its queue's lock) and one consumer (its CPU), and as many places as
 *   there are slots: it cannot overflow.
 * - A sleeping CPU says in want how many completions it waits for, then looks again; the producer publishes tail, then
 *   looks at want (both sequentially consistent): either the CPU sees the completion or the producer sees that it waits.
 */
#include "kernel/block.h"

#include <stddef.h>

#include "kernel/blockdev.h"
#include "kernel/lock.h"
#include "kernel/port.h"
#include "kernel/print.h"

#define MAX_BYTES (1u << 20)
#define SECTOR 512u

struct block_cpu {
  struct block_request slots[ENV_MAX_DEPTH];
  uint8_t in_flight[ENV_MAX_DEPTH];
  unsigned flying;                      /* how many slots are in flight */
  struct block_request *first, **last;  /* gathered by block_queue() */
  struct env_block_done done[ENV_MAX_DEPTH];
  uint32_t head, tail, want;
} __attribute__((aligned(64)));

static struct block_cpu cpus[ENV_MAX_CPUS];
static struct blockdev *disk;

static struct queue {
  struct lock lock;
  struct block_request *waiting, **last; /* last: valid while something waits */
} __attribute__((aligned(64))) queues[ENV_MAX_CPUS];

static unsigned queue_count(void) { return disk->queues ? disk->queues : 1; }
static struct queue *queue_of(unsigned cpu) { return &queues[cpu % queue_count()]; }
static unsigned number(const struct queue *q) { return (unsigned)(q - queues); }

int block_register(struct blockdev *dev) {
  if (disk) {
    kprintf("block: %s is not used: there is %s already\n", dev->name, disk->name);
    return -1;
  }
  disk = dev;
  kprintf("fact block %s, %u x %u requests\n", dev->name, queue_count(), dev->depth);
  return 0;
}

uint64_t block_bytes(void) { return disk ? disk->bytes : 0; }

/* 0, or why the request cannot be. */
static int check(const struct env_block_req *r) {
  if (!disk) return -ENV_ENOENT;
  if (r->tag >= ENV_MAX_DEPTH) return -ENV_EINVAL;
  if (r->op == ENV_BLOCK_FLUSH) return 0;
  if (r->op != ENV_BLOCK_READ && r->op != ENV_BLOCK_WRITE) return -ENV_EINVAL;
  if (!r->bytes || r->bytes > MAX_BYTES || r->bytes % SECTOR || r->offset % SECTOR) return -ENV_EINVAL;
  if (r->offset > disk->bytes || r->bytes > disk->bytes - r->offset) return -ENV_EINVAL;
  return (uintptr_t)r->buf % SECTOR ? -ENV_EINVAL : 0;
}

int block_queue(const struct env_block_req *r) {
  int error = check(r);
  if (error) return error;
  unsigned cpu = cpu_id();
  struct block_cpu *own = &cpus[cpu];
  if (own->in_flight[r->tag]) return -ENV_EAGAIN;
  struct block_request *slot = &own->slots[r->tag];
  int flush = r->op == ENV_BLOCK_FLUSH;
  void *buf = flush ? NULL : user_io_buffer(r->buf, r->bytes);
  if (!flush && !buf) return -ENV_EINVAL;
  *slot = (struct block_request){
      .op = r->op, .bytes = flush ? 0 : r->bytes, .buf = buf, .offset = flush ? 0 : r->offset, .tag = r->tag, .cpu = cpu};
  own->in_flight[r->tag] = 1;
  own->flying++;
  if (!own->first) own->last = &own->first;
  *own->last = slot;
  own->last = &slot->next;
  return 0;
}

/*
 * Offers what waits for the queue to the driver. Locked. The list is remembered in an array, because a request that the driver took may be
 * done, and its slot in use again, before submit() returns.
 */
static void offer(struct queue *q) {
  while (q->waiting) {
    struct block_request *offered[ENV_MAX_DEPTH], *rest = q->waiting;
    unsigned n = 0;
    while (rest && n < ENV_MAX_DEPTH) {
      offered[n++] = rest;
      rest = rest->next;
    }
    offered[n - 1]->next = NULL;
    unsigned taken = disk->submit(disk, number(q), q->waiting);
    if (taken < n) {
      offered[n - 1]->next = rest;
      q->waiting = offered[taken];
      return;
    }
    q->waiting = rest;
  }
}

void block_start(void) {
  struct block_cpu *own = &cpus[cpu_id()];
  if (!own->first) return;
  struct queue *q = queue_of(cpu_id());
  lock_acquire(&q->lock);
  if (!q->waiting) q->last = &q->waiting;
  *q->last = own->first;
  q->last = own->last;
  own->first = NULL;
  offer(q);
  lock_release(&q->lock);
}

/* How many completions lie in the ring of a CPU. */
static uint32_t ready(const struct block_cpu *own) { return __atomic_load_n(&own->tail, __ATOMIC_SEQ_CST) - __atomic_load_n(&own->head, __ATOMIC_RELAXED); }

/* Does a CPU of the queue go on sleeping? Locked: it says so before it takes the lock for its last look. */
static int someone_sleeps(const struct queue *q) {
  for (unsigned cpu = number(q); cpu < cpu_count(); cpu += queue_count()) {
    uint32_t want = __atomic_load_n(&cpus[cpu].want, __ATOMIC_SEQ_CST);
    if (want && ready(&cpus[cpu]) < want) return 1;
  }
  return 0;
}

void block_interrupt(void *arg) {
  struct blockdev *dev = arg;
  if (dev != disk) return;
  for (struct queue *q = queues; q < queues + queue_count(); q++) {
    lock_acquire(&q->lock);
    dev->interrupt(dev, number(q));
    if (dev->look && someone_sleeps(q)) dev->look(dev, number(q), 1);
    offer(q);
    lock_release(&q->lock);
  }
}

/* The CPU's own look at its queue, where the driver can do that without the device. */
static void look(unsigned cpu, int sleeps) {
  struct queue *q = queue_of(cpu);
  if (!disk->look) return;
  lock_acquire(&q->lock);
  disk->look(disk, number(q), sleeps);
  offer(q);
  lock_release(&q->lock);
}

void block_complete(struct block_request *r, int status) {
  struct block_cpu *owner = &cpus[r->cpu];
  uint32_t tail = owner->tail;
  r->status = status;
  owner->done[tail % ENV_MAX_DEPTH] = (struct env_block_done){.tag = r->tag, .status = status};
  __atomic_store_n(&owner->tail, ++tail, __ATOMIC_SEQ_CST);
  uint32_t want = __atomic_load_n(&owner->want, __ATOMIC_SEQ_CST);
  if (want && tail - __atomic_load_n(&owner->head, __ATOMIC_RELAXED) >= want) cpu_wake(r->cpu);
}

static void sleep_for(struct block_cpu *own, unsigned min) {
  __atomic_store_n(&own->want, min, __ATOMIC_SEQ_CST);
  for (;;) {
    look(cpu_id(), 1);
    if (ready(own) >= min) break;
    cpu_sleep(CPU_FOREVER);
  }
  __atomic_store_n(&own->want, 0, __ATOMIC_RELAXED);
}

int block_wait(struct env_block_done *done, unsigned min, unsigned max) {
  struct block_cpu *own = &cpus[cpu_id()];
  if (min > max || min > own->flying) return -ENV_EINVAL;
  if (ready(own) < min) look(cpu_id(), 0);
  if (ready(own) < min) sleep_for(own, min);
  unsigned n = ready(own) < max ? ready(own) : max;
  for (unsigned i = 0; i < n; i++) {
    done[i] = own->done[(own->head + i) % ENV_MAX_DEPTH];
    own->in_flight[done[i].tag] = 0;
  }
  __atomic_store_n(&own->head, own->head + n, __ATOMIC_RELEASE);
  own->flying -= n;
  return (int)n;
}
