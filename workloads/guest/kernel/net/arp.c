/* arp.c: RFC 826 for Ethernet and IPv4. A small cache, replaced in turn; entries of the subnet alone. All under net_lock. */
#include "include/env.h"
#include "kernel/net/net.h"
#include "kernel/port.h"
#include "lib/mem.h"

enum { ARP_BYTES = 28, REQUEST = 1, REPLY = 2, ENTRIES = 16 };
/* Offsets within the packet. */
enum { HARDWARE = 0, PROTOCOL = 2, LENGTHS = 4, OPERATION = 6, SENDER_MAC = 8, SENDER_IP = 14, TARGET_MAC = 18, TARGET_IP = 24 };

static struct { uint32_t ip; uint8_t mac[6]; } cache[ENTRIES]; /* ip 0: free */
static unsigned oldest;
static uint32_t askers; /* a bit a CPU that sleeps for an answer */

static int find(uint32_t ip) {
  for (int i = 0; i < ENTRIES; i++)
    if (cache[i].ip == ip) return i;
  return -1;
}

int arp_lookup(uint32_t ip, uint8_t mac[6]) {
  int i = find(ip);
  if (i < 0) return -1;
  memcpy(mac, cache[i].mac, 6);
  return 0;
}

static void send(uint16_t operation, const uint8_t to_mac[6], const uint8_t target_mac[6], uint32_t target_ip) {
  static uint8_t frame[64];
  uint8_t *p = frame + ETH_HEADER;
  put16(p + HARDWARE, 1);
  put16(p + PROTOCOL, ETH_IPV4);
  put16(p + LENGTHS, 0x0604);
  put16(p + OPERATION, operation);
  memcpy(p + SENDER_MAC, net_card->mac, 6);
  put32(p + SENDER_IP, NET_LOCAL_IP);
  memcpy(p + TARGET_MAC, target_mac, 6);
  put32(p + TARGET_IP, target_ip);
  eth_send(frame, ETH_HEADER + ARP_BYTES, to_mac, ETH_ARP); /* lost if the card is full: it will be asked again */
}

void arp_ask(uint32_t ip) {
  static const uint8_t all[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, unknown[6];
  askers |= 1u << cpu_id();
  send(REQUEST, all, unknown, ip);
}

static void learn(uint32_t ip, const uint8_t *mac) {
  int i = find(ip);
  if (i < 0) {
    i = (int)(oldest++ % ENTRIES);
    cache[i].ip = ip;
  }
  memcpy(cache[i].mac, mac, 6);
  for (; askers; askers &= askers - 1) cpu_wake((unsigned)__builtin_ctz(askers));
}

/* RFC 826's "packet reception": what is known is refreshed by anybody; what is new is learnt from packets to us alone. */
void arp_receive(const uint8_t *p, unsigned bytes) {
  if (bytes < ARP_BYTES || get16(p + HARDWARE) != 1 || get16(p + PROTOCOL) != ETH_IPV4 || get16(p + LENGTHS) != 0x0604) return;
  uint32_t sender = get32(p + SENDER_IP);
  int to_us = get32(p + TARGET_IP) == NET_LOCAL_IP;
  int sane = sender != NET_LOCAL_IP && (sender & NET_MASK) == (NET_LOCAL_IP & NET_MASK) && !(p[SENDER_MAC] & 1);
  if (!sane) return;
  if (to_us || find(sender) >= 0) learn(sender, p + SENDER_MAC);
  if (to_us && get16(p + OPERATION) == REQUEST) send(REPLY, p + SENDER_MAC, p + SENDER_MAC, sender);
}
