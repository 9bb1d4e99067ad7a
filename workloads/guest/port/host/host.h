/*
 * host.h: between the files of the host port. The process is "the machine" of the engine `bare`:
 *
 *   main.c     argv, tool modes           cpu.c      CPUs are threads, parked on futexes
 *   console.c  stdin, stdout, doorbells   memory.c   mmap
 *   clock.c    vDSO clock                 block.c    disk: io_uring (uring.c), else threads (pool.c)
 *   udp.c      sockets                    mkdisk.c, peer.c, selftest.c   tool modes
 */
#ifndef VIRTAX_HOST_H
#define VIRTAX_HOST_H
#include <stddef.h>
#include <stdint.h>

#include "arch.h"
#include "env.h"

#define SYSCALL(n, a, b, c, d, e, f) syscall6(n, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))

enum { EINTR = 4, EADDRINUSE = 98, EEXIST = 17 };
enum { O_RDONLY = 0, O_RDWR = 2, O_CREAT = 0100, O_TRUNC = 01000, O_CLOEXEC = 02000000, AT_FDCWD = -100 };

struct timespec {
  int64_t seconds, nanoseconds;
};

struct udp_socket {
  uint16_t port; /* as the program calls it; 0: free */
  uint16_t to_port;
  uint32_t to_ip;
  int fd;
  uint64_t timeout_ns; /* as set by SO_RCVTIMEO */
};
enum { UDP_SOCKETS = 4 }; /* that one CPU may have open */

struct uring;
struct pool_queue;

/* One CPU: a thread. Thread 0 is the process's first. */
struct cpu {
  struct cpu *self; /* first: see cpu_self() */
  unsigned id;
  unsigned relaxes;
  unsigned busy;     /* futex: 1 while a task is there */
  unsigned sleeping; /* someone sleeps on busy or ipis: a wake-up needs a system call */
  unsigned ipis;     /* futex: not yet taken */
  unsigned ipi_sleeping;
  void (*task)(void *);
  void *task_arg;
  struct uring *uring;
  struct pool_queue *queue;
  unsigned in_flight; /* block requests */
  struct udp_socket sockets[UDP_SOCKETS];
} __attribute__((aligned(128)));

struct host_config {
  unsigned vcpus;
  uint64_t poll_ns; /* waiting policy: how long to poll before sleeping */
  const char *disk_path;
  int direct;
  int no_uring; /* for tests of the fallback */
  int stamp;    /* doorbells carry their time: see console.c */
  char bootargs[256];
};
extern struct host_config host;
extern struct cpu cpus[ENV_MAX_CPUS];

/* main.c */
_Noreturn void host_die(int status, const char *text, ...) __attribute__((format(printf, 2, 3)));
void host_report(const char *text, ...) __attribute__((format(printf, 1, 2))); /* to standard error */

/* cpu.c */
void cpus_start(void);
/* Sleeps while *word == value, after polling by the policy; spurious returns are possible. */
void futex_sleep(const unsigned *word, unsigned value);
void futex_wake(const unsigned *word, int how_many);
/* A thread beside the CPUs (block fallback, peer). It has a struct cpu of its own for the thread pointer. */
void thread_start(struct cpu *self, void (*entry)(struct cpu *));

/* clock.c */
void clock_find(const uint64_t *auxv);
uint64_t clock_process_cpu_ns(void); /* of all threads */

/* console.c: the whole buffer, whatever it takes. 0, or negative errno. */
int write_all(int fd, const char *bytes, size_t n);

/* memory.c */
void *map_pages(size_t bytes);

/* block.c */
void block_open(void);
extern int block_fd;

/* uring.c: NULL when the kernel refuses. Used by the CPU that made it alone. */
struct uring *uring_create(void);
int uring_submit(struct uring *ring, const struct env_block_req *reqs, unsigned n);
int uring_wait(struct uring *ring, struct env_block_done *done, unsigned min, unsigned max);

/* pool.c: the fallback, synchronous calls on threads. */
struct pool_queue *pool_create(void);
int pool_submit(struct pool_queue *queue, const struct env_block_req *reqs, unsigned n);
int pool_wait(struct pool_queue *queue, struct env_block_done *done, unsigned min, unsigned max);

/* Tool modes. argv[0] is the mode's first argument. They return the exit status. */
int mkdisk_main(int argc, char **argv);
int peer_main(int argc, char **argv);
int selftest_main(void);
int unit_main(int argc, char **argv);

#endif
