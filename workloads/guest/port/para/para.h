/*
 * para.h: the paravirtualized port of the kernel. One module holds kernel and program; there is one address space and no
 * privilege, so system calls are plain calls and the hypervisor guards only what is outside of the domain.
 *
 *   start.c   entry of the vCPUs, their queues, power off          memory.c   frames for env_alloc()
 *   cpu.c     sleeping, waking, tasks                              env.c      env.h by direct calls
 *   event.c   event channels                                       store.c    configuration and handshakes
 *   grant.c   the grant table                                      console.c  the console
 *   blkfront.c, netfront.c: front ends, one queue a vCPU
 */
#ifndef VIRTAX_PARA_PARA_H
#define VIRTAX_PARA_PARA_H
#include <stddef.h>
#include <stdint.h>

#include "include/env.h"
#include "include/para-abi.h"

__attribute__((import_module("virtax"), import_name("hypercall"))) int32_t hypercall(uint32_t number, uint32_t cmd, uint32_t arg1, uint32_t arg2);

/* A guest address for the hypervisor. */
static inline uint32_t guest_address(const volatile void *p) { return (uint32_t)(uintptr_t)p; }

#define FRAME ((size_t)PARA_FRAME_BYTES)

struct cpu {
  struct vcpu_info info; /* the hypervisor writes here */
  uint32_t token;        /* port.h: one wake-up, remembered */
  uint32_t sleeping;     /* the waker must send an event */
  uint32_t ipi_port;
  uint32_t timer_port;
  uint32_t posts;        /* env_ipi() not yet taken by env_ipi_wait() */
  uint32_t relaxes;
  uint32_t task;         /* TASK_* in cpu.c */
  uint32_t joiners;      /* a bit a CPU that sleeps in env_join() */
  void (*fn)(void *);
  void *arg;
} __attribute__((aligned(128)));

extern struct cpu cpus[PARA_MAX_VCPUS];
extern _Thread_local unsigned this_cpu;
extern unsigned cpu_total;

/* ---- cpu.c ---- */
void cpu_init(unsigned cpu);        /* on the CPU itself: vcpu_info and its timer's port */
_Noreturn void cpu_idle_loop(void); /* runs the tasks that env_spawn() gives to this CPU */

/* ---- event.c ---- */
void event_handler(uint32_t port, void (*handler)(void *), void *arg);
void event_dispatch(void); /* calls the handlers of what is pending for this CPU. No lock may be held */
static inline void event_send(uint32_t port) { hypercall(HYPERVISOR_event_channel_op, EVTCHNOP_send, port, 0); }

/* ---- grant.c: every user has a fixed range of references ---- */
enum {
  GRANT_BLK_RING = 0,
  GRANT_TX_RING = GRANT_BLK_RING + PARA_MAX_VCPUS,
  GRANT_RX_RING = GRANT_TX_RING + PARA_MAX_VCPUS,
  GRANT_BLK = GRANT_RX_RING + PARA_MAX_VCPUS, /* cpu * BLKIF_RING_SIZE + id */
  GRANT_TX = GRANT_BLK + PARA_MAX_VCPUS * BLKIF_RING_SIZE,
  GRANT_RX = GRANT_TX + PARA_MAX_VCPUS * NETIF_RING_SIZE,
  GRANT_COUNT = GRANT_RX + PARA_MAX_VCPUS * NETIF_RING_SIZE,
};
void grant_init(void);
/* Lets the core OS reach the frames that [p, p + bytes) touches; returns the offset of p in the grant. */
uint32_t grant_set(uint32_t ref, const void *p, size_t bytes, uint16_t flags);
static inline uint32_t grant_core_os(uint32_t ref, const void *p, size_t bytes) { return grant_set(ref, p, bytes, GTF_permit_access); }
void grant_clear(uint32_t ref);

/* ---- store.c ---- */
int store_read(const char *path, char *value, size_t max); /* zero-terminated; its length, or negative errno */
int store_write_number(const char *path, uint32_t value);
/* device/KIND/0/queue-N/NAME = value */
int store_write_queue(const char *kind, unsigned queue, const char *name, uint32_t value);

/* ---- memory.c ---- */
void memory_init(void);
void *frames_alloc(size_t bytes); /* zeroed, frame-aligned; NULL if there is none left */
void frames_free(void *p, size_t bytes);
int frames_contain(const void *p, size_t bytes);

/* ---- front ends ---- */
void blkfront_init(void);              /* CPU 0, once: is there a disk? */
void blkfront_connect(unsigned cpu);   /* on that CPU */
void netfront_init(void);
void netfront_connect(unsigned cpu);

extern char bootargs[];

#endif
