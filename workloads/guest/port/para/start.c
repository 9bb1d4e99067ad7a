/*
 * start.c: how vCPUs come into being and how the machine ends. vCPU 0 enters at para_start() on the linker's stack, finds out what
 * the domain is, and brings the others up; each connects its own queues; when all are there the program starts.
 */
#include "init/control.h"
#include "kernel/port.h"
#include "kernel/print.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "port/para/para.h"

enum { STACK_BYTES = 256 * 1024 };

char bootargs[PARA_STORE_VALUE_MAX + 1];
unsigned cpu_total = 1;
static uint32_t online = 1;

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
  connect_queues(cpu);
  __atomic_add_fetch(&online, 1, __ATOMIC_SEQ_CST);
  cpu_wake(0);
  cpu_idle_loop();
}

static void start_cpu(unsigned cpu) {
  size_t tls_bytes = (__builtin_wasm_tls_size() + 15) & ~(size_t)15;
  char *stack = frames_alloc(STACK_BYTES + tls_bytes);
  if (!stack) panic("no memory for CPU %u", cpu);
  struct vcpu_guest_context context = {.stack_pointer = guest_address(stack + STACK_BYTES), .tls = guest_address(stack + STACK_BYTES), .arg = cpu};
  int error = hypercall(HYPERVISOR_vcpu_op, VCPUOP_initialise, cpu, guest_address(&context));
  if (!error) error = hypercall(HYPERVISOR_vcpu_op, VCPUOP_up, cpu, 0);
  if (error) panic("CPU %u does not start (errno %d)", cpu, -error);
}

static void count_cpus(void) {
  char text[8];
  uint64_t n = 1;
  if (store_read("cpus", text, sizeof text) > 0 && str_u64(text, &n) == 0 && n >= 1 && n <= PARA_MAX_VCPUS) cpu_total = (unsigned)n;
}

/* Before any of them runs: each may be woken from the first moment on. */
static void bind_ipis(void) {
  for (unsigned cpu = 0; cpu < cpu_total; cpu++) {
    int port = hypercall(HYPERVISOR_event_channel_op, EVTCHNOP_bind_ipi, cpu, 0);
    if (port < 0) panic("no event channel for CPU %u (errno %d)", cpu, -port);
    cpus[cpu].ipi_port = (uint32_t)port;
  }
}

__attribute__((export_name("para_start"))) void para_start(void);
void para_start(void) {
  int version = hypercall(HYPERVISOR_xen_version, XENVER_version, 0, 0);
  if (version >> 16 != PARA_ABI_VERSION >> 16 || version < PARA_ABI_VERSION) panic("the hypervisor has version %x of the ABI, not %x", version, PARA_ABI_VERSION);
  count_cpus();
  memory_init();
  grant_init();
  bind_ipis();
  cpu_init(0);
  if (store_read("bootargs", bootargs, sizeof bootargs) < 0) bootargs[0] = 0;
  blkfront_init();
  netfront_init();
  connect_queues(0);
  for (unsigned cpu = 1; cpu < cpu_total; cpu++) start_cpu(cpu);
  while (__atomic_load_n(&online, __ATOMIC_SEQ_CST) < cpu_total) cpu_sleep(CPU_FOREVER);
  init_main();
}
