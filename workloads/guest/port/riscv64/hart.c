/* hart.c: the CPUs: who they are, how they sleep and wake each other. See hart.h and kernel/port.h for the invariants. */
#include "port/riscv64/hart.h"

#include <stddef.h>

#include "drivers/clint.h"
#include "drivers/fdt.h"
#include "drivers/plic.h"
#include "kernel/kernel.h"
#include "lib/str.h"
#include "port/riscv64/clock.h"
#include "port/riscv64/riscv.h"
#include "port/riscv64/tlb.h"

struct hart harts[MAX_HARTS];
struct machine_area machine_areas[MAX_HARTS];
static unsigned count;

_Static_assert(sizeof(struct hart) == 1 << HART_SHIFT, "HART_SHIFT");
_Static_assert(offsetof(struct hart, kernel_sp) == HART_KERNEL_SP, "HART_KERNEL_SP");
_Static_assert(offsetof(struct hart, user_sp) == HART_USER_SP, "HART_USER_SP");
_Static_assert(offsetof(struct hart, recover) == HART_RECOVER, "HART_RECOVER");
_Static_assert(offsetof(struct hart, cpu) == HART_CPU, "HART_CPU");
_Static_assert(sizeof(struct machine_area) == 1 << AREA_SHIFT, "AREA_SHIFT");
_Static_assert(offsetof(struct machine_area, t2) == AREA_T2, "AREA_T2");
_Static_assert(offsetof(struct machine_area, msip) == AREA_MSIP, "AREA_MSIP");
_Static_assert(offsetof(struct machine_area, mtimecmp) == AREA_MTIMECMP, "AREA_MTIMECMP");
_Static_assert(offsetof(struct machine_area, hart) == AREA_HART, "AREA_HART");
_Static_assert(sizeof(struct frame) == FRAME_BYTES, "FRAME_BYTES");

unsigned cpu_id(void) { return this_hart()->cpu; }
unsigned cpu_count(void) { return count; }
void cpu_relax(void) { cpu_pause(); }

static int is_cpu(fdt_node node) {
  const char *type = fdt_prop(node, "device_type", NULL), *status = fdt_prop(node, "status", NULL);
  return type && strcmp(type, "cpu") == 0 && (!status || strcmp(status, "okay") == 0);
}

void harts_find(void) {
  fdt_node cpus = fdt_path("/cpus"), node = FDT_NONE;
  uint32_t seen = 0;
  if (cpus == FDT_NONE) panic("no /cpus in the device tree");
  while ((node = fdt_child(cpus, node)) != FDT_NONE) {
    uint64_t id, size;
    if (!is_cpu(node) || fdt_reg(node, 0, &id, &size) != 0) continue;
    if (id < MAX_HARTS) seen |= 1u << id;
  }
  while (count < MAX_HARTS && seen >> count & 1) count++;
  if (!count || (count < MAX_HARTS && seen >> count)) panic("hart ids are not 0, 1, 2, ...: mask %x", seen);
}

void harts_release(void) {
  __atomic_store_n(&harts_released, 1, __ATOMIC_SEQ_CST);
  for (unsigned i = 1; i < count; i++) clint_send(i);
}

/*
 * No wake-up is lost: the sleeper sets sleeping, then looks at its token; the waker leaves the token, then looks at sleeping (all
 * sequentially consistent). If the waker saw no sleeper, the sleeper sees the token. If it did, the CLINT's interrupt is on its
 * way, becomes SSIP, and WFI does not wait while an enabled interrupt is pending, even with SIE = 0.
 */
void cpu_sleep(uint64_t deadline_ns) {
  struct hart *h = this_hart();
  clock_arm(h, deadline_ns);
  __atomic_store_n(&h->sleeping, 1, __ATOMIC_SEQ_CST);
  if (!__atomic_load_n(&h->token, __ATOMIC_SEQ_CST)) wfi();
  __atomic_store_n(&h->sleeping, 0, __ATOMIC_RELAXED);
  CSR_SET(sstatus, SSTATUS_SIE); /* the window: what is pending is taken here */
  CSR_CLEAR(sstatus, SSTATUS_SIE);
  __atomic_exchange_n(&h->token, 0, __ATOMIC_SEQ_CST);
}

void cpu_wake(unsigned cpu) {
  struct hart *h = &harts[cpu];
  if (__atomic_exchange_n(&h->token, 1, __ATOMIC_SEQ_CST)) return; /* who left it has sent the interrupt, if it takes one */
  if (__atomic_load_n(&h->sleeping, __ATOMIC_SEQ_CST)) clint_send(cpu);
}

void hart_interrupt(uint64_t cause) {
  if (cause == (CAUSE_INTERRUPT | INTERRUPT_EXTERNAL)) {
    plic_interrupt();
  } else if (cause == (CAUSE_INTERRUPT | INTERRUPT_SOFTWARE)) {
    /* A wake-up or a timer needs nothing more than this trap; cleared first, so that one that follows raises it again. */
    CSR_CLEAR(sip, SIE_SSIE);
    tlb_catch_up();
  } else {
    panic("unexpected interrupt, scause %llx", (unsigned long long)cause);
  }
}

void hart_idle(void) {
  for (;;) {
    task_run(this_hart());
    cpu_sleep(CPU_FOREVER);
  }
}
