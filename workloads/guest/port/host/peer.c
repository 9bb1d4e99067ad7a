/*
 * peer.c: `virtax-guest peer [PORT]`: the other end of the net workloads (net/peer.h), the same process for every
 * engine. It prints `peer port=N` and ends with its standard input.
 */
#include "net/peer.h"

#include "host.h"
#include "init/print.h"
#include "lib/mem.h"
#include "lib/str.h"

enum { AF_INET = 2, SOCK_DGRAM = 2, SOCK_CLOEXEC = 02000000, SOL_SOCKET = 1, SO_RCVBUF = 8, MSG_WAITFORONE = 0x10000, MSG_DONTWAIT = 0x40 };
enum { BATCH = 64, STREAMS = 1024, BUFFER = 2048, RECEIVE_BUFFER = 4 << 20 };

struct address { /* struct sockaddr_in */
  uint16_t family, port;
  uint32_t ip;
  uint8_t zero[8];
};
struct iovec {
  void *base;
  size_t bytes;
};
struct message { /* struct mmsghdr */
  struct address *name;
  uint32_t name_bytes, padding;
  struct iovec *vector;
  size_t vectors;
  void *control;
  size_t control_bytes;
  int32_t flags, padding2;
  uint32_t done, padding3;
};

struct counted_stream {
  uint32_t ip;
  uint16_t port;
  uint64_t last_used;
  struct peer_count count;
};

struct peer {
  int fd;
  uint64_t now; /* counts datagrams: the oldest stream makes room for a new one */
  struct counted_stream streams[STREAMS];
  struct counted_stream *recent; /* streams come in bursts */
  unsigned char buffers[BATCH][BUFFER] __attribute__((aligned(64)));
  struct address from[BATCH];
  struct iovec vectors[BATCH];
  struct message messages[BATCH];
};
static struct peer peer;
static struct cpu watcher;

static int is_stream(const struct counted_stream *s, const struct address *from, uint64_t id) {
  return s->count.stream == id && s->ip == from->ip && s->port == from->port && s->last_used;
}

static struct counted_stream *find_stream(const struct address *from, uint64_t id) {
  struct counted_stream *oldest = peer.streams;
  if (peer.recent && is_stream(peer.recent, from, id)) return peer.recent;
  for (struct counted_stream *s = peer.streams; s < peer.streams + STREAMS; s++) {
    if (is_stream(s, from, id)) return peer.recent = s;
    if (s->last_used < oldest->last_used) oldest = s;
  }
  *oldest = (struct counted_stream){.ip = from->ip, .port = from->port, .last_used = 1, .count = {.magic = PEER_COUNT, .stream = id}};
  return peer.recent = oldest;
}

static void count(const struct address *from, const struct peer_data *d, unsigned bytes) {
  struct counted_stream *s = find_stream(from, d->stream);
  s->last_used = ++peer.now + 1;
  if (bytes != sizeof *d || d->mark != peer_mark(d->stream, d->sequence)) {
    s->count.wrong++;
    return;
  }
  s->count.datagrams++;
  s->count.bytes += bytes;
}

static void answer(const struct address *to, const void *data, unsigned bytes) {
  SYSCALL(SYS_sendto, peer.fd, data, bytes, 0, to, sizeof *to);
}

static void handle(const struct address *from, const unsigned char *data, unsigned bytes) {
  uint64_t magic = 0;
  if (bytes >= sizeof magic) memcpy(&magic, data, sizeof magic);
  if (bytes == 1) answer(from, data, 1);
  else if (magic == PEER_DATA && bytes >= sizeof(struct peer_query)) count(from, (const void *)data, bytes);
  else if (magic == PEER_QUERY && bytes == sizeof(struct peer_query))
    answer(from, &find_stream(from, ((const struct peer_query *)data)->stream)->count, sizeof(struct peer_count));
}

/* Takes what is there in one call, sleeps when there is nothing. */
static void receive(void) {
  for (int i = 0; i < BATCH; i++) {
    peer.vectors[i] = (struct iovec){peer.buffers[i], BUFFER};
    peer.messages[i] = (struct message){.name = &peer.from[i], .name_bytes = sizeof peer.from[i], .vector = &peer.vectors[i], .vectors = 1};
  }
  long n = SYSCALL(SYS_recvmmsg, peer.fd, peer.messages, BATCH, MSG_WAITFORONE, 0, 0);
  if (n < 0 && n != -EINTR && n != -111 /* ECONNREFUSED: an answer met a closed port */) host_die(1, "peer: cannot receive (errno %ld)", -n);
  for (long i = 0; i < n; i++) handle(&peer.from[i], peer.buffers[i], peer.messages[i].done);
}

static void watch_input(struct cpu *self) {
  char byte;
  cpu_set_self(self);
  while (env_read(&byte) == 0) {
  }
  env_poweroff(0);
}

static uint16_t open_socket(uint16_t port) {
  struct address at = {.family = AF_INET, .port = __builtin_bswap16(port), .ip = __builtin_bswap32(0x7f000001)};
  int bytes = RECEIVE_BUFFER;
  uint32_t length = sizeof at;
  peer.fd = (int)SYSCALL(SYS_socket, AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0, 0, 0, 0);
  /* The kernel gives as much as net.core.rmem_max allows. */
  SYSCALL(SYS_setsockopt, peer.fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes, 0);
  long status = SYSCALL(SYS_bind, peer.fd, &at, sizeof at, 0, 0, 0);
  if (status < 0) host_die(1, "peer: cannot bind UDP port %u of 127.0.0.1 (errno %ld)", port, -status);
  SYSCALL(SYS_getsockname, peer.fd, &at, &length, 0, 0, 0);
  return __builtin_bswap16(at.port);
}

int peer_main(int argc, char **argv) {
  uint64_t port = 0;
  if (argc > 1 || (argc == 1 && (str_u64(argv[0], &port) || port > 65535))) {
    host_report("usage: virtax-guest peer [PORT]");
    return 2;
  }
  print("peer port=%u\n", open_socket((uint16_t)port));
  thread_start(&watcher, watch_input);
  for (;;) receive();
}
