/* virtqueue.c: split virtqueues as the driver uses them. See virtio.h. VIRTIO 1.2, 2.7. All machines here are little-endian. */
#include "../kernel/kernel.h"
#include "virtio.h"

enum { FLAGS = 0, IDX = 1, RING = 2 }; /* 16-bit words of both rings */
enum { AVAIL_NO_INTERRUPT = 1, USED_NO_NOTIFY = 1 };
enum { USED_RING = 4, USED_BYTES = 8 };

static uint16_t used16(const struct virtqueue *q, size_t at) { return *(volatile uint16_t *)(q->used + at); }
static uint32_t used32(const struct virtqueue *q, size_t at) { return *(volatile uint32_t *)(q->used + at); }
static uint16_t used_idx(const struct virtqueue *q) { return used16(q, 2 * IDX); }

/* A word each behind the rings: 2.7.7 and 2.7.8. */
static volatile uint16_t *used_event(struct virtqueue *q) { return &q->avail[RING + q->size]; }
static uint16_t avail_event(const struct virtqueue *q) { return used16(q, USED_RING + USED_BYTES * q->size); }

void virtqueue_add(struct virtqueue *q, unsigned head)
{
  q->avail[RING + q->avail_idx % q->size] = (uint16_t)head;
  q->avail_idx++;
}

/* The index must be seen before the device's wish is read: it looks for more after it has written that (2.7.13.4). */
void virtqueue_kick(struct virtqueue *q)
{
  uint16_t before = q->published, now = q->avail_idx;
  if (before == now) return;
  dma_fence();
  q->avail[IDX] = now;
  q->published = now;
  dma_fence();
  int wanted = q->event_idx ? (uint16_t)(now - avail_event(q) - 1) < (uint16_t)(now - before) : !(used16(q, 2 * FLAGS) & USED_NO_NOTIFY);
  if (wanted) mmio_write16(q->doorbell, 0, (uint16_t)q->index);
}

int virtqueue_take(struct virtqueue *q, uint32_t *bytes)
{
  if (used_idx(q) == q->used_idx) return -1;
  dma_fence();
  size_t at = USED_RING + USED_BYTES * (q->used_idx++ % q->size);
  uint32_t head = used32(q, at);
  *bytes = used32(q, at + 4);
  if (head >= q->size) panic("virtio: the device gives back descriptor %u of %u", head, q->size);
  return (int)head;
}

int virtqueue_listen(struct virtqueue *q, unsigned more)
{
  if (q->event_idx) *used_event(q) = (uint16_t)(q->used_idx + more - 1);
  else q->avail[FLAGS] = 0;
  dma_fence();
  return used_idx(q) != q->used_idx;
}

/* With EVENT_IDX nothing is to be done: an event that lies behind is not reached for 65536 chains. */
void virtqueue_ignore(struct virtqueue *q)
{
  if (!q->event_idx) q->avail[FLAGS] = AVAIL_NO_INTERRUPT;
}
