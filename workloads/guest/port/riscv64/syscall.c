/* syscall.c: one function a system call. Each checks what it is given; pointers go through user_read() and user_write(). */
#include "port/riscv64/syscall.h"

#include "drivers/ns16550.h"
#include "include/env.h"
#include "kernel/block.h"
#include "kernel/kernel.h"
#include "kernel/net/net.h"
#include "port/riscv64/abi.h"
#include "port/riscv64/vm.h"

#define EFAULT 14
#define ENOSYS 38
#define WRITE_MAX 65536 /* the console is held for it, with interrupts off */

/* Arguments: a0, a1, ... */
typedef const uint64_t *args;

static long sys_null(args a) { return (long)(a[0] + 1); }

static long sys_poweroff(args a) { machine_poweroff((int)a[0]); }

static long sys_write(args a) {
  const char *at = (const char *)a[0];
  char piece[256];
  long result = 0;
  if (a[1] > WRITE_MAX) return -ENV_EINVAL;
  console_begin();
  for (uint64_t left = a[1]; left && result == 0;) {
    size_t n = left < sizeof piece ? left : sizeof piece;
    if (user_read(piece, at, n) != 0) result = -EFAULT;
    else console_put(piece, n);
    at += n;
    left -= n;
  }
  console_end();
  return result;
}

static long sys_read(args a) {
  (void)a;
  return cpu_id() == 0 ? (uint8_t)console_read() : -ENV_EINVAL;
}

static long sys_alloc(args a) { return (long)linear_alloc(a[0]); }
static long sys_free(args a) { return linear_free(a[0], a[1]) == 0 ? 0 : -ENV_EINVAL; }
static long sys_map(args a) { return (long)arena_map(a[0]); }
static long sys_unmap(args a) { return arena_unmap(a[0], a[1]) == 0 ? 0 : -ENV_EINVAL; }
static long sys_spawn(args a) { return a[0] < cpu_count() ? task_spawn((unsigned)a[0], a[1], a[2], a[3]) : -ENV_EINVAL; }
static long sys_join(args a) { return a[0] < cpu_count() ? task_join((unsigned)a[0]) : -ENV_EINVAL; }
static long sys_ipi(args a) { return a[0] < cpu_count() ? task_post((unsigned)a[0]) : -ENV_EINVAL; }

static long sys_exit_thread(args a) {
  (void)a;
  if (cpu_id() == 0) panic("the program's first thread ended");
  task_exit();
}

static long sys_ipi_wait(args a) {
  (void)a;
  task_take_post();
  return 0;
}

static long sys_sleep_until(args a) {
  while (clock_ns() < a[0]) cpu_sleep(a[0]);
  return 0;
}

static long sys_block_submit(args a) {
  const struct env_block_req *reqs = (const struct env_block_req *)a[0];
  struct env_block_req piece[16]; /* each request is copied once, and several of them at a time */
  const uint64_t most = sizeof piece / sizeof *piece;
  uint64_t taken = 0;
  long error = 0;
  while (taken < a[1] && error == 0) {
    uint64_t n = a[1] - taken < most ? a[1] - taken : most;
    error = user_read(piece, reqs + taken, n * sizeof *piece) == 0 ? 0 : -EFAULT;
    for (uint64_t i = 0; i < n && error == 0; i++) {
      error = block_queue(&piece[i]);
      taken += error == 0;
    }
  }
  block_start();
  return taken ? (long)taken : error;
}

static long sys_block_wait(args a) {
  struct env_block_done done[ENV_MAX_DEPTH];
  uint64_t max = a[2] < ENV_MAX_DEPTH ? a[2] : ENV_MAX_DEPTH;
  if (a[1] > max) return -ENV_EINVAL;
  int n = block_wait(done, (unsigned)a[1], (unsigned)max);
  if (n > 0 && user_write((void *)a[0], done, (size_t)n * sizeof done[0]) != 0) return -EFAULT;
  return n;
}

static int bad_port(uint64_t port) { return port == 0 || port > 65535; }

static long sys_udp_open(args a) { return bad_port(a[0]) ? -ENV_EINVAL : udp_open((uint16_t)a[0]); }

static long sys_udp_close(args a) {
  if (bad_port(a[0])) return -ENV_EINVAL;
  udp_close((uint16_t)a[0]);
  return 0;
}

static long sys_udp_send(args a) {
  if (bad_port(a[0]) || bad_port(a[2]) || a[4] > NET_FRAME_MAX) return -ENV_EINVAL;
  return udp_send((uint16_t)a[0], (uint32_t)a[1], (uint16_t)a[2], (const void *)a[3], (unsigned)a[4]);
}

static long sys_udp_recv(args a) {
  if (bad_port(a[0])) return -ENV_EINVAL;
  unsigned max = a[2] < NET_FRAME_MAX ? (unsigned)a[2] : NET_FRAME_MAX;
  return udp_recv((uint16_t)a[0], (void *)a[1], max, a[3]);
}

static long (*const calls[SYS_COUNT])(args) = {
    [SYS_NULL] = sys_null,
    [SYS_POWEROFF] = sys_poweroff,
    [SYS_WRITE] = sys_write,
    [SYS_READ] = sys_read,
    [SYS_ALLOC] = sys_alloc,
    [SYS_FREE] = sys_free,
    [SYS_MAP] = sys_map,
    [SYS_UNMAP] = sys_unmap,
    [SYS_SPAWN] = sys_spawn,
    [SYS_EXIT_THREAD] = sys_exit_thread,
    [SYS_JOIN] = sys_join,
    [SYS_IPI] = sys_ipi,
    [SYS_IPI_WAIT] = sys_ipi_wait,
    [SYS_SLEEP_UNTIL] = sys_sleep_until,
    [SYS_BLOCK_SUBMIT] = sys_block_submit,
    [SYS_BLOCK_WAIT] = sys_block_wait,
    [SYS_UDP_OPEN] = sys_udp_open,
    [SYS_UDP_CLOSE] = sys_udp_close,
    [SYS_UDP_SEND] = sys_udp_send,
    [SYS_UDP_RECV] = sys_udp_recv,
};

void syscall(struct frame *f) {
  uint64_t number = f->x[FRAME_A7];
  f->x[FRAME_A0] = number < SYS_COUNT && calls[number] ? (uint64_t)calls[number](&f->x[FRAME_A0]) : (uint64_t)-ENOSYS;
}
