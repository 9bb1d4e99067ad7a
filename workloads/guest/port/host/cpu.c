/*
 * cpu.c: CPUs are threads. An idle one sleeps on the futex `busy`; env_spawn() sets it, the end of the task clears it.
 * A waker makes a system call only when the sleeper has said that it sleeps (both sides sequentially consistent).
 */
#include "host.h"
#include "init/control.h"

enum { FUTEX_WAIT_PRIVATE = 128, FUTEX_WAKE_PRIVATE = 129, STACK_BYTES = 256 * 1024, GUARD_BYTES = 16384 };
/* CLONE_VM | FS | FILES | SIGHAND | THREAD | SYSVSEM | SETTLS */
enum { THREAD_FLAGS = 0x100 | 0x200 | 0x400 | 0x800 | 0x10000 | 0x40000 | 0x80000 };

struct cpu cpus[ENV_MAX_CPUS];

static unsigned load(const unsigned *p) { return __atomic_load_n(p, __ATOMIC_SEQ_CST); }
static void store(unsigned *p, unsigned v) { __atomic_store_n(p, v, __ATOMIC_SEQ_CST); }

void futex_sleep(const unsigned *word, unsigned value) {
  if (host.poll_ns) {
    uint64_t end = env_now_ns() + host.poll_ns;
    do {
      if (load(word) != value) return;
      cpu_pause();
    } while (env_now_ns() < end);
  }
  SYSCALL(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, 0, 0, 0);
}

void futex_wake(const unsigned *word, int how_many) { SYSCALL(SYS_futex, word, FUTEX_WAKE_PRIVATE, how_many, 0, 0, 0); }

/* ---- threads ---- */

void thread_start(struct cpu *self, void (*entry)(struct cpu *)) {
  char *stack = map_pages(STACK_BYTES);
  self->self = self;
  if (!stack) host_die(1, "no memory for the stack of a thread");
  SYSCALL(SYS_mprotect, stack, GUARD_BYTES, 0 /* PROT_NONE */, 0, 0, 0);
  long status = thread_clone(THREAD_FLAGS, stack + STACK_BYTES, self, entry);
  if (status < 0) host_die(1, "cannot start a thread (errno %ld); is the limit of processes reached (ulimit -u)?", -status);
}

static void change_busy(struct cpu *c, unsigned busy) {
  store(&c->busy, busy);
  if (load(&c->sleeping)) futex_wake(&c->busy, 1 << 30);
}

/* Until c->busy is no longer `value`. */
static void wait_while_busy_is(struct cpu *c, unsigned value) {
  while (load(&c->busy) == value) {
    __atomic_add_fetch(&c->sleeping, 1, __ATOMIC_SEQ_CST);
    futex_sleep(&c->busy, value);
    __atomic_sub_fetch(&c->sleeping, 1, __ATOMIC_SEQ_CST);
  }
}

static void cpu_loop(struct cpu *self) {
  cpu_set_self(self);
  for (;;) {
    wait_while_busy_is(self, 0);
    self->task(self->task_arg);
    change_busy(self, 0);
  }
}

void cpus_start(void) {
  for (unsigned i = 0; i < host.vcpus; i++) {
    cpus[i].self = &cpus[i];
    cpus[i].id = i;
    if (i > 0) thread_start(&cpus[i], cpu_loop);
  }
}

/* ---- env.h ---- */

unsigned env_cpu(void) { return cpu_self()->id; }
unsigned env_cpus(void) { return host.vcpus; }

int env_spawn(unsigned cpu, void (*fn)(void *), void *arg) {
  if (cpu >= host.vcpus || cpu == env_cpu()) return -ENV_EINVAL;
  struct cpu *c = &cpus[cpu];
  if (cpu == 0 || load(&c->busy)) return -ENV_EAGAIN; /* CPU 0 always has the program's main loop */
  c->task = fn;
  c->task_arg = arg;
  change_busy(c, 1);
  return 0;
}

void env_join(unsigned cpu) {
  if (cpu < host.vcpus && cpu != 0) wait_while_busy_is(&cpus[cpu], 1);
}

void env_ipi(unsigned cpu) {
  if (cpu >= host.vcpus) return;
  struct cpu *c = &cpus[cpu];
  __atomic_add_fetch(&c->ipis, 1, __ATOMIC_SEQ_CST);
  if (load(&c->ipi_sleeping)) futex_wake(&c->ipis, 1);
}

void env_ipi_wait(void) {
  struct cpu *self = cpu_self();
  while (load(&self->ipis) == 0) {
    store(&self->ipi_sleeping, 1);
    futex_sleep(&self->ipis, 0);
    store(&self->ipi_sleeping, 0);
  }
  __atomic_sub_fetch(&self->ipis, 1, __ATOMIC_SEQ_CST);
}

/* Yields now and then: with more CPUs than processors, the one waited for may not be running. */
void env_relax(void) {
  struct cpu *self = cpu_self();
  if ((++self->relaxes & 63) == 0) SYSCALL(SYS_sched_yield, 0, 0, 0, 0, 0, 0);
  else cpu_pause();
}

void env_poll(void) {}

/* getppid: the system call that does least. */
long env_null_call(long a) {
  SYSCALL(SYS_getppid, 0, 0, 0, 0, 0, 0);
  return a + 1;
}
