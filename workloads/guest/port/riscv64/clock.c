/* clock.c: the time CSR as nanoseconds, and the timer. */
#include "drivers/clint.h"
#include "drivers/fdt.h"
#include "kernel/kernel.h"
#include "port/riscv64/clock.h"
#include "port/riscv64/hart.h"
#include "port/riscv64/riscv.h"

#define NS 1000000000ull

static uint64_t frequency, scale;

void clock_init(void) {
  frequency = fdt_u32(fdt_path("/cpus"), "timebase-frequency", 0);
  if (!frequency) panic("no timebase-frequency in the device tree");
  scale = (NS << 32) / frequency;
}

uint64_t clock_scale(void) { return scale; }

uint64_t clock_ns(void) { return clock_from_ticks(rdtime(), scale); }

static uint64_t to_ticks(uint64_t ns) { return ns / NS * frequency + (ns % NS * frequency + NS - 1) / NS; }

/* A timer that will ring sooner is left alone: the sleeper looks, and sleeps again. That saves a write for timeouts that never come. */
void clock_arm(struct hart *h, uint64_t deadline_ns) {
  if (deadline_ns == CPU_FOREVER) return;
  uint64_t ticks = to_ticks(deadline_ns);
  if (h->armed > rdtime() && h->armed <= ticks) return;
  h->armed = ticks;
  clint_set_timer(h->cpu, ticks);
}

void clock_delay_ns(uint64_t ns) {
  uint64_t end = clock_ns() + ns;
  while (clock_ns() < end) cpu_relax();
}
