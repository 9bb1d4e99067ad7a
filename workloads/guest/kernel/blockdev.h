/*
 * blockdev.h: between the kernel's block layer (kernel/block.c) and a disk driver (drivers/lsi53c895a.c, para blkfront).
 * The layer above owns requests until submit() takes them, and gets each back once through block_complete().
 * submit() and interrupt() are called with the device's lock held, by whatever CPU: a driver needs no lock of its own.
 */
#ifndef VIRTAX_BLOCKDEV_H
#define VIRTAX_BLOCKDEV_H
#include <stdint.h>
#include "lock.h"

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
  unsigned depth;     /* requests that it takes at once */
  void *driver;
  /*
   * Starts a list of requests, linked by next and in order. Returns how many of its first were taken (0: full); the layer keeps the
   * rest until a completion. A taken request's next belongs to the driver.
   */
  unsigned (*submit)(struct blockdev *, struct block_request *list);
  void (*interrupt)(struct blockdev *); /* looks at the device and completes what is done; quiet if it has nothing to say */
  struct lock lock;                     /* the block layer's */
};

/* There is one disk: a second one is refused with a message. The driver then registers its interrupt: irq_register(source, block_interrupt, dev). */
void block_register(struct blockdev *);
/* The handler to register for the device's interrupt or event; arg is the struct blockdev. Takes the lock, calls interrupt(), starts what waits. */
void block_interrupt(void *arg);
/* From interrupt() (or submit(), for what fails at once and counts as taken): the request is done. Wakes the CPU that waits for it. */
void block_complete(struct block_request *, int status);
#endif
