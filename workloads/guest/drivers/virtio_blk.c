/*
 * virtio_blk.c: the virtio block device (VIRTIO 1.2, 5.2). A queue for each CPU where the device has so many: then a CPU submits
 * without meeting another, and finds its completions by looking at memory before it sleeps; interrupts are asked for by those
 * that do sleep. Where CPUs share queues, interrupts are always on: one's sleep must not depend on another's look.
 *
 * A request is a chain of three descriptors (header, data, status) which are written once; only the data's change. They lie in the
 * queue itself where it has room for all, else in a table of their own (indirect).
 */
#include "../include/env.h"
#include "../kernel/blockdev.h"
#include "../kernel/kernel.h"
#include "virtio.h"

/* 5.2.3 */
#define FEATURE_RO (1ull << 5)
#define FEATURE_FLUSH (1ull << 9)
#define FEATURE_MQ (1ull << 12)
enum { CONFIG_CAPACITY = 0, CONFIG_QUEUES = 34, SECTOR = 512 };
enum { TYPE_IN = 0, TYPE_OUT = 1, TYPE_FLUSH = 4 };
enum { STATUS_OK = 0, STATUS_IOERR = 1, STATUS_UNSUPPORTED = 2 };
enum { CHAIN = 3, HEADER = 0, DATA = 1, STATUS = 2, HEADER_BYTES = 16 };
enum { NEVER = 0xff };

/* One request as the device sees it; 128 bytes, so that none crosses a page. */
struct slot {
  uint32_t type, reserved;
  uint64_t sector;
  uint8_t status;
  uint8_t fill[15];
  struct virtq_desc table[CHAIN]; /* used if the queue is indirect */
  uint8_t fill2[48];
};

struct queue {
  struct virtqueue ring;
  struct slot *slots;
  struct block_request *requests[VIRTQ_MAX]; /* by slot */
  uint8_t free[VIRTQ_MAX];
  unsigned free_count, count;
  int indirect;
} __attribute__((aligned(64)));

struct virtio_blk {
  struct blockdev block;
  struct virtio virtio;
  struct queue queue[ENV_MAX_CPUS];
  int shared; /* CPUs share queues */
};
static struct virtio_blk disk;

/* ---- requests ---- */

static struct virtq_desc *chain_of(struct queue *q, unsigned slot) { return q->indirect ? q->slots[slot].table : &q->ring.desc[CHAIN * slot]; }

static void fill(struct queue *q, unsigned n, const struct block_request *r)
{
  struct slot *s = &q->slots[n];
  struct virtq_desc *chain = chain_of(q, n);
  unsigned first = q->indirect ? 0 : CHAIN * n;
  s->status = NEVER;
  s->type = r->op == ENV_BLOCK_READ ? TYPE_IN : r->op == ENV_BLOCK_WRITE ? TYPE_OUT : TYPE_FLUSH;
  s->sector = r->offset / SECTOR;
  chain[HEADER].next = (uint16_t)(first + (r->bytes ? DATA : STATUS)); /* a flush has no data */
  chain[DATA].address = dma_address(r->buf);
  chain[DATA].bytes = r->bytes;
  chain[DATA].flags = r->op == ENV_BLOCK_READ ? VIRTQ_NEXT | VIRTQ_WRITE : VIRTQ_NEXT;
  if (q->indirect) q->ring.desc[n].bytes = (uint32_t)sizeof s->table; /* a table of three, of which a flush's chain skips one */
}

static unsigned submit(struct blockdev *dev, unsigned queue, struct block_request *list)
{
  struct virtio_blk *b = dev->driver;
  struct queue *q = &b->queue[queue];
  int no_flush = !(b->virtio.features & FEATURE_FLUSH);
  unsigned taken = 0;
  for (struct block_request *r = list, *next; r && q->free_count; r = next, taken++) {
    next = r->next;
    if (r->op == ENV_BLOCK_FLUSH && no_flush) { /* no write cache that it could lie in (5.2.6.2) */
      block_complete(r, 0);
      continue;
    }
    unsigned n = q->free[--q->free_count];
    q->requests[n] = r;
    fill(q, n, r);
    virtqueue_add(&q->ring, q->indirect ? n : CHAIN * n);
  }
  virtqueue_kick(&q->ring);
  return taken;
}

static int result(unsigned status)
{
  return status == STATUS_OK ? 0 : status == STATUS_UNSUPPORTED ? -ENV_ENOTSUP : -ENV_EIO;
}

static void take(struct queue *q)
{
  uint32_t bytes;
  for (int head; (head = virtqueue_take(&q->ring, &bytes)) >= 0;) {
    unsigned n = q->indirect ? (unsigned)head : (unsigned)head / CHAIN;
    struct block_request *r = n < q->count ? q->requests[n] : NULL;
    if (!r) panic("virtio-blk: the device gives back request %u, which it does not have", n);
    q->requests[n] = NULL;
    q->free[q->free_count++] = (uint8_t)n;
    block_complete(r, result(*(volatile uint8_t *)&q->slots[n].status));
  }
}

static void take_and_listen(struct queue *q)
{
  do take(q);
  while (virtqueue_listen(&q->ring, 1));
}

/* Who goes on sleeping asks for the next interrupt itself, by look(): who was woken looks at memory. */
static void interrupt(struct blockdev *dev, unsigned queue)
{
  struct virtio_blk *b = dev->driver;
  if (b->shared) take_and_listen(&b->queue[queue]);
  else take(&b->queue[queue]);
}

static void look(struct blockdev *dev, unsigned queue, int sleeps)
{
  struct virtio_blk *b = dev->driver;
  struct queue *q = &b->queue[queue];
  if (sleeps || b->shared) {
    take_and_listen(q);
  } else {
    virtqueue_ignore(&q->ring);
    take(q);
  }
}

static void handle(void *arg)
{
  struct virtio_blk *b = arg;
  if (virtio_isr(&b->virtio) & 1) block_interrupt(&b->block);
}

/* ---- boot ---- */

/* How many requests a queue of this many descriptors takes, and whether by tables of their own. */
static unsigned plan(struct queue *q, unsigned wanted, int can_be_indirect)
{
  q->indirect = can_be_indirect && q->ring.size / CHAIN < wanted;
  unsigned room = q->indirect ? q->ring.size : q->ring.size / CHAIN;
  return room < wanted ? room : wanted;
}

static void prepare_chain(struct queue *q, unsigned n)
{
  struct slot *s = &q->slots[n];
  struct virtq_desc *chain = chain_of(q, n);
  unsigned first = q->indirect ? 0 : CHAIN * n;
  chain[HEADER] = (struct virtq_desc){.address = dma_address(s), .bytes = HEADER_BYTES, .flags = VIRTQ_NEXT};
  chain[DATA].next = (uint16_t)(first + STATUS);
  chain[STATUS] = (struct virtq_desc){.address = dma_address(&s->status), .bytes = 1, .flags = VIRTQ_WRITE};
  if (q->indirect) q->ring.desc[n] = (struct virtq_desc){.address = dma_address(s->table), .flags = VIRTQ_INDIRECT};
}

static int open_queue(struct virtio_blk *b, unsigned index, unsigned wanted)
{
  struct queue *q = &b->queue[index];
  _Static_assert(sizeof(struct slot) == 128, "a slot does not cross a page");
  if (virtqueue_open(&b->virtio, &q->ring, index, VIRTQ_MAX)) return -1;
  q->count = plan(q, wanted, (b->virtio.features & VIRTIO_F_INDIRECT_DESC) != 0);
  q->slots = q->count ? dma_alloc(q->count * sizeof *q->slots) : NULL;
  if (!q->slots) return -1;
  for (unsigned n = 0; n < q->count; n++) {
    prepare_chain(q, n);
    q->free[q->free_count++] = (uint8_t)(q->count - 1 - n);
  }
  return 0;
}

static int open_queues(struct virtio_blk *b)
{
  unsigned offered = b->virtio.features & FEATURE_MQ ? (unsigned)virtio_config(&b->virtio, CONFIG_QUEUES, 2) : 1, cpus = cpu_count();
  b->block.queues = offered && offered < cpus ? offered : offered ? cpus : 1;
  b->shared = b->block.queues < cpus;
  unsigned wanted = ENV_MAX_DEPTH * ((cpus + b->block.queues - 1) / b->block.queues);
  if (wanted > VIRTQ_MAX - 1) wanted = VIRTQ_MAX - 1;
  for (unsigned i = 0; i < b->block.queues; i++)
    if (open_queue(b, i, wanted)) return -1;
  return 0;
}

static int probe(const struct pci_device *pci)
{
  struct virtio_blk *b = &disk;
  if (b->block.driver) return -ENV_EAGAIN; /* there is one already */
  if (virtio_open(&b->virtio, pci, FEATURE_RO | FEATURE_FLUSH | FEATURE_MQ | VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX, "virtio-blk"))
    return -ENV_EIO;
  if (open_queues(b)) {
    kprintf("virtio-blk: the device in PCI slot %u has no usable queue, or there is no memory for it\n", pci->slot);
    virtio_give_up(&b->virtio);
    return -ENV_EIO;
  }
  b->block.name = "virtio-blk";
  b->block.bytes = virtio_config(&b->virtio, CONFIG_CAPACITY, 8) * SECTOR;
  b->block.depth = b->queue[0].count;
  b->block.driver = b;
  b->block.submit = submit;
  b->block.interrupt = interrupt;
  b->block.look = look;
  virtio_start(&b->virtio);
  if (block_register(&b->block) == 0) irq_register(pci->irq, handle, b);
  return 0;
}

const struct pci_driver virtio_blk_driver = {.vendor = 0x1af4, .device = 0x1042, .probe = probe};
const struct pci_driver virtio_blk_transitional_driver = {.vendor = 0x1af4, .device = 0x1001, .probe = probe};
