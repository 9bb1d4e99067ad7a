/* console.c: the hypervisor's console. The bytes of one call stay together, up to PARA_CONSOLE_WRITE_MAX of them. */
#include "kernel/block.h"
#include "kernel/port.h"
#include "port/para/para.h"

enum { INPUT = 256 };

void console_write(const char *bytes, size_t n) {
  while (n) {
    size_t part = n < PARA_CONSOLE_WRITE_MAX ? n : PARA_CONSOLE_WRITE_MAX;
    int taken = hypercall(HYPERVISOR_console_io, CONSOLEIO_write, part, guest_address(bytes));
    if (taken == -PARA_EAGAIN) {
      hypercall(HYPERVISOR_sched_op, SCHEDOP_yield, 0, 0);
      continue;
    }
    if (taken <= 0) return;
    bytes += taken;
    n -= (size_t)taken;
  }
}

void env_write(const char *bytes, size_t n) { console_write(bytes, n); }

void env_doorbell(int which) { hypercall(HYPERVISOR_console_io, CONSOLEIO_doorbell, (uint32_t)which, 0); }

/* In order: the program has nothing under way, and what it wrote is on the disk when the machine is off. */
static void shutdown(void) {
  struct env_block_req flush = {.op = ENV_BLOCK_FLUSH};
  struct env_block_done done;
  if (block_bytes() && block_queue(&flush) == 0) {
    block_start();
    block_wait(&done, 1, 1);
  }
  shutdown_now();
}

/* CPU 0 alone reads. The event ends its sleep; there is nothing to handle. */
int env_read(char *byte) {
  static char input[INPUT];
  static int have, at;
  static int bound;
  if (!bound) bound = hypercall(HYPERVISOR_event_channel_op, EVTCHNOP_bind_virq, VIRQ_CONSOLE, 0);
  while (at == have) {
    at = 0;
    have = hypercall(HYPERVISOR_console_io, CONSOLEIO_read, INPUT, guest_address(input));
    if (have < 0) {
      have = 0;
      return -ENV_EIO;
    }
    if (have == 0 && shutdown_wanted()) shutdown();
    if (have == 0) cpu_sleep(CPU_FOREVER);
  }
  *byte = input[at++];
  return 0;
}
