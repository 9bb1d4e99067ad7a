/* clint.c: see clint.h. */
#include "drivers/clint.h"

#include "drivers/fdt.h"
#include "kernel/kernel.h"
#include "port/riscv64/hart.h"

#define MTIMECMP 0x4000

static volatile void *base;

void clint_init(void) {
  uint64_t at, bytes;
  fdt_node node = fdt_compatible(FDT_NONE, "sifive,clint0");
  if (node == FDT_NONE) node = fdt_compatible(FDT_NONE, "riscv,clint0");
  if (node == FDT_NONE || fdt_reg(node, 0, &at, &bytes) != 0) panic("no CLINT in the device tree");
  base = mmio_map(at, bytes);
  for (unsigned i = 0; i < cpu_count(); i++) {
    machine_areas[i].msip = at + 4 * i;
    machine_areas[i].mtimecmp = at + MTIMECMP + 8 * i;
    clint_set_timer(i, UINT64_MAX);
  }
}

void clint_send(unsigned hart) { mmio_write32(base, 4 * hart, 1); }

void clint_set_timer(unsigned hart, uint64_t ticks) { *(volatile uint64_t *)((uintptr_t)base + MTIMECMP + 8 * hart) = ticks; }
