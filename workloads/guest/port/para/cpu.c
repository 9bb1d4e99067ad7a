/*
 * cpu.c: sleeping and waking (port.h says how), and the tasks of env_spawn().
 *
 * A waker leaves the token, then looks at sleeping; a sleeper says that it sleeps, then looks at the token. The event that a
 * waker sends stays pending in the hypervisor, so it does not matter whether it comes before or after SCHEDOP_block.
 *
 * A CPU's task goes NONE -> CLAIMED (by whoever spawns) -> READY -> NONE (by the CPU itself, when it has returned). hotplug.c says
 * how it goes from NONE to GONE.
 */
#include "kernel/port.h"
#include "kernel/print.h"
#include "port/para/para.h"

enum { RELAXES_A_YIELD = 64 };

struct cpu cpus[PARA_MAX_VCPUS];
_Thread_local unsigned this_cpu;

static uint32_t load(const uint32_t *p) { return __atomic_load_n(p, __ATOMIC_SEQ_CST); }
static void store(uint32_t *p, uint32_t v) { __atomic_store_n(p, v, __ATOMIC_SEQ_CST); }
static uint32_t take(uint32_t *p) { return __atomic_exchange_n(p, 0, __ATOMIC_SEQ_CST); }

unsigned cpu_id(void) { return this_cpu; }
unsigned cpu_count(void) { return __atomic_load_n(&cpu_present, __ATOMIC_SEQ_CST); }

uint64_t clock_ns(void) {
  uint64_t now;
  hypercall(HYPERVISOR_vcpu_op, VCPUOP_get_time, 0, guest_address(&now));
  return *(volatile uint64_t *)&now;
}

void cpu_init(unsigned cpu) {
  if (cpus[cpu].timer_port) return; /* it has been up before */
  int error = hypercall(HYPERVISOR_vcpu_op, VCPUOP_register_vcpu_info, cpu, guest_address(&cpus[cpu].info));
  int port = hypercall(HYPERVISOR_event_channel_op, EVTCHNOP_bind_virq, VIRQ_TIMER, cpu);
  if (error || port < 0) panic("CPU %u has no events (errno %d, %d)", cpu, -error, -port);
  cpus[cpu].timer_port = (uint32_t)port;
}

void cpu_wake(unsigned cpu) {
  struct cpu *c = &cpus[cpu];
  store(&c->token, 1);
  if (cpu != this_cpu && load(&c->sleeping)) event_send(c->ipi_port);
}

static void set_timer(uint64_t deadline_ns) {
  struct vcpu_set_singleshot_timer timer = {.timeout_abs_ns = deadline_ns};
  hypercall(HYPERVISOR_vcpu_op, VCPUOP_set_singleshot_timer, this_cpu, guest_address(&timer));
}

void cpu_sleep(uint64_t deadline_ns) {
  struct cpu *c = &cpus[this_cpu];
  if (take(&c->token)) return;
  if (deadline_ns != CPU_FOREVER) set_timer(deadline_ns);
  store(&c->sleeping, 1);
  if (!load(&c->token)) hypercall(HYPERVISOR_sched_op, SCHEDOP_block, 0, 0);
  store(&c->sleeping, 0);
  event_dispatch();
  take(&c->token);
}

/* Now and then the processor is given away: with more vCPUs than processors, the one waited for may not be running. */
void cpu_relax(void) {
  if (++cpus[this_cpu].relaxes % RELAXES_A_YIELD == 0) hypercall(HYPERVISOR_sched_op, SCHEDOP_yield, 0, 0);
}

/* ---- env.h: CPUs ---- */

void env_poll(void) {
  hypercall(HYPERVISOR_sched_op, SCHEDOP_poll, 0, 0);
  event_dispatch();
}

void env_sleep_until(uint64_t ns) {
  while (clock_ns() < ns) cpu_sleep(ns);
}

void cpu_idle_loop(void) {
  struct cpu *c = &cpus[this_cpu];
  for (;;) {
    while (load(&c->task) != TASK_READY) {
      cpu_leave_if_unwanted();
      if (load(&c->task) != TASK_READY) cpu_sleep(CPU_FOREVER);
    }
    c->fn(c->arg);
    store(&c->task, TASK_NONE);
    for (uint32_t joiners = take(&c->joiners); joiners; joiners &= joiners - 1) cpu_wake((unsigned)__builtin_ctz(joiners));
  }
}

int env_spawn(unsigned cpu, void (*fn)(void *), void *arg) {
  if (cpu >= cpu_total || cpu == this_cpu) return -ENV_EINVAL;
  if (cpu == 0) return -ENV_EAGAIN; /* it always has the program's main loop */
  struct cpu *c = &cpus[cpu];
  uint32_t none = TASK_NONE;
  if (!__atomic_compare_exchange_n(&c->task, &none, TASK_CLAIMED, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) return -ENV_EAGAIN;
  c->fn = fn;
  c->arg = arg;
  store(&c->task, TASK_READY);
  cpu_wake(cpu);
  return 0;
}

static int busy(const struct cpu *c) {
  uint32_t task = load(&c->task);
  return task == TASK_CLAIMED || task == TASK_READY;
}

/*
 * The bit is set anew before each sleep: a CPU that is held up between clearing its task and taking the joiners may take the bit
 * that was meant for the next task, which has been spawned in the meantime.
 */
void env_join(unsigned cpu) {
  if (cpu >= cpu_count() || cpu == this_cpu || cpu == 0) return;
  struct cpu *c = &cpus[cpu];
  while (busy(c)) {
    __atomic_fetch_or(&c->joiners, 1u << this_cpu, __ATOMIC_SEQ_CST);
    if (busy(c)) cpu_sleep(CPU_FOREVER);
  }
}

void env_ipi(unsigned cpu) {
  if (cpu >= cpu_count()) return;
  __atomic_add_fetch(&cpus[cpu].posts, 1, __ATOMIC_SEQ_CST);
  cpu_wake(cpu);
}

void env_ipi_wait(void) {
  struct cpu *c = &cpus[this_cpu];
  while (!load(&c->posts)) cpu_sleep(CPU_FOREVER);
  __atomic_sub_fetch(&c->posts, 1, __ATOMIC_SEQ_CST);
}
