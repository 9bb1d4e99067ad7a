/*
 * virtio_net.c: the virtio network card (VIRTIO 1.2, 5.1), one queue for each direction, no offloads.
 *
 * Each frame has a buffer of its own, header in front, one descriptor: which buffer belongs to which descriptor never changes.
 * The header begins 2 bytes into the buffer, so that UDP's data, 54 bytes behind, begins at a multiple of 8 as it does in the stack.
 * What has been sent is collected when all buffers are out, and raises an interrupt only while somebody waits for one.
 */
#include "../include/env.h"
#include "../kernel/kernel.h"
#include "../kernel/netdev.h"
#include "../lib/mem.h"
#include "virtio.h"

#define FEATURE_MAC (1ull << 5) /* 5.1.3 */
enum { RX = 0, TX = 1 };
enum { ALIGN = 2, HEADER = 12, BUFFER = 2048, BUFFERS = 128 }; /* struct virtio_net_hdr (5.1.6) is all zeros: nothing is offloaded */

struct virtio_net {
  struct netdev net;
  struct virtio virtio;
  struct virtqueue rx, tx;
  uint8_t *rx_buffers, *tx_buffers;
  uint16_t tx_free[BUFFERS];
  unsigned tx_free_count;
  int tx_refused; /* transmit() has answered -EAGAIN */
};
static struct virtio_net card;

/* ---- sending ---- */

static void reclaim(struct virtio_net *c)
{
  uint32_t bytes;
  for (int d; (d = virtqueue_take(&c->tx, &bytes)) >= 0;) {
    if (c->tx_free_count == c->tx.size) panic("virtio-net: the card gives back frame %d twice", d);
    c->tx_free[c->tx_free_count++] = (uint16_t)d;
  }
}

/* With a full ring the next interrupt comes when half of it is free: one for many frames. */
static int wait_for_room(struct virtio_net *c)
{
  c->tx_refused = 1;
  if (!virtqueue_listen(&c->tx, c->tx.size / 2)) return -ENV_EAGAIN;
  reclaim(c);
  return c->tx_free_count ? 0 : -ENV_EAGAIN;
}

static int transmit(struct netdev *dev, const void *frame, unsigned bytes)
{
  struct virtio_net *c = dev->driver;
  if (bytes > NET_FRAME_MAX) return -ENV_EINVAL;
  if (!c->tx_free_count) reclaim(c);
  if (!c->tx_free_count && wait_for_room(c)) return -ENV_EAGAIN;
  unsigned d = c->tx_free[--c->tx_free_count];
  memcpy(c->tx_buffers + d * BUFFER + ALIGN + HEADER, frame, bytes);
  c->tx.desc[d].bytes = HEADER + bytes;
  virtqueue_add(&c->tx, d);
  virtqueue_kick(&c->tx);
  return 0;
}

static void sent(struct virtio_net *c)
{
  reclaim(c);
  if (!c->tx_free_count && wait_for_room(c)) return;
  c->tx_refused = 0;
  virtqueue_ignore(&c->tx);
  net_tx_ready(&c->net);
}

/* ---- receiving ---- */

/* The stack may send from within net_receive(): the buffer is given back afterwards, all of them with one kick. */
static void receive(struct virtio_net *c)
{
  uint32_t bytes;
  for (int d; (d = virtqueue_take(&c->rx, &bytes)) >= 0;) {
    if (bytes > HEADER && bytes <= HEADER + NET_FRAME_MAX) net_receive(&c->net, c->rx_buffers + (unsigned)d * BUFFER + ALIGN + HEADER, bytes - HEADER);
    virtqueue_add(&c->rx, (unsigned)d);
  }
  virtqueue_kick(&c->rx);
}

static void interrupt(struct netdev *dev)
{
  struct virtio_net *c = dev->driver;
  if (!(virtio_isr(&c->virtio) & 1)) return;
  if (c->tx_refused) sent(c);
  do receive(c);
  while (virtqueue_listen(&c->rx, 1));
}

/* ---- boot ---- */

static int open_queue(struct virtio_net *c, struct virtqueue *q, unsigned index, uint8_t **buffers)
{
  if (virtqueue_open(&c->virtio, q, index, BUFFERS)) return -1;
  *buffers = dma_alloc(q->size * BUFFER);
  if (!*buffers) return -1;
  for (unsigned d = 0; d < q->size; d++) {
    q->desc[d].address = dma_address(*buffers + d * BUFFER + ALIGN);
    q->desc[d].bytes = BUFFER - ALIGN;
    q->desc[d].flags = index == RX ? VIRTQ_WRITE : 0;
  }
  return 0;
}

static int start(struct virtio_net *c)
{
  if (open_queue(c, &c->rx, RX, &c->rx_buffers) || open_queue(c, &c->tx, TX, &c->tx_buffers)) return -1;
  if (!(c->virtio.features & FEATURE_MAC)) return -1;
  for (unsigned i = 0; i < sizeof c->net.mac; i++) c->net.mac[i] = (uint8_t)virtio_config(&c->virtio, i, 1);
  for (unsigned d = 0; d < c->tx.size; d++) c->tx_free[c->tx_free_count++] = (uint16_t)d;
  virtqueue_ignore(&c->tx);
  virtqueue_listen(&c->rx, 1);
  virtio_start(&c->virtio);
  for (unsigned d = 0; d < c->rx.size; d++) virtqueue_add(&c->rx, d);
  virtqueue_kick(&c->rx); /* not before DRIVER_OK (3.1.1) */
  return 0;
}

static int probe(const struct pci_device *pci)
{
  struct virtio_net *c = &card;
  if (c->net.driver) return -ENV_EAGAIN; /* there is one already */
  if (virtio_open(&c->virtio, pci, FEATURE_MAC | VIRTIO_F_EVENT_IDX, "virtio-net")) return -ENV_EIO;
  if (start(c)) {
    kprintf("virtio-net: the card in PCI slot %u has no address or no usable queues, or there is no memory for it\n", pci->slot);
    virtio_give_up(&c->virtio);
    return -ENV_EIO;
  }
  c->net.name = "virtio-net";
  c->net.driver = c;
  c->net.transmit = transmit;
  c->net.interrupt = interrupt;
  if (net_register(&c->net) == 0) irq_register(pci->irq, net_interrupt, &c->net);
  return 0;
}

const struct pci_driver virtio_net_driver = {.vendor = 0x1af4, .device = 0x1041, .probe = probe};
const struct pci_driver virtio_net_transitional_driver = {.vendor = 0x1af4, .device = 0x1000, .probe = probe};
