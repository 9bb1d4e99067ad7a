/* env.c: env.h for a U-mode program of our kernel: one ecall each, or none where the processor itself has the answer. */
#include "include/env.h"

#include "init/control.h"
#include "port/riscv64/abi.h"
#include "port/riscv64/clock.h"
#include "port/riscv64/riscv.h"

static const struct user_info *info;

static inline long call(long number, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e) {
  register uint64_t a0 __asm__("a0") = a, a1 __asm__("a1") = b, a2 __asm__("a2") = c, a3 __asm__("a3") = d, a4 __asm__("a4") = e;
  register long a7 __asm__("a7") = number;
  __asm__ volatile("ecall" : "+r"(a0) : "r"(a1), "r"(a2), "r"(a3), "r"(a4), "r"(a7) : "memory");
  return (long)a0;
}

#define P(pointer) ((uint64_t)(uintptr_t)(pointer))

_Noreturn void env_start(const struct user_info *from_kernel) {
  info = from_kernel;
  init_main();
}

unsigned env_cpu(void) {
  uint64_t tp;
  __asm__("mv %0, tp" : "=r"(tp));
  return (unsigned)tp;
}

unsigned env_cpus(void) { return info->cpus; }

uint64_t env_now_ns(void) { return clock_from_ticks(rdtime(), info->clock_scale); }

_Noreturn void env_poweroff(int status) {
  for (;;) call(SYS_POWEROFF, (uint64_t)(long)status, 0, 0, 0, 0);
}

const char *env_bootargs(void) { return info->bootargs; }
const char *env_port(void) { return "riscv64"; }

void env_write(const char *bytes, size_t n) { call(SYS_WRITE, P(bytes), n, 0, 0, 0); }

int env_read(char *byte) {
  long c = call(SYS_READ, 0, 0, 0, 0, 0);
  *byte = (char)c;
  return c < 0 ? (int)c : 0;
}

void env_doorbell(int which) {
  char c = (char)which;
  env_write(&c, 1);
}

void *env_alloc(size_t bytes) { return (void *)call(SYS_ALLOC, bytes, 0, 0, 0, 0); }
void env_free(void *p, size_t bytes) { call(SYS_FREE, P(p), bytes, 0, 0, 0); }
void *env_map(size_t bytes) { return (void *)call(SYS_MAP, bytes, 0, 0, 0, 0); }
void env_unmap(void *p, size_t bytes) { call(SYS_UNMAP, P(p), bytes, 0, 0, 0); }
int env_has_mmu(void) { return 1; }

void thread_start(void);
_Noreturn void thread_exit(void) {
  for (;;) call(SYS_EXIT_THREAD, 0, 0, 0, 0, 0);
}

int env_spawn(unsigned cpu, void (*fn)(void *), void *arg) { return (int)call(SYS_SPAWN, cpu, P(thread_start), P(fn), P(arg), 0); }
void env_join(unsigned cpu) { call(SYS_JOIN, cpu, 0, 0, 0, 0); }
void env_ipi(unsigned cpu) { call(SYS_IPI, cpu, 0, 0, 0, 0); }
void env_ipi_wait(void) { call(SYS_IPI_WAIT, 0, 0, 0, 0, 0); }
void env_sleep_until(uint64_t ns) { call(SYS_SLEEP_UNTIL, ns, 0, 0, 0, 0); }
void env_relax(void) { cpu_pause(); }
void env_poll(void) {} /* interrupts come by themselves */
long env_null_call(long a) { return call(SYS_NULL, (uint64_t)a, 0, 0, 0, 0); }

uint64_t env_block_bytes(void) { return info->block_bytes; }
int env_block_submit(const struct env_block_req *reqs, unsigned n) { return (int)call(SYS_BLOCK_SUBMIT, P(reqs), n, 0, 0, 0); }
int env_block_wait(struct env_block_done *done, unsigned min, unsigned max) { return (int)call(SYS_BLOCK_WAIT, P(done), min, max, 0, 0); }

int env_udp_open(uint16_t port) { return (int)call(SYS_UDP_OPEN, port, 0, 0, 0, 0); }
void env_udp_close(uint16_t port) { call(SYS_UDP_CLOSE, port, 0, 0, 0, 0); }
int env_udp_send(uint16_t port, uint32_t ip, uint16_t to_port, const void *data, unsigned bytes) {
  return (int)call(SYS_UDP_SEND, port, ip, to_port, P(data), bytes);
}
int env_udp_recv(uint16_t port, void *data, unsigned max, uint64_t timeout_ns) { return (int)call(SYS_UDP_RECV, port, P(data), max, timeout_ns, 0); }
int env_has_net(void) { return (int)info->has_net; }
