/*
 * net.h: the network stack: Ethernet II, ARP (RFC 826), IPv4 without fragments (RFC 791), ICMP echo (RFC 792), UDP (RFC 768).
 *
 * Lock: one lock, net_lock, guards the card, the ARP cache, the table of ports and the producing side of every receive queue.
 * net_interrupt() and the functions marked "locked" run under it. A port's receive queue has one consumer, the CPU that
 * opened the port, which needs no lock.
 */
#ifndef VIRTAX_NET_H
#define VIRTAX_NET_H
#include <stdint.h>
#include "../lock.h"
#include "../netdev.h"

#define NET_LOCAL_IP 0x0a00020fu   /* 10.0.2.15, as QEMU's user networking gives its first guest */
#define NET_GATEWAY_IP 0x0a000202u /* 10.0.2.2 */
#define NET_MASK 0xffffff00u

/* ---- for the system calls: env.h's semantics; data in the program's memory ---- */
int net_present(void);
int udp_open(uint16_t port);
void udp_close(uint16_t port);
int udp_send(uint16_t port, uint32_t ip, uint16_t to_port, const void *user, unsigned bytes);
int udp_recv(uint16_t port, void *user, unsigned max, uint64_t timeout_ns);

/* ---- within the stack ---- */
enum { ETH_HEADER = 14, IPV4_HEADER = 20, UDP_HEADER = 8, ETH_IPV4 = 0x0800, ETH_ARP = 0x0806, IP_ICMP = 1, IP_UDP = 17 };
enum { NET_MTU = 1500 };

extern struct lock net_lock;
extern struct netdev *net_card; /* NULL: none */

/* Fills the Ethernet header, pads to the minimum (frame has room for 60 bytes) and transmits: 0, or -EAGAIN. Locked. */
int eth_send(uint8_t *frame, unsigned bytes, const uint8_t to[6], uint16_t type);
/* Makes net_tx_ready() wake this CPU. Locked: unlock, then cpu_sleep(). */
void eth_want_room(void);

void arp_receive(const uint8_t *packet, unsigned bytes); /* locked */
int arp_lookup(uint32_t ip, uint8_t mac[6]);             /* 0, or -1: not known. Locked */
void arp_ask(uint32_t ip);                               /* broadcasts a request; the answer wakes this CPU. Locked */

void ipv4_receive(const uint8_t *packet, unsigned bytes, const uint8_t from_mac[6]); /* locked */
void ipv4_fill(uint8_t *packet, uint8_t protocol, uint32_t to, unsigned payload_bytes);
/* Sends the packet at frame + ETH_HEADER, to the host or by the gateway. Sleeps for the address and for room: 0, or -ETIMEDOUT. Not locked. */
int ipv4_send(uint8_t *frame, unsigned payload_bytes, uint32_t to);
/* RFC 1071: the ones' complement sum of 16-bit big-endian words, not yet complemented or folded; a last odd byte is padded with zero. */
uint32_t checksum_add(uint32_t sum, const void *data, unsigned bytes);
uint16_t checksum_end(uint32_t sum);

/* packet: the ICMP message; an echo request is answered to from_mac. Locked */
void icmp_receive(const uint8_t *packet, unsigned bytes, uint32_t from, const uint8_t from_mac[6]);
void udp_receive(const uint8_t *packet, unsigned bytes, uint32_t from); /* locked */

static inline uint16_t get16(const uint8_t *p) { return (uint16_t)(p[0] << 8 | p[1]); }
static inline uint32_t get32(const uint8_t *p) { return (uint32_t)get16(p) << 16 | get16(p + 2); }
static inline void put16(uint8_t *p, uint16_t v) { p[0] = (uint8_t)(v >> 8); p[1] = (uint8_t)v; }
static inline void put32(uint8_t *p, uint32_t v) { put16(p, (uint16_t)(v >> 16)); put16(p + 2, (uint16_t)v); }

#endif
