/*
 * hotplug.c: what the toolstack asks of a running domain by the store, as Xen's does: cpu/N/availability, memory/target,
 * control/shutdown. CPU 0 is told by VIRQ_STORE and does it; a CPU that is to leave does so by itself, between two tasks.
 *
 *   CPU 0                                          CPU n
 *   wanted = 0, wake                               in its idle loop: no task and not wanted: task NONE -> GONE
 *   wanted = 1; task GONE? until it is down, up    GONE, then looks at wanted once more: wanted: GONE -> NONE, stays; else VCPUOP_down
 *
 * So either CPU 0 sees that n goes, or n sees that it is wanted. Work is never lost: a task that was given to n runs to its end
 * before (env_leaving() lets a sample end at the next unit), and nothing is given to a CPU whose task is GONE.
 */
#include "kernel/port.h"
#include "kernel/print.h"
#include "lib/format.h"
#include "lib/str.h"
#include "port/para/para.h"

enum { WATCH_CPU, WATCH_MEMORY, WATCH_SHUTDOWN };

static int shutdown_reason = -1;

static uint32_t load(const uint32_t *p) { return __atomic_load_n(p, __ATOMIC_SEQ_CST); }
static void store(uint32_t *p, uint32_t v) { __atomic_store_n(p, v, __ATOMIC_SEQ_CST); }

static int vcpu_op(uint32_t cmd, unsigned cpu) { return hypercall(HYPERVISOR_vcpu_op, cmd, cpu, 0); }

/* ---- CPUs ---- */

static int available(unsigned cpu) {
  char path[24], value[16];
  format(path, sizeof path, "cpu/%u/availability", cpu);
  return store_read(path, value, sizeof value) > 0 && strcmp(value, "online") == 0;
}

static void bring_up(unsigned cpu) {
  struct cpu *c = &cpus[cpu];
  store(&c->wanted, 1);
  while (load(&c->task) == TASK_GONE && vcpu_op(VCPUOP_is_up, cpu) == 1) hypercall(HYPERVISOR_sched_op, SCHEDOP_yield, 0, 0);
  if (vcpu_op(VCPUOP_is_up, cpu) == 1) return; /* it had not gone, or has seen that it is wanted again */
  int error = cpu_start(cpu);
  if (error) kprintf("CPU %u does not start (errno %d)\n", cpu, -error);
}

static void take_down(unsigned cpu) {
  store(&cpus[cpu].wanted, 0);
  cpu_wake(cpu);
}

static void look_at_cpus(void) {
  for (unsigned cpu = 1; cpu < cpu_max; cpu++) {
    int wanted = available(cpu);
    if (wanted == (int)load(&cpus[cpu].wanted)) continue;
    if (wanted) bring_up(cpu);
    else take_down(cpu);
  }
  cpu_count_online();
}

void cpu_leave_if_unwanted(void) {
  struct cpu *c = &cpus[this_cpu];
  uint32_t none = TASK_NONE;
  if (load(&c->wanted) || !__atomic_compare_exchange_n(&c->task, &none, TASK_GONE, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) return;
  if (load(&c->wanted)) {
    store(&c->task, TASK_NONE);
    return;
  }
  store(&c->online, 0);
  cpu_count_online();
  vcpu_op(VCPUOP_stop_singleshot_timer, this_cpu);
  vcpu_op(VCPUOP_down, this_cpu);
}

/* ---- memory ---- */

static void look_at_memory(void) {
  char value[16];
  uint64_t kib;
  if (store_read("memory/target", value, sizeof value) > 0 && str_u64(value, &kib) == 0) memory_set_target((size_t)(kib / 4));
}

/* ---- shutdown ---- */

static void look_at_shutdown(void) {
  char value[16];
  if (store_read("control/shutdown", value, sizeof value) <= 0) return;
  store_write("control/shutdown", "", 0);
  shutdown_reason = strcmp(value, "reboot") == 0 ? SHUTDOWN_reboot : SHUTDOWN_poweroff;
}

int shutdown_wanted(void) { return shutdown_reason >= 0; }

void shutdown_now(void) {
  for (;;) hypercall(HYPERVISOR_sched_op, SCHEDOP_shutdown, (uint32_t)shutdown_reason, 0);
}

int env_leaving(void) { return shutdown_wanted() || (this_cpu != 0 && !load(&cpus[this_cpu].wanted)); }

/* ---- events ---- */

static void store_event(void *arg) {
  (void)arg;
  for (int token; (token = hypercall(HYPERVISOR_store_op, STOREOP_watch_event, 0, 0)) >= 0;) {
    if (token == WATCH_CPU) look_at_cpus();
    else if (token == WATCH_MEMORY) look_at_memory();
    else look_at_shutdown();
  }
}

void hotplug_init(void) {
  int port = hypercall(HYPERVISOR_event_channel_op, EVTCHNOP_bind_virq, VIRQ_STORE, 0);
  if (port < 0) panic("no events of the store (errno %d)", -port);
  event_handler((uint32_t)port, store_event, NULL);
  store_watch("cpu", WATCH_CPU);
  store_watch("memory/target", WATCH_MEMORY);
  store_watch("control/shutdown", WATCH_SHUTDOWN);
}
