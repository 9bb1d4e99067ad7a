/*
 * netfront.c: the network card. Two rings a vCPU, used by that vCPU alone (under the stack's lock). Frames are copied into and out of
 * buffers that stay granted: a copy of 1.5 KB costs less than changing grants.
 */
#include "kernel/net/net.h"
#include "kernel/netdev.h"
#include "kernel/port.h"
#include "kernel/print.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "port/para/ring.h"

enum { TX_BUFFER = 2048 };

struct queue {
  struct front_ring tx, rx;
  uint32_t port;
  uint32_t free_count;
  uint8_t free[NETIF_RING_SIZE]; /* tx buffers */
  uint8_t was_full;
  uint8_t *tx_buffers, *rx_buffers;
} __attribute__((aligned(64)));

static struct queue queues[PARA_MAX_VCPUS];

static uint8_t *tx_buffer(const struct queue *q, unsigned id) { return q->tx_buffers + id * TX_BUFFER; }
static uint8_t *rx_buffer(const struct queue *q, unsigned id) { return q->rx_buffers + id * FRAME; }

static int transmit(struct netdev *dev, const void *frame, unsigned bytes) {
  (void)dev;
  unsigned cpu = cpu_id();
  struct queue *q = &queues[cpu];
  if (!q->free_count) {
    q->was_full = 1;
    return -ENV_EAGAIN;
  }
  unsigned id = q->free[--q->free_count];
  uint8_t *buffer = tx_buffer(q, id);
  memcpy(buffer, frame, bytes);
  *(struct netif_tx_request *)ring_slot(&q->tx, q->tx.req_prod++) = (struct netif_tx_request){
      .gref = GRANT_TX + cpu * NETIF_RING_SIZE + id, .offset = (uint16_t)((uintptr_t)buffer % FRAME), .id = (uint16_t)id, .size = (uint16_t)bytes};
  if (ring_push(&q->tx)) event_send(q->port);
  return 0;
}

static void post_rx(struct queue *q, unsigned cpu, unsigned id) {
  *(struct netif_rx_request *)ring_slot(&q->rx, q->rx.req_prod++) =
      (struct netif_rx_request){.id = (uint16_t)id, .gref = GRANT_RX + cpu * NETIF_RING_SIZE + id};
}

static void receive_all(struct netdev *dev, struct queue *q, unsigned cpu) {
  const struct netif_rx_response *response;
  while ((response = ring_response(&q->rx))) {
    unsigned id = response->id;
    int bytes = response->status;
    if (bytes > 0) net_receive(dev, rx_buffer(q, id), (unsigned)bytes);
    post_rx(q, cpu, id);
  }
  ring_push(&q->rx); /* the back end looks when a frame comes: it needs no event */
}

static void interrupt(struct netdev *dev) {
  unsigned cpu = cpu_id();
  struct queue *q = &queues[cpu];
  const struct netif_tx_response *response;
  while ((response = ring_response(&q->tx))) q->free[q->free_count++] = (uint8_t)response->id;
  if (q->was_full && q->free_count) {
    q->was_full = 0;
    net_tx_ready(dev);
  }
  receive_all(dev, q, cpu);
}

static struct netdev card = {.name = "vif", .transmit = transmit, .interrupt = interrupt};
static int present;

static int hex_digit(char c) { return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : 0; }

void netfront_init(void) {
  char text[20];
  if (store_read("device/vif/0/mac", text, sizeof text) != 17) return;
  for (int i = 0; i < 6; i++) card.mac[i] = (uint8_t)(hex_digit(text[3 * i]) << 4 | hex_digit(text[3 * i + 1]));
  present = 1;
  net_register(&card);
}

static int make_buffers(struct queue *q, unsigned cpu) {
  q->tx_buffers = frames_alloc(NETIF_RING_SIZE * TX_BUFFER);
  q->rx_buffers = frames_alloc(NETIF_RING_SIZE * FRAME);
  if (!q->tx_buffers || !q->rx_buffers) return -ENV_ENOMEM;
  for (unsigned id = 0; id < NETIF_RING_SIZE; id++) {
    grant_set(GRANT_TX + cpu * NETIF_RING_SIZE + id, tx_buffer(q, id), TX_BUFFER, GTF_permit_access | GTF_readonly);
    grant_core_os(GRANT_RX + cpu * NETIF_RING_SIZE + id, rx_buffer(q, id), FRAME);
    q->free[q->free_count++] = (uint8_t)id;
    post_rx(q, cpu, id);
  }
  return 0;
}

static int make_rings(struct queue *q, unsigned cpu) {
  size_t bytes = ring_bytes(NETIF_RING_SIZE, NETIF_SLOT_BYTES);
  if (ring_init(&q->tx, NETIF_RING_SIZE, NETIF_SLOT_BYTES) != 0 || ring_init(&q->rx, NETIF_RING_SIZE, NETIF_SLOT_BYTES) != 0) return -ENV_ENOMEM;
  grant_core_os(GRANT_TX_RING + cpu, q->tx.shared, bytes);
  grant_core_os(GRANT_RX_RING + cpu, q->rx.shared, bytes);
  return make_buffers(q, cpu);
}

static int connect(struct queue *q, unsigned cpu) {
  int error = make_rings(q, cpu);
  if (error) return error;
  int port = hypercall(HYPERVISOR_event_channel_op, EVTCHNOP_alloc_unbound, DOMID_CORE_OS, 0);
  if (port < 0) return port;
  q->port = (uint32_t)port;
  event_handler(q->port, net_interrupt, &card);
  error = store_write_queue("vif", cpu, "tx-ring-ref", GRANT_TX_RING + cpu);
  if (!error) error = store_write_queue("vif", cpu, "rx-ring-ref", GRANT_RX_RING + cpu);
  if (!error) error = store_write_queue("vif", cpu, "event-channel", q->port);
  if (!error) error = store_write_queue("vif", cpu, "state", STORE_STATE_CONNECTED);
  ring_push(&q->rx);
  return error;
}

void netfront_connect(unsigned cpu) {
  if (!present) return;
  int error = connect(&queues[cpu], cpu);
  if (error) panic("the network's queue %u does not connect (errno %d)", cpu, -error);
}
