/*
 * para.h: the paravirtualized port of the kernel. One module holds kernel and program; there is one address space and no
 * privilege, so system calls are plain calls and the hypervisor guards only what is outside of the domain.
 *
 *   start.c   entry of the vCPUs, their queues, power off          memory.c   frames for env_alloc()
 *   cpu.c     sleeping, waking, tasks                              env.c      env.h by direct calls
 *   event.c   event channels                                       store.c    configuration and handshakes
 *   grant.c   the grant table                                      console.c  the console
 *   blkfront.c, netfront.c: front ends, one queue a vCPU           hotplug.c  vCPUs and memory that come and go, shutdown
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
  uint32_t task;         /* TASK_* */
  uint32_t wanted;       /* the toolstack lets it run (hotplug.c) */
  uint32_t online;       /* its queues are connected, it takes tasks */
  uint32_t started;      /* it has been up: stack, ports and queues are there */
  uint32_t joiners;      /* a bit a CPU that sleeps in env_join() */
  void (*fn)(void *);
  void *arg;
  char *stack;           /* of CPUs 1 and up */
} __attribute__((aligned(128)));

extern struct cpu cpus[PARA_MAX_VCPUS];
extern _Thread_local unsigned this_cpu;
enum { TASK_NONE, TASK_CLAIMED, TASK_READY, TASK_GONE };
extern unsigned cpu_total;   /* online: 0 .. cpu_total - 1 take tasks */
extern unsigned cpu_present; /* have ever been: a higher number is nobody's */
extern unsigned cpu_max;

/* ---- cpu.c ---- */
void cpu_init(unsigned cpu);        /* on the CPU itself: vcpu_info and its timer's port */
_Noreturn void cpu_idle_loop(void); /* runs the tasks that env_spawn() gives to this CPU */

/* ---- start.c ---- */
int cpu_start(unsigned cpu);  /* from CPU 0; 0 or negative errno */
void cpu_count_online(void);

/* ---- hotplug.c ---- */
void hotplug_init(void);
void cpu_leave_if_unwanted(void); /* between tasks: does not return if the CPU is to go */
int shutdown_wanted(void);
_Noreturn void shutdown_now(void);

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
int store_write(const char *path, const char *value, size_t bytes);
int store_watch(const char *path, uint32_t token);
int store_write_number(const char *path, uint32_t value);
/* device/KIND/0/queue-N/NAME = value */
int store_write_queue(const char *kind, unsigned queue, const char *name, uint32_t value);

/* ---- memory.c ---- */
void memory_init(void);
void *frames_alloc(size_t bytes); /* zeroed, frame-aligned; NULL if there is none left */
void frames_free(void *p, size_t bytes);
void memory_set_target(size_t frames); /* CPU 0: gives frames back or populates them until there are as many, now or as they become free */
int frames_contain(const void *p, size_t bytes);

/* ---- front ends ---- */
void blkfront_init(void);              /* CPU 0, once: is there a disk? */
void blkfront_connect(unsigned cpu);   /* on that CPU */
void netfront_init(void);
void netfront_connect(unsigned cpu);

extern char bootargs[];

#endif
