/*
 * netdev.h: between the network stack (kernel/net/) and a card's driver (drivers/rtl8139.c, drivers/virtio_net.c, para netfront).
 * transmit() and interrupt() are called with the stack's lock held, by whatever CPU: a driver needs no lock of its own.
 */
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
  /* Looks at the card: hands up what came, gives back what was sent; quiet if there is nothing. transmit() may be called from within net_receive(). */
  void (*interrupt)(struct netdev *);
};

/* There is one card: a second one is refused with a message (-1). With 0 the driver registers its interrupt: irq_register(source, net_interrupt, dev). */
int net_register(struct netdev *);
/* The handler to register for the card's interrupt or event; arg is the struct netdev. Takes the lock and calls interrupt(). */
void net_interrupt(void *arg);
/* From interrupt(). The frame belongs to the driver again when the call returns. */
void net_receive(struct netdev *, const void *frame, unsigned bytes);
void net_tx_ready(struct netdev *);
#endif
