/* icmp.c: RFC 792, echo alone: a request is answered, everything else is ignored. */
#include "kernel/net/net.h"
#include "lib/mem.h"

enum { ECHO_REPLY = 0, ECHO_REQUEST = 8, ECHO_HEADER = 8, CHECKSUM = 2 };

void icmp_receive(const uint8_t *message, unsigned bytes, uint32_t from, const uint8_t from_mac[6]) {
  static uint8_t frame[NET_FRAME_MAX]; /* under net_lock */
  if (bytes < ECHO_HEADER || bytes > NET_MTU - IPV4_HEADER) return;
  if (message[0] != ECHO_REQUEST || message[1] != 0 || checksum_end(checksum_add(0, message, bytes)) != 0) return;
  uint8_t *reply = frame + ETH_HEADER + IPV4_HEADER;
  memcpy(reply, message, bytes);
  reply[0] = ECHO_REPLY;
  put16(reply + CHECKSUM, 0);
  put16(reply + CHECKSUM, checksum_end(checksum_add(0, reply, bytes)));
  ipv4_fill(frame + ETH_HEADER, IP_ICMP, from, bytes);
  eth_send(frame, ETH_HEADER + IPV4_HEADER + bytes, from_mac, ETH_IPV4); /* a full card loses it, as a full network would */
}
