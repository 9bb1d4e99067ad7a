/* netdev.h: between the network stack (kernel/net/) and a card's driver (drivers/rtl8139.c, para netfront). */
#ifndef VIRTAX_NETDEV_H
#define VIRTAX_NETDEV_H
#include <stdint.h>

#define NET_FRAME_MAX 1514 /* Ethernet header and 1500 bytes, no FCS */

struct netdev {
  const char *name;
  uint8_t mac[6];
  void *driver;
  /* Copies the frame out and starts it: 0, or -EAGAIN when all descriptors are in use (net_tx_ready() follows). */
  int (*transmit)(struct netdev *, const void *frame, unsigned bytes);
};

void net_register(struct netdev *);
/* From the driver's interrupt or event handler. The frame belongs to the driver again when the call returns. */
void net_receive(struct netdev *, const void *frame, unsigned bytes);
void net_tx_ready(struct netdev *);
#endif
