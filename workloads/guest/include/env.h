/*
 * env.h: all that the program (init/ and the workloads) sees of the world below it. Each port implements it:
 *
 *   port/host      Linux system calls: the bare-metal baseline
 *   port/riscv64   ecall from U-mode into our kernel (user/env.c holds the stubs)
 *   port/para      direct calls into the paravirtualized kernel, which makes hypercalls
 *
 * Errors are negative Linux errno values. Time is nanoseconds of a monotonic clock.
 * Every call is made by a CPU (a thread, a hart, a vCPU) and concerns that CPU unless it says otherwise.
 */
#ifndef VIRTAX_ENV_H
#define VIRTAX_ENV_H
#include <stddef.h>
#include <stdint.h>

#define ENV_MAX_CPUS 32
#define ENV_MAX_DEPTH 64 /* block requests that one CPU may have in flight */

enum { ENV_EIO = 5, ENV_ENOENT = 2, ENV_EAGAIN = 11, ENV_ENOMEM = 12, ENV_EINVAL = 22, ENV_ENOTSUP = 95, ENV_ETIMEDOUT = 110 };

/* ---- machine ---- */
unsigned env_cpu(void);  /* number of the calling CPU, 0.. */
unsigned env_cpus(void); /* CPUs of the machine, 1..32 */
uint64_t env_now_ns(void);
_Noreturn void env_poweroff(int status); /* 0: in order */
const char *env_bootargs(void);          /* command line, "" if none */
const char *env_port(void);              /* "host", "riscv64", "para" */

/* ---- console ---- */
void env_write(const char *bytes, size_t n); /* any CPU; the bytes of one call stay together */
int env_read(char *byte); /* CPU 0: sleeps until a byte comes; 0, or -EIO at the end of input */
enum { ENV_DOORBELL_START = 0x02, ENV_DOORBELL_STOP = 0x03 };
void env_doorbell(int which); /* the host stamps it: a byte on the console, a hypercall on para */

/* ---- memory ---- */
void *env_alloc(size_t bytes); /* zeroed, 4 KiB aligned, usable by any CPU and for I/O; NULL if there is none left */
void env_free(void *p, size_t bytes);
void *env_map(size_t bytes); /* os/map: fresh zero pages on demand; NULL with no MMU (env_has_mmu() == 0) */
void env_unmap(void *p, size_t bytes);
int env_has_mmu(void);

/* ---- CPUs ---- */
/* Starts fn(arg) on another, idle CPU and returns at once; -EAGAIN if it is busy. */
int env_spawn(unsigned cpu, void (*fn)(void *), void *arg);
void env_join(unsigned cpu);  /* sleeps until the task started there has returned */
void env_ipi(unsigned cpu);   /* wakes the CPU out of env_ipi_wait(); remembered if it comes first */
void env_ipi_wait(void);      /* sleeps until an env_ipi() to this CPU; takes one */
void env_sleep_until(uint64_t ns);
void env_relax(void); /* in a spin loop: pause; gives the processor away where the port can */
void env_poll(void);  /* between units, at least every 2 ms of work: a para guest takes its events here */
/* This CPU, or the machine, is to go (only para guests are asked to): its work should end after the unit. */
#ifdef __wasm__
int env_leaving(void);
#else
static inline int env_leaving(void) { return 0; }
#endif
long env_null_call(long a); /* the cheapest round trip to the layer below, arguments checked; returns a + 1 */

/* ---- block: one disk ---- */
enum { ENV_BLOCK_READ = 0, ENV_BLOCK_WRITE = 1, ENV_BLOCK_FLUSH = 2 };
struct env_block_req {
  uint32_t op;
  uint32_t tag; /* the caller's, < ENV_MAX_DEPTH, unique in flight on this CPU */
  void *buf;    /* from env_alloc, 512-byte aligned */
  uint64_t offset;
  uint32_t bytes; /* multiples of 512, at most 1 MiB */
};
struct env_block_done {
  uint32_t tag;
  int32_t status; /* 0, or negative errno */
};
uint64_t env_block_bytes(void); /* size of the disk, 0 if there is none */
/* Queues n requests of this CPU; returns how many were taken (at least one unless it fails), or negative errno. */
int env_block_submit(const struct env_block_req *reqs, unsigned n);
/* Sleeps until at least min of this CPU's requests are done; returns how many were stored (at most max). */
int env_block_wait(struct env_block_done *done, unsigned min, unsigned max);

/* ---- UDP over IPv4 ---- */
int env_udp_open(uint16_t port); /* binds a local port to this CPU; 0 or negative errno */
void env_udp_close(uint16_t port);
/* ip in host byte order. Sleeps while the card is full. Bytes sent, or negative errno. */
int env_udp_send(uint16_t port, uint32_t ip, uint16_t to_port, const void *data, unsigned bytes);
/* Sleeps until a datagram comes; its bytes, or -ETIMEDOUT. */
int env_udp_recv(uint16_t port, void *data, unsigned max, uint64_t timeout_ns);
int env_has_net(void);

#endif
