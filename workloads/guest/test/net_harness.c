/* net_harness.c: a card whose other end is a test. Built for wasm32 with kernel/net/, never into an image. */
#include "kernel/net/net.h"

int test_transmit(const void *frame, unsigned bytes); /* the test's: 0, or -EAGAIN */

static uint8_t incoming[2048], user[4096];
static unsigned pending;
static int room;

static int transmit(struct netdev *dev, const void *frame, unsigned bytes) {
  (void)dev;
  return test_transmit(frame, bytes);
}

static void interrupt(struct netdev *dev) {
  if (pending) net_receive(dev, incoming, pending);
  if (room) net_tx_ready(dev);
  pending = 0;
  room = 0;
}

static struct netdev card = {.name = "test", .mac = {0x52, 0x54, 0x00, 0x12, 0x34, 0x56}, .transmit = transmit, .interrupt = interrupt};

void harness_start(void) { net_register(&card); }
uint8_t *harness_incoming(void) { return incoming; }
uint8_t *harness_user(void) { return user; }

void harness_receive(unsigned bytes) {
  pending = bytes;
  net_interrupt(&card);
}

void harness_room(void) {
  room = 1;
  net_interrupt(&card);
}

unsigned harness_checksum(unsigned bytes) { return checksum_end(checksum_add(0, incoming, bytes)); }
