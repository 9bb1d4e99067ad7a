/*
 * blkfront.c: the disk. One ring a vCPU, used by that vCPU alone (under the block layer's lock): a request goes into the ring of the
 * CPU that submits it, and its response comes back to the same CPU.
 */
#include "kernel/block.h"
#include "kernel/blockdev.h"
#include "kernel/port.h"
#include "kernel/print.h"
#include "lib/str.h"
#include "port/para/ring.h"

struct queue {
  struct front_ring ring;
  uint32_t port;
  uint32_t free_count;
  uint8_t free[BLKIF_RING_SIZE];
  struct block_request *requests[BLKIF_RING_SIZE]; /* by id */
} __attribute__((aligned(64)));

static struct queue queues[PARA_MAX_VCPUS];

static void fill(struct blkif_request *slot, const struct block_request *r, unsigned cpu, unsigned id) {
  *slot = (struct blkif_request){.id = id};
  if (r->op == ENV_BLOCK_FLUSH) {
    slot->operation = BLKIF_OP_FLUSH_DISKCACHE;
    return;
  }
  int read = r->op == ENV_BLOCK_READ;
  uint32_t ref = GRANT_BLK + cpu * BLKIF_RING_SIZE + id;
  uint32_t offset = grant_set(ref, r->buf, r->bytes, read ? GTF_permit_access : GTF_permit_access | GTF_readonly);
  slot->operation = read ? BLKIF_OP_READ : BLKIF_OP_WRITE;
  slot->nr_segments = 1;
  slot->sector_number = r->offset / BLKIF_SECTOR_BYTES;
  slot->seg[0] = (struct blkif_segment){.gref = ref, .offset = offset, .bytes = r->bytes};
}

static unsigned submit(struct blockdev *dev, unsigned queue, struct block_request *list) {
  (void)dev;
  (void)queue;
  unsigned cpu = cpu_id(), taken = 0;
  struct queue *q = &queues[cpu];
  for (; list && q->free_count; list = list->next, taken++) {
    unsigned id = q->free[--q->free_count];
    q->requests[id] = list;
    fill(ring_slot(&q->ring, q->ring.req_prod), list, cpu, id);
    q->ring.req_prod++;
  }
  if (taken && ring_push(&q->ring)) event_send(q->port);
  return taken;
}

static void interrupt(struct blockdev *dev, unsigned queue) {
  (void)dev;
  (void)queue;
  unsigned cpu = cpu_id();
  struct queue *q = &queues[cpu];
  const struct blkif_response *response;
  while ((response = ring_response(&q->ring))) {
    unsigned id = (unsigned)response->id;
    grant_clear(GRANT_BLK + cpu * BLKIF_RING_SIZE + id);
    q->free[q->free_count++] = (uint8_t)id;
    block_complete(q->requests[id], response->status);
  }
}

static struct blockdev disk = {.name = "vbd", .submit = submit, .interrupt = interrupt};

void blkfront_init(void) {
  char text[24];
  if (store_read("device/vbd/0/bytes", text, sizeof text) < 0 || str_u64(text, &disk.bytes) != 0) return;
  disk.depth = BLKIF_RING_SIZE * cpu_max;
  block_register(&disk);
}

static int connect(struct queue *q, unsigned cpu) {
  size_t bytes = ring_bytes(BLKIF_RING_SIZE, BLKIF_SLOT_BYTES);
  if (ring_init(&q->ring, BLKIF_RING_SIZE, BLKIF_SLOT_BYTES) != 0) return -ENV_ENOMEM;
  grant_core_os(GRANT_BLK_RING + cpu, q->ring.shared, bytes);
  int port = hypercall(HYPERVISOR_event_channel_op, EVTCHNOP_alloc_unbound, DOMID_CORE_OS, 0);
  if (port < 0) return port;
  q->port = (uint32_t)port;
  event_handler(q->port, block_interrupt, &disk);
  for (unsigned id = 0; id < BLKIF_RING_SIZE; id++) q->free[q->free_count++] = (uint8_t)id;
  int error = store_write_queue("vbd", cpu, "ring-ref", GRANT_BLK_RING + cpu);
  if (!error) error = store_write_queue("vbd", cpu, "event-channel", q->port);
  return error ? error : store_write_queue("vbd", cpu, "state", STORE_STATE_CONNECTED);
}

void blkfront_connect(unsigned cpu) {
  if (!disk.bytes) return;
  int error = connect(&queues[cpu], cpu);
  if (error) panic("the disk's queue %u does not connect (errno %d)", cpu, -error);
}
