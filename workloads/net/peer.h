/*
 * peer.h: what net workloads and the peer process (`virtax-guest peer`, port/host/peer.c) say to each other over UDP.
 * All fields little-endian. The peer tells messages apart by their first word and size.
 *
 *   1 byte              request: answered with the same byte
 *   struct peer_data    a datagram of a stream: counted
 *   struct peer_query   what has come of a stream? Answered with struct peer_count
 */
#ifndef VIRTAX_PEER_H
#define VIRTAX_PEER_H
#include <stdint.h>

#include "lib/mix.h"

enum { PEER_PAYLOAD = 1472 /* fills a frame of 1500 bytes */, PEER_FILLER = PEER_PAYLOAD / 8 - 4 };
/*
 * Local port of CPU 0, the next one that of CPU 1, …: the same for every workload, which closes what an earlier one left
 * open, since a small kernel has no more ports than it needs.
 */
enum { NET_FIRST_PORT = 20000 };
#define PEER_DATA 0x7661746164787476ull
#define PEER_QUERY 0x7972657571787476ull
#define PEER_COUNT 0x746e756f63787476ull

/* A stream is known by its sender's address and its id. */
struct peer_data {
  uint64_t magic, stream, sequence; /* sequence from 0 */
  uint64_t filler[PEER_FILLER];
  uint64_t mark; /* peer_mark(): a datagram that was mangled on its way does not count */
};
struct peer_query {
  uint64_t magic, stream;
};
struct peer_count {
  uint64_t magic, stream;
  uint64_t datagrams, bytes, wrong; /* wrong: mark or size not right */
};

static inline uint64_t peer_mark(uint64_t stream, uint64_t sequence) { return mix64(stream ^ sequence); }

_Static_assert(sizeof(struct peer_data) == PEER_PAYLOAD, "a datagram fills a frame");

#endif
