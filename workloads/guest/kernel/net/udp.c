/*
 * udp.c: RFC 768. A port belongs to the CPU that opened it and has a bounded queue of whole datagrams; one that finds the
 * queue full is dropped, as everywhere.
 *
 * Invariant: under net_lock the stack writes queue[tail % QUEUE] and then advances tail; the owner reads queue[head % QUEUE]
 * and then advances head, without the lock. Ports are opened and closed under net_lock.
 */
#include "include/env.h"
#include "kernel/net/net.h"
#include "kernel/port.h"
#include "lib/mem.h"

enum { PORTS = ENV_MAX_CPUS + 4, QUEUE = 64, DATA_MAX = NET_MTU - IPV4_HEADER - UDP_HEADER };
enum { SOURCE = 0, DESTINATION = 2, LENGTH = 4, CHECKSUM = 6 };
#define ENV_EADDRINUSE 98
#define ENV_EMSGSIZE 90
#define ENV_EFAULT 14

struct datagram {
  unsigned bytes;
  uint8_t data[DATA_MAX] __attribute__((aligned(8)));
};

struct udp_port {
  uint16_t number; /* 0: free */
  unsigned cpu;
  uint32_t head, tail;
  struct datagram queue[QUEUE];
};

static struct udp_port ports[PORTS];
/* The data begins 42 bytes into its frame: the 6 before make that a multiple of 8, so that whole words are copied. */
static struct {
  uint8_t align[6], bytes[NET_FRAME_MAX];
} __attribute__((aligned(64))) frames[ENV_MAX_CPUS];

static struct udp_port *find(uint16_t number) {
  for (struct udp_port *p = ports; p < ports + PORTS; p++)
    if (p->number == number) return p;
  return NULL;
}

/* The port, if it is this CPU's. Its owner alone closes it, so it stays. */
static struct udp_port *own(uint16_t number) {
  struct udp_port *p = number ? find(number) : NULL;
  return p && p->cpu == cpu_id() ? p : NULL;
}

static int open_locked(uint16_t number) {
  if (find(number)) return -ENV_EADDRINUSE;
  struct udp_port *p = find(0);
  if (!p) return -ENV_ENOMEM;
  p->cpu = cpu_id();
  p->head = p->tail = 0;
  __atomic_store_n(&p->number, number, __ATOMIC_RELEASE);
  return 0;
}

int udp_open(uint16_t number) {
  if (!net_card) return -ENV_ENOENT;
  if (!number) return -ENV_EINVAL;
  lock_acquire(&net_lock);
  int result = open_locked(number);
  lock_release(&net_lock);
  return result;
}

void udp_close(uint16_t number) {
  struct udp_port *p = own(number);
  if (!p) return;
  lock_acquire(&net_lock);
  p->number = 0;
  lock_release(&net_lock);
}

/* The sum of RFC 768's pseudo header: addresses, protocol, length. */
static uint32_t pseudo_sum(uint32_t a, uint32_t b, unsigned length) {
  return (a >> 16) + (a & 0xffff) + (b >> 16) + (b & 0xffff) + IP_UDP + length;
}

int udp_send(uint16_t number, uint32_t ip, uint16_t to_port, const void *user, unsigned bytes) {
  if (!own(number)) return -ENV_EINVAL;
  if (bytes > DATA_MAX) return -ENV_EMSGSIZE;
  uint8_t *frame = frames[cpu_id()].bytes, *udp = frame + ETH_HEADER + IPV4_HEADER;
  unsigned length = UDP_HEADER + bytes;
  if (user_read(udp + UDP_HEADER, user, bytes) != 0) return -ENV_EFAULT;
  put16(udp + SOURCE, number);
  put16(udp + DESTINATION, to_port);
  put16(udp + LENGTH, (uint16_t)length);
  put16(udp + CHECKSUM, 0);
  uint16_t checksum = checksum_end(checksum_add(pseudo_sum(NET_LOCAL_IP, ip, length), udp, length));
  put16(udp + CHECKSUM, checksum ? checksum : 0xffff); /* 0 says: none */
  ipv4_fill(frame + ETH_HEADER, IP_UDP, ip, length);
  int error = ipv4_send(frame, length, ip);
  return error ? error : (int)bytes;
}

static void enqueue(struct udp_port *p, const uint8_t *data, unsigned bytes) {
  if (p->tail - __atomic_load_n(&p->head, __ATOMIC_ACQUIRE) == QUEUE) return;
  struct datagram *d = &p->queue[p->tail % QUEUE];
  d->bytes = bytes;
  memcpy(d->data, data, bytes);
  __atomic_store_n(&p->tail, p->tail + 1, __ATOMIC_RELEASE);
  cpu_wake(p->cpu);
}

void udp_receive(const uint8_t *udp, unsigned bytes, uint32_t from) {
  if (bytes < UDP_HEADER) return;
  unsigned length = get16(udp + LENGTH);
  if (length < UDP_HEADER || length > bytes || length - UDP_HEADER > DATA_MAX) return;
  uint32_t sum = checksum_add(pseudo_sum(from, NET_LOCAL_IP, length), udp, length);
  if (get16(udp + CHECKSUM) && checksum_end(sum) != 0) return;
  uint16_t number = get16(udp + DESTINATION);
  struct udp_port *p = number ? find(number) : NULL;
  if (p) enqueue(p, udp + UDP_HEADER, length - UDP_HEADER);
}

static int dequeue(struct udp_port *p, void *user, unsigned max) {
  const struct datagram *d = &p->queue[p->head % QUEUE];
  unsigned bytes = d->bytes < max ? d->bytes : max;
  int error = user_write(user, d->data, bytes);
  __atomic_store_n(&p->head, p->head + 1, __ATOMIC_RELEASE);
  return error ? -ENV_EFAULT : (int)bytes;
}

int udp_recv(uint16_t number, void *user, unsigned max, uint64_t timeout_ns) {
  struct udp_port *p = own(number);
  if (!p) return -ENV_EINVAL;
  uint64_t deadline = 0;
  while (__atomic_load_n(&p->tail, __ATOMIC_ACQUIRE) == p->head) {
    uint64_t now = clock_ns();
    if (!deadline) deadline = timeout_ns < CPU_FOREVER - now ? now + timeout_ns : CPU_FOREVER;
    else if (now >= deadline) return -ENV_ETIMEDOUT;
    if (!timeout_ns) return -ENV_ETIMEDOUT;
    cpu_sleep(deadline);
  }
  return dequeue(p, user, max);
}
