/*
 * kernel_test.c: a program in the place of init that asks the riscv64 kernel for what it should refuse, and does what should end
 * it. Never in an image. The boot arguments name the case; `FAIL` on the console, or a wrong exit status, is a failure.
 */
#include "env.h"
#include "init/control.h"
#include "lib/format.h"
#include "lib/str.h"
#include "port/riscv64/abi.h"

#define EFAULT 14
#define ENOSYS 38
#define KERNEL_ADDRESS 0x80000000ull

static void say(const char *text, ...) {
  char line[160];
  va_list args;
  va_start(args, text);
  size_t n = vformat(line, sizeof line, text, args);
  va_end(args);
  env_write(line, n);
}

static long raw(long number, uint64_t a, uint64_t b, uint64_t c) {
  register uint64_t a0 __asm__("a0") = a, a1 __asm__("a1") = b, a2 __asm__("a2") = c;
  register long a7 __asm__("a7") = number;
  __asm__ volatile("ecall" : "+r"(a0) : "r"(a1), "r"(a2), "r"(a7) : "memory");
  return (long)a0;
}

static void expect(const char *what, long got, long want) {
  if (got != want) say("FAIL %s: %ld, not %ld\n", what, got, want);
}

/* ---- system calls and their arguments ---- */

static void calls(void) {
  static const char rodata[] = "x";
  expect("no such call", raw(999, 0, 0, 0), -ENOSYS);
  expect("call 0", raw(0, 0, 0, 0), -ENOSYS);
  expect("call -1", raw(-1, 0, 0, 0), -ENOSYS);
  expect("null", env_null_call(41), 42);
  expect("write from the kernel", raw(SYS_WRITE, KERNEL_ADDRESS, 4, 0), -EFAULT);
  expect("write from nowhere", raw(SYS_WRITE, 8, 4, 0), -EFAULT);
  expect("write of too much", raw(SYS_WRITE, (uint64_t)rodata, UINT64_MAX, 0), -ENV_EINVAL);
  expect("submit from the kernel", raw(SYS_BLOCK_SUBMIT, KERNEL_ADDRESS, 1, 0), -EFAULT);
  expect("spawn on no CPU", raw(SYS_SPAWN, 77, 0, 0), -ENV_EINVAL);
  expect("spawn on a busy CPU", raw(SYS_SPAWN, 0, 0, 0), -ENV_EAGAIN);
  expect("join of no CPU", raw(SYS_JOIN, 77, 0, 0), -ENV_EINVAL);
  expect("join of oneself", raw(SYS_JOIN, 0, 0, 0), -ENV_EINVAL);
  expect("ipi to no CPU", raw(SYS_IPI, 1ull << 32, 0, 0), -ENV_EINVAL);
  expect("free of kernel memory", raw(SYS_FREE, KERNEL_ADDRESS, 4096, 0), -ENV_EINVAL);
  expect("free of the program", raw(SYS_FREE, (uint64_t)rodata & ~4095ull, 4096, 0), -ENV_EINVAL);
  expect("unmap of nothing", raw(SYS_UNMAP, 192ull << 30, 4096, 0), -ENV_EINVAL);
  expect("alloc of nothing", raw(SYS_ALLOC, 0, 0, 0), 0);
  expect("alloc of everything", raw(SYS_ALLOC, UINT64_MAX, 0, 0), 0);
  expect("alloc of more than there is", raw(SYS_ALLOC, 1ull << 35, 0, 0), 0);
  expect("map of more than there are addresses", raw(SYS_MAP, 1ull << 40, 0, 0), 0);
  expect("udp port 0", env_udp_open(0), -ENV_EINVAL);
  expect("udp port 65537", raw(SYS_UDP_OPEN, 65537, 0, 0), -ENV_EINVAL);
  expect("udp without a card", env_udp_open(7), -ENV_ENOENT);
}

/* ---- memory: far more than the machine has, so what leaks runs out ---- */

static void fill_twice(const char *what, volatile char *p, size_t bytes) {
  for (size_t i = 0; i < bytes; i += 4096) {
    if (p[i] || p[i + 4095]) say("FAIL %s: byte %lu is not zero\n", what, (unsigned long)i);
    p[i] = p[i + 4095] = 1;
  }
}

static void memory(unsigned rounds) {
  for (unsigned i = 0; i < rounds; i++) {
    size_t bytes = (size_t)(1 + i % 12) * 1000000; /* small pages, large ones, both */
    void *p = env_alloc(bytes), *q = env_alloc(8192);
    if (!p || !q) return say("FAIL alloc %u\n", i);
    fill_twice("alloc", p, bytes / 4096 * 4096);
    fill_twice("alloc", q, 8192);
    env_free(p, bytes);
    env_free(q, 8192);
  }
  for (unsigned i = 0; i < rounds; i++) {
    size_t bytes = (size_t)(1 + i % 8) << 18;
    void *p = env_map(bytes);
    if (!p) return say("FAIL map %u\n", i);
    fill_twice("map", p, bytes);
    env_unmap(p, bytes);
  }
}

static void map_worker(void *arg) {
  (void)arg;
  memory(160 / env_cpus());
}

/* All CPUs at once: page lists, tables and shootdowns under contention. */
static void crowd(void) {
  for (unsigned i = 1; i < env_cpus(); i++) expect("spawn", env_spawn(i, map_worker, NULL), 0);
  map_worker(NULL);
  for (unsigned i = 1; i < env_cpus(); i++) env_join(i);
}

/* ---- another CPU's translation must not outlive the mapping ---- */

static uint32_t reading;

static void reader(void *arg) {
  for (;;) {
    (void)*(volatile char *)arg;
    __atomic_store_n(&reading, 1, __ATOMIC_RELEASE);
  }
}

static void stale(void) {
  char *p = env_map(4096);
  *p = 1;
  env_spawn(1, reader, p);
  while (!__atomic_load_n(&reading, __ATOMIC_ACQUIRE)) env_relax();
  env_unmap(p, 4096);
  env_sleep_until(env_now_ns() + 300000000);
  say("FAIL CPU 1 still reads what is not mapped\n");
}

/* ---- what ends the program ---- */

static int deep(int n) {
  volatile char space[4096];
  space[0] = (char)n;
  return n < 1000000 ? deep(n + 1) + space[0] : 0;
}

static void fault_worker(void *arg) {
  (void)arg;
  *(volatile int *)16 = 1;
}

static void fault(const char *how) {
  static const int constant = 1;
  if (strcmp(how, "null") == 0) (void)*(volatile int *)8;
  if (strcmp(how, "kernel") == 0) *(volatile int *)KERNEL_ADDRESS = 1;
  if (strcmp(how, "constant") == 0) *(volatile int *)&constant = 2;
  if (strcmp(how, "illegal") == 0) __asm__ volatile("csrr a0, sstatus");
  if (strcmp(how, "stack") == 0) deep(0);
  if (strcmp(how, "thread") == 0) {
    env_spawn(1, fault_worker, NULL);
    env_join(1);
  }
  if (strcmp(how, "execute") == 0) ((void (*)(void))env_alloc(4096))();
  say("FAIL %s went through\n", how);
}

_Noreturn void init_main(void) {
  const char *arguments = env_bootargs();
  if (strcmp(arguments, "calls") == 0) calls();
  else if (strcmp(arguments, "memory") == 0) memory(300);
  else if (strcmp(arguments, "crowd") == 0) crowd();
  else if (strcmp(arguments, "stale") == 0) stale();
  else if (strcmp(arguments, "status") == 0) env_poweroff(7);
  else fault(arguments);
  say("done\n");
  env_poweroff(0);
}
