/* finisher.c: see finisher.h. */
#include "drivers/finisher.h"

#include "drivers/fdt.h"
#include "kernel/kernel.h"

enum { PASS = 0x5555, FAIL = 0x3333 };

static volatile void *base;

void finisher_init(void) {
  uint64_t at, bytes;
  fdt_node node = fdt_compatible(FDT_NONE, "sifive,test0");
  if (node != FDT_NONE && fdt_reg(node, 0, &at, &bytes) == 0) base = mmio_map(at, bytes);
}

void finisher_write(int status) {
  if (base) mmio_write32(base, 0, status ? FAIL | (uint32_t)status << 16 : PASS);
}
