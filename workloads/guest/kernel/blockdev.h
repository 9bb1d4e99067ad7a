/*
 * blockdev.h: between the kernel's block layer (kernel/block.c) and a disk driver (drivers/lsi53c895a.c, para blkfront).
 * The layer above owns requests until submit() takes them, and gets each back once through block_complete().
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
  unsigned depth;     /* requests that it takes at once */
  void *driver;
  /* Starts n requests (a linked list). Called with the device lock held. Returns how many were taken; the rest waits for a completion. */
  unsigned (*submit)(struct blockdev *, struct block_request *list);
};

void block_register(struct blockdev *);
/* From the driver's interrupt or event handler: the request is done. Wakes the CPU that waits for it. */
void block_complete(struct block_request *, int status);
#endif
