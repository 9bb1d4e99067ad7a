/*
 * start.c: how vCPUs come into being and how the machine ends. vCPU 0 enters at para_start() on the linker's stack, finds out what
 * the domain is, and brings the others up; each connects its own queues; when all are there the program starts.
 */
#include "init/control.h"
#include "kernel/lock.h"
#include "kernel/port.h"
#include "kernel/print.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "port/para/para.h"

enum { STACK_BYTES = 256 * 1024 };

char bootargs[PARA_STORE_VALUE_MAX + 1];
unsigned cpu_total = 1, cpu_present = 1, cpu_max = 1;

void machine_poweroff(int status) {
  for (;;) hypercall(HYPERVISOR_sched_op, SCHEDOP_shutdown, status ? SHUTDOWN_crash : SHUTDOWN_poweroff, 0);
}

static void connect_queues(unsigned cpu) {
  blkfront_connect(cpu);
  netfront_connect(cpu);
}

/* Entered by vCPUs 1 and up, on the stack and the thread-local storage that start_cpu() gave them. */
__attribute__((export_name("para_vcpu_start"))) void para_vcpu_start(uint32_t cpu);
void para_vcpu_start(uint32_t cpu) {
  this_cpu = cpu;
  cpu_init(cpu);
  if (!cpus[cpu].started) connect_queues(cpu);
  cpus[cpu].started = 1;
  __atomic_store_n(&cpus[cpu].online, 1, __ATOMIC_SEQ_CST);
  __atomic_store_n(&cpus[cpu].task, TASK_NONE, __ATOMIC_SEQ_CST);
  cpu_count_online();
  cpu_wake(0);
  cpu_idle_loop();
}

/* From any CPU, whenever one has come or is to go: those that take tasks are 0 .. cpu_total - 1. */
void cpu_count_online(void) {
  static struct lock counting;
  lock_acquire(&counting);
  unsigned n = 1;
  while (n < cpu_max && __atomic_load_n(&cpus[n].online, __ATOMIC_SEQ_CST) && __atomic_load_n(&cpus[n].wanted, __ATOMIC_SEQ_CST)) n++;
  __atomic_store_n(&cpu_total, n, __ATOMIC_SEQ_CST);
  if (n > cpu_present) __atomic_store_n(&cpu_present, n, __ATOMIC_SEQ_CST);
  lock_release(&counting);
}

static int bind_ipi(unsigned cpu) {
  int port = hypercall(HYPERVISOR_event_channel_op, EVTCHNOP_bind_ipi, cpu, 0);
  if (port > 0) cpus[cpu].ipi_port = (uint32_t)port;
  return port < 0 ? port : 0;
}

/* What a CPU needs once: its stack with its thread-local storage above, and the port by which it is woken. */
static int provide(unsigned cpu) {
  struct cpu *c = &cpus[cpu];
  size_t tls_bytes = (__builtin_wasm_tls_size() + 15) & ~(size_t)15;
  if (!c->stack) c->stack = frames_alloc(STACK_BYTES + tls_bytes);
  if (!c->stack) return -ENV_ENOMEM;
  return c->ipi_port ? 0 : bind_ipi(cpu);
}

int cpu_start(unsigned cpu) {
  int error = provide(cpu);
  if (error) return error;
  uint32_t top = guest_address(cpus[cpu].stack + STACK_BYTES);
  struct vcpu_guest_context context = {.stack_pointer = top, .tls = top, .arg = cpu};
  error = hypercall(HYPERVISOR_vcpu_op, VCPUOP_initialise, cpu, guest_address(&context));
  return error ? error : hypercall(HYPERVISOR_vcpu_op, VCPUOP_up, cpu, 0);
}

static unsigned cpu_number(const char *path) {
  char text[8];
  uint64_t n;
  return store_read(path, text, sizeof text) > 0 && str_u64(text, &n) == 0 && n >= 1 && n <= PARA_MAX_VCPUS ? (unsigned)n : 1;
}

__attribute__((export_name("para_start"))) void para_start(void);
void para_start(void) {
  int version = hypercall(HYPERVISOR_xen_version, XENVER_version, 0, 0);
  if (version >> 16 != PARA_ABI_VERSION >> 16 || version < PARA_ABI_VERSION) panic("the hypervisor has version %x of the ABI, not %x", version, PARA_ABI_VERSION);
  unsigned wanted = cpu_number("cpus");
  cpu_max = cpu_number("max-cpus");
  memory_init();
  grant_init();
  if (bind_ipi(0)) panic("no event channel for CPU 0");
  cpu_init(0);
  if (store_read("bootargs", bootargs, sizeof bootargs) < 0) bootargs[0] = 0;
  blkfront_init();
  netfront_init();
  connect_queues(0);
  for (unsigned cpu = 1; cpu < wanted; cpu++) {
    cpus[cpu].wanted = 1;
    int error = cpu_start(cpu);
    if (error) panic("CPU %u does not start (errno %d)", cpu, -error);
  }
  while (__atomic_load_n(&cpu_total, __ATOMIC_SEQ_CST) < wanted) cpu_sleep(CPU_FOREVER);
  hotplug_init();
  init_main();
}
