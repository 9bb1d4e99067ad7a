/*
 * abi.h: between the kernel and its program. A system call: ecall with the number in a7, arguments in a0 .. a5, result in a0;
 * all other registers are kept. Errors are negative Linux errno values. Never change a number that an image uses: both sides are
 * built together.
 */
#ifndef VIRTAX_ABI_H
#define VIRTAX_ABI_H
#include <stdint.h>

enum {
  SYS_NULL = 1,     /* (a) -> a + 1 */
  SYS_POWEROFF,     /* (status) */
  SYS_WRITE,        /* (bytes, n) */
  SYS_READ,         /* () -> byte */
  SYS_ALLOC,        /* (bytes) -> address or 0 */
  SYS_FREE,         /* (address, bytes) */
  SYS_MAP,          /* (bytes) -> address or 0 */
  SYS_UNMAP,        /* (address, bytes) */
  SYS_SPAWN,        /* (cpu, entry, a0, a1): the thread starts at entry with a0, a1, its stack, and tp = its CPU's number */
  SYS_EXIT_THREAD,  /* () */
  SYS_JOIN,         /* (cpu) */
  SYS_IPI,          /* (cpu) */
  SYS_IPI_WAIT,     /* () */
  SYS_SLEEP_UNTIL,  /* (ns) */
  SYS_BLOCK_SUBMIT, /* (reqs, n) -> taken */
  SYS_BLOCK_WAIT,   /* (done, min, max) -> stored */
  SYS_UDP_OPEN,     /* (port) */
  SYS_UDP_CLOSE,    /* (port) */
  SYS_UDP_SEND,     /* (port, ip, to_port, data, bytes) -> bytes */
  SYS_UDP_RECV,     /* (port, data, max, timeout_ns) -> bytes */
  SYS_COUNT
};

#define BOOTARGS_MAX 2048

/* A page that the program may read. The first thread starts with its address in a0. */
struct user_info {
  uint64_t clock_scale; /* nanoseconds a tick of the time CSR, 32.32 fixed point */
  uint64_t block_bytes;
  uint32_t cpus, has_net;
  char bootargs[BOOTARGS_MAX];
};

#endif
