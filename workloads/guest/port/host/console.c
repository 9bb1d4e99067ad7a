/* console.c: the console is standard input and output; a doorbell is a byte that the engine stamps as it arrives. */
#include "host.h"
#include "lib/format.h"

struct pollfd {
  int fd;
  short events, revents;
};

/* A parent may have made the pipe non-blocking: then wait until it takes more. */
static void wait_ready(int fd, short events) {
  struct pollfd p = {fd, events, 0};
  SYSCALL(SYS_ppoll, &p, 1, 0, 0, 8, 0);
}

int write_all(int fd, const char *bytes, size_t n) {
  while (n) {
    long done = SYSCALL(SYS_write, fd, bytes, n, 0, 0, 0);
    if (done == -EINTR) continue;
    if (done == -ENV_EAGAIN) {
      wait_ready(fd, 4 /* POLLOUT */);
      continue;
    }
    if (done < 0) return (int)done;
    bytes += done;
    n -= (size_t)done;
  }
  return 0;
}

/* One call is one write: the kernel keeps up to PIPE_BUF bytes of it together. */
void env_write(const char *bytes, size_t n) {
  if (write_all(1, bytes, n)) env_poweroff(1); /* nobody listens any more */
}

/*
 * With --stamp the stop doorbell is followed by four numbers of 16 hexadecimal digits: CLOCK_MONOTONIC and the process's
 * CPU time, in nanoseconds, at the start doorbell and at the stop. The guest's clock is the host's here, and whoever reads
 * the pipe is scheduled milliseconds late when our threads fill the cores; other engines stamp in the vCPU's thread too.
 * The time of the writes themselves, which may wake a reader on this core, stays outside.
 */
void env_doorbell(int which) {
  static unsigned long long start_ns, start_cpu;
  char line[1 + 4 * 16 + 1] = {(char)which};
  size_t n = 1;
  if (host.stamp && which == ENV_DOORBELL_STOP) {
    unsigned long long ns = env_now_ns(), cpu = clock_process_cpu_ns();
    n += format(line + 1, sizeof line - 1, "%016llx%016llx%016llx%016llx", start_ns, start_cpu, ns, cpu);
  }
  env_write(line, n);
  if (host.stamp && which == ENV_DOORBELL_START) {
    start_cpu = clock_process_cpu_ns();
    start_ns = env_now_ns();
  }
}

int env_read(char *byte) {
  static char buffer[256];
  static long have, next;
  while (next == have) {
    next = 0;
    have = SYSCALL(SYS_read, 0, buffer, sizeof buffer, 0, 0, 0);
    if (have == -ENV_EAGAIN) wait_ready(0, 1 /* POLLIN */);
    if (have == -ENV_EAGAIN || have == -EINTR) have = 0;
    else if (have <= 0) return have = 0, -ENV_EIO;
  }
  *byte = buffer[next++];
  return 0;
}
