/* eth.c: the card and its frames; what is shared by the whole stack (net.h says what net_lock guards). */
#include "kernel/net/net.h"
#include "include/env.h"
#include "kernel/port.h"
#include "kernel/print.h"
#include "lib/mem.h"

#define MIN_FRAME 60u /* IEEE 802.3: 64 with the FCS */

struct lock net_lock;
struct netdev *net_card;
static uint32_t want_room; /* a bit a CPU that sleeps until the card has room */

int net_register(struct netdev *dev) {
  if (net_card) {
    kprintf("net: %s is not used: there is %s already\n", dev->name, net_card->name);
    return -1;
  }
  net_card = dev;
  const uint8_t *m = dev->mac;
  kprintf("fact net %s, %02x:%02x:%02x:%02x:%02x:%02x\n", dev->name, m[0], m[1], m[2], m[3], m[4], m[5]);
  return 0;
}

int net_present(void) { return net_card != NULL; }

void net_interrupt(void *arg) {
  struct netdev *dev = arg;
  lock_acquire(&net_lock);
  dev->interrupt(dev);
  lock_release(&net_lock);
}

int eth_send(uint8_t *frame, unsigned bytes, const uint8_t to[6], uint16_t type) {
  memcpy(frame, to, 6);
  memcpy(frame + 6, net_card->mac, 6);
  put16(frame + 12, type);
  if (bytes < MIN_FRAME) {
    memset(frame + bytes, 0, MIN_FRAME - bytes);
    bytes = MIN_FRAME;
  }
  return net_card->transmit(net_card, frame, bytes);
}

void eth_want_room(void) { want_room |= 1u << cpu_id(); }

void net_tx_ready(struct netdev *dev) {
  (void)dev;
  while (want_room) {
    unsigned cpu = (unsigned)__builtin_ctz(want_room);
    want_room &= want_room - 1;
    cpu_wake(cpu);
  }
}

static int for_us(const uint8_t *to) {
  static const uint8_t broadcast[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
  return memcmp(to, net_card->mac, 6) == 0 || memcmp(to, broadcast, 6) == 0;
}

void net_receive(struct netdev *dev, const void *bytes_in, unsigned bytes) {
  const uint8_t *frame = bytes_in;
  if (dev != net_card || bytes < ETH_HEADER || bytes > NET_FRAME_MAX || !for_us(frame)) return;
  uint16_t type = get16(frame + 12);
  if (type == ETH_ARP) arp_receive(frame + ETH_HEADER, bytes - ETH_HEADER);
  if (type == ETH_IPV4) ipv4_receive(frame + ETH_HEADER, bytes - ETH_HEADER, frame + 6);
}
