/*
 * udp.c: UDP for the bare-metal port, on ordinary sockets. The program's local port is only a name here: many such
 * processes share one host, so each socket is bound to a free port of the loopback interface; a peer answers to whatever
 * address it hears from. The socket is connected to the destination, which saves the kernel a route look-up a datagram.
 */
#include "host.h"

enum { AF_INET = 2, SOCK_DGRAM = 2, SOCK_CLOEXEC = 02000000, SOL_SOCKET = 1, SO_RCVTIMEO = 20, MSG_DONTWAIT = 0x40, MSG_TRUNC = 0x20 };
enum { ECONNREFUSED = 111 };

struct address { /* struct sockaddr_in */
  uint16_t family, port;
  uint32_t ip;
  uint8_t zero[8];
};

struct timeval {
  int64_t seconds, microseconds;
};

static struct udp_socket *find(uint16_t port) {
  struct cpu *self = cpu_self();
  for (int i = 0; i < UDP_SOCKETS; i++) {
    if (self->sockets[i].port == port) return &self->sockets[i];
  }
  return NULL;
}

int env_has_net(void) { return 1; }

int env_udp_open(uint16_t port) {
  struct address any = {.family = AF_INET, .ip = __builtin_bswap32(0x7f000001)};
  struct udp_socket *s = find(0);
  if (port == 0) return -ENV_EINVAL;
  if (find(port)) return -EADDRINUSE;
  if (!s) return -ENV_ENOMEM;
  long fd = SYSCALL(SYS_socket, AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0, 0, 0, 0);
  if (fd < 0) return (int)fd;
  long status = SYSCALL(SYS_bind, fd, &any, sizeof any, 0, 0, 0);
  if (status < 0) {
    SYSCALL(SYS_close, fd, 0, 0, 0, 0, 0);
    return (int)status;
  }
  *s = (struct udp_socket){.port = port, .fd = (int)fd};
  return 0;
}

void env_udp_close(uint16_t port) {
  struct udp_socket *s = port ? find(port) : NULL;
  if (!s) return;
  SYSCALL(SYS_close, s->fd, 0, 0, 0, 0, 0);
  s->port = 0;
}

static int connect_to(struct udp_socket *s, uint32_t ip, uint16_t port) {
  struct address to = {.family = AF_INET, .port = __builtin_bswap16(port), .ip = __builtin_bswap32(ip)};
  long status = SYSCALL(SYS_connect, s->fd, &to, sizeof to, 0, 0, 0);
  if (status == 0) s->to_ip = ip, s->to_port = port;
  return (int)status;
}

int env_udp_send(uint16_t port, uint32_t ip, uint16_t to_port, const void *data, unsigned bytes) {
  struct udp_socket *s = port ? find(port) : NULL;
  if (!s) return -ENV_EINVAL;
  if ((s->to_ip != ip || s->to_port != to_port) && connect_to(s, ip, to_port)) return -ENV_EINVAL;
  long done;
  do {
    done = SYSCALL(SYS_sendto, s->fd, data, bytes, 0, 0, 0);
    /* An earlier datagram met a closed port (ICMP): that is told once and says nothing of this one. UDP just sends. */
  } while (done == -EINTR || done == -ECONNREFUSED);
  return (int)done;
}

static int poll_recv(struct udp_socket *s, void *data, unsigned max, uint64_t end) {
  long done;
  do {
    done = SYSCALL(SYS_recvfrom, s->fd, data, max, MSG_DONTWAIT, 0, 0);
    if (done != -ENV_EAGAIN) return (int)done;
  } while (env_now_ns() < end);
  return -ENV_EAGAIN;
}

static void set_timeout(struct udp_socket *s, uint64_t ns) {
  if (s->timeout_ns == ns) return;
  struct timeval t = {(int64_t)(ns / 1000000000u), (int64_t)(ns % 1000000000u / 1000)};
  if (t.seconds == 0 && t.microseconds == 0) t.microseconds = 1; /* zero would mean for ever */
  SYSCALL(SYS_setsockopt, s->fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t, 0);
  s->timeout_ns = ns;
}

int env_udp_recv(uint16_t port, void *data, unsigned max, uint64_t timeout_ns) {
  struct udp_socket *s = port ? find(port) : NULL;
  if (!s) return -ENV_EINVAL;
  long done = -ENV_EAGAIN;
  if (host.poll_ns || timeout_ns == 0) {
    done = poll_recv(s, data, max, timeout_ns ? env_now_ns() + host.poll_ns : 0);
    if (done >= 0 || timeout_ns == 0) return done < 0 ? -ENV_ETIMEDOUT : (int)done;
  }
  set_timeout(s, timeout_ns);
  do {
    done = SYSCALL(SYS_recvfrom, s->fd, data, max, 0, 0, 0);
  } while (done == -EINTR);
  /* A refused connection is silence to a UDP user: the caller tries again. */
  return done == -ENV_EAGAIN || done == -ECONNREFUSED ? -ENV_ETIMEDOUT : (int)done;
}
