/*
 * virtio.h: what all virtio devices on PCI have in common: finding the registers, the initialization, split virtqueues.
 * Virtual I/O Device (VIRTIO) 1.2: 2.7 (split virtqueues), 3.1 (initialization), 4.1 (PCI), 6 (reserved features).
 * The modern interface alone: a transitional device has it too, a legacy one is refused with a message.
 */
#ifndef VIRTAX_VIRTIO_H
#define VIRTAX_VIRTIO_H
#include "pci.h"

#define VIRTIO_F_INDIRECT_DESC (1ull << 28)
#define VIRTIO_F_EVENT_IDX (1ull << 29)
#define VIRTIO_F_VERSION_1 (1ull << 32)

struct virtio {
  volatile void *common, *notify, *isr, *config; /* the structures of 4.1.4; config: NULL if the device has none */
  size_t notify_bytes, config_bytes;
  uint32_t notify_multiplier;
  uint64_t features; /* negotiated */
};

/* 2.7.5, at desc[] and in indirect tables. */
struct virtq_desc {
  uint64_t address;
  uint32_t bytes;
  uint16_t flags, next;
};
enum { VIRTQ_NEXT = 1, VIRTQ_WRITE = 2, VIRTQ_INDIRECT = 4 };
enum { VIRTQ_MAX = 256 }; /* descriptors that we use of a queue at most */

/*
 * One queue. Descriptors belong to the driver, which says where a chain starts; a chain that is in flight must not be touched.
 * No lock: whoever calls holds the layer's.
 */
struct virtqueue {
  unsigned size, index;
  struct virtq_desc *desc;
  volatile uint16_t *avail; /* flags, idx, ring[size], used_event */
  volatile uint8_t *used;   /* flags, idx, ring[size] of {id, bytes}, avail_event */
  uint16_t avail_idx, published, used_idx;
  int event_idx;
  volatile void *doorbell;
};

/*
 * Resets the device and negotiates the features of `wanted` that it offers, and VERSION_1, which it must. 0, or -1 after a message
 * with the name. Then: virtqueue_open() for each queue, virtio_start().
 */
int virtio_open(struct virtio *, const struct pci_device *, uint64_t wanted, const char *name);
void virtio_start(struct virtio *);
void virtio_give_up(struct virtio *); /* the device rests until it is reset */
/* Reading says why the line was raised (bit 0: a queue, bit 1: configuration) and makes it quiet. */
uint8_t virtio_isr(struct virtio *);
/* A field of the device's own configuration, of 1, 2, 4 or 8 bytes; 0 where the device has no such field. */
uint64_t virtio_config(const struct virtio *, size_t offset, unsigned bytes);

/* Makes queue `index` usable, with at most `most` descriptors: 0, or -1: there is none, or no memory. */
int virtqueue_open(struct virtio *, struct virtqueue *, unsigned index, unsigned most);
/* The chain that begins at descriptor `head` is the device's as of the next virtqueue_kick(). */
void virtqueue_add(struct virtqueue *, unsigned head);
/* Publishes what was added, and tells the device if it wants to know. */
void virtqueue_kick(struct virtqueue *);
/* The head of the next chain that is done, and how many bytes the device wrote; -1: none. */
int virtqueue_take(struct virtqueue *, uint32_t *bytes);
/*
 * Asks for an interrupt once `more` further chains are done (1: the next). Returns whether something is done already: then take it
 * and ask again, since there may be no interrupt. Without it there is none, or (from devices without EVENT_IDX) a needless one.
 */
int virtqueue_listen(struct virtqueue *, unsigned more);
void virtqueue_ignore(struct virtqueue *);

#endif
