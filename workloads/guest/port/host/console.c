/* console.c: the console is standard input and output; a doorbell is a byte that the engine stamps as it arrives. */
#include "host.h"

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

void env_doorbell(int which) {
  char byte = (char)which;
  env_write(&byte, 1);
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
