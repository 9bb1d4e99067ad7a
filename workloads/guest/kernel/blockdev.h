/*
 * blockdev.h: between the kernel's block layer (kernel/block.c) and a disk driver (drivers/lsi53c895a.c, drivers/virtio_blk.c, para blkfront).
 * The layer above owns requests until submit() takes them, and gets each back once through block_complete().
 * submit(), interrupt() and look() are called with the queue's lock held, by whatever CPU: a driver needs no lock of its own. A
 * device has one queue for all CPUs, or several, of which CPU c has number c % queues: then what is the queue's is under that lock.
 */
#ifndef VIRTAX_BLOCKDEV_H
#define VIRTAX_BLOCKDEV_H
#include <stdint.h>

struct block_request {
  uint32_t op; /* ENV_BLOCK_* */
  uint32_t bytes;
  void *buf; /* kernel address: physically contiguous */
  uint64_t offset;
  uint32_t tag, cpu; /* whose it is */
  int32_t status;
  struct block_request *next;
};

struct blockdev {
  const char *name;
  uint64_t bytes;
  unsigned depth;     /* requests that a queue takes at once */
  unsigned queues;    /* 0 counts as 1 */
  void *driver;
  /*
   * Starts a list of requests, linked by next and in order. Returns how many of its first were taken (0: full); the layer keeps the
   * rest until a completion. A taken request's next belongs to the driver.
   */
  unsigned (*submit)(struct blockdev *, unsigned queue, struct block_request *list);
  /* Looks at the device and completes what is done; quiet if it has nothing to say. The layer calls look() if a CPU sleeps on. */
  void (*interrupt)(struct blockdev *, unsigned queue);
  /*
   * May be NULL: completes what is done, without an access to the device's registers. The CPU whose queue it is calls it before it
   * waits; sleeps: no other look follows, only an interrupt.
   */
  void (*look)(struct blockdev *, unsigned queue, int sleeps);
};

/* There is one disk: a second one is refused with a message (-1). With 0 the driver registers its interrupt: irq_register(source, block_interrupt, dev). */
int block_register(struct blockdev *);
/* The handler to register for the device's interrupt or event; arg is the struct blockdev. For each queue: takes the lock, calls interrupt(), starts what waits. */
void block_interrupt(void *arg);
/* From interrupt() (or submit(), for what fails at once and counts as taken): the request is done. Wakes the CPU that waits for it. */
void block_complete(struct block_request *, int status);
#endif
