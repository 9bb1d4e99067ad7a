/* ipv4.c: RFC 791 without fragments and without options of our own; the Internet checksum of RFC 1071. */
#include "include/env.h"
#include "kernel/net/net.h"
#include "kernel/port.h"

/* Offsets within the header. */
enum { VERSION = 0, TOTAL = 2, FRAGMENT = 6, TTL = 8, PROTOCOL = 9, CHECKSUM = 10, SOURCE = 12, DESTINATION = 16 };
#define DONT_FRAGMENT 0x4000u
#define MORE_OR_OFFSET 0x3fffu
#define ARP_TRIES 5
#define ARP_WAIT_NS 200000000ull

/* Ones' complement: what is carried out at the top comes in again at the bottom. */
static uint64_t add_carrying(uint64_t sum, uint64_t word) {
  sum += word;
  return sum + (sum < word);
}

/*
 * The checksum does not depend on byte order (RFC 1071, 2 (B)), nor on the size of the words that are added (2 (C)): the bulk
 * is added in the machine's own words, whose sum is folded and swapped once. All ports are little-endian.
 */
static uint16_t checksum_words(const uint8_t *p, unsigned bytes) {
  typedef uint16_t __attribute__((may_alias)) half;
  typedef uint64_t __attribute__((may_alias)) word;
  uint64_t sum = 0;
  for (; bytes >= 2 && ((uintptr_t)p & 7); p += 2, bytes -= 2) sum += *(const half *)p;
  for (; bytes >= 32; p += 32, bytes -= 32) {
    const word *w = (const word *)p;
    sum = add_carrying(add_carrying(sum, w[0]), w[1]);
    sum = add_carrying(add_carrying(sum, w[2]), w[3]);
  }
  for (; bytes >= 8; p += 8, bytes -= 8) sum = add_carrying(sum, *(const word *)p);
  sum = (sum & 0xffffffffu) + (sum >> 32);
  for (; bytes >= 2; p += 2, bytes -= 2) sum += *(const half *)p;
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return (uint16_t)(sum >> 8 | sum << 8);
}

uint32_t checksum_add(uint32_t sum, const void *data, unsigned bytes) {
  const uint8_t *p = data;
  if (((uintptr_t)p & 1) == 0) {
    sum += checksum_words(p, bytes & ~1u);
    p += bytes & ~1u;
    bytes &= 1;
  }
  for (; bytes >= 2; p += 2, bytes -= 2) sum += get16(p);
  return bytes ? sum + ((uint32_t)*p << 8) : sum;
}

uint16_t checksum_end(uint32_t sum) {
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return (uint16_t)~sum;
}

/* Is it a whole packet for us? Returns the header's bytes, 0 if not. */
static unsigned check(const uint8_t *p, unsigned bytes) {
  if (bytes < IPV4_HEADER || p[VERSION] >> 4 != 4) return 0;
  unsigned header = (p[VERSION] & 15u) * 4, total = get16(p + TOTAL);
  if (header < IPV4_HEADER || total < header || total > bytes) return 0;
  if (get16(p + FRAGMENT) & MORE_OR_OFFSET) return 0;
  if (get32(p + DESTINATION) != NET_LOCAL_IP) return 0;
  return checksum_end(checksum_add(0, p, header)) == 0 ? header : 0;
}

void ipv4_receive(const uint8_t *packet, unsigned bytes, const uint8_t from_mac[6]) {
  unsigned header = check(packet, bytes);
  if (!header) return;
  unsigned payload = get16(packet + TOTAL) - header; /* what follows is the card's padding */
  uint32_t from = get32(packet + SOURCE);
  if (packet[PROTOCOL] == IP_ICMP) icmp_receive(packet + header, payload, from, from_mac);
  if (packet[PROTOCOL] == IP_UDP) udp_receive(packet + header, payload, from);
}

void ipv4_fill(uint8_t *p, uint8_t protocol, uint32_t to, unsigned payload_bytes) {
  put16(p + VERSION, 0x4500);
  put16(p + TOTAL, (uint16_t)(IPV4_HEADER + payload_bytes));
  put16(p + 4, 0); /* identification: nothing is ever fragmented (RFC 6864, 4.1) */
  put16(p + FRAGMENT, DONT_FRAGMENT);
  p[TTL] = 64;
  p[PROTOCOL] = protocol;
  put16(p + CHECKSUM, 0);
  put32(p + SOURCE, NET_LOCAL_IP);
  put32(p + DESTINATION, to);
  put16(p + CHECKSUM, checksum_end(checksum_add(0, p, IPV4_HEADER)));
}

enum attempt { SENT, NO_ADDRESS, NO_ROOM };

static enum attempt attempt(uint8_t *frame, unsigned bytes, uint32_t hop, int ask) {
  uint8_t mac[6];
  enum attempt result = SENT;
  lock_acquire(&net_lock);
  if (arp_lookup(hop, mac) != 0) {
    result = NO_ADDRESS;
    if (ask) arp_ask(hop);
  } else if (eth_send(frame, bytes, mac, ETH_IPV4) != 0) {
    result = NO_ROOM;
    eth_want_room();
  }
  lock_release(&net_lock);
  return result;
}

int ipv4_send(uint8_t *frame, unsigned payload_bytes, uint32_t to) {
  uint32_t hop = (to & NET_MASK) == (NET_LOCAL_IP & NET_MASK) ? to : NET_GATEWAY_IP;
  uint64_t ask_again = 0; /* at once */
  for (unsigned asked = 0;;) {
    uint64_t now = clock_ns();
    int ask = now >= ask_again;
    enum attempt result = attempt(frame, ETH_HEADER + IPV4_HEADER + payload_bytes, hop, ask && asked < ARP_TRIES);
    if (result == SENT) return 0;
    if (result == NO_ADDRESS && ask) {
      if (asked++ == ARP_TRIES) return -ENV_ETIMEDOUT;
      ask_again = now + ARP_WAIT_NS;
    }
    cpu_sleep(result == NO_ADDRESS ? ask_again : CPU_FOREVER);
  }
}
