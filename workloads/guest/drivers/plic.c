/* plic.c: see plic.h. Handlers are registered at boot alone, so the table is read without a lock. */
#include "drivers/plic.h"

#include "drivers/fdt.h"
#include "kernel/kernel.h"
#include "port/riscv64/riscv.h"

enum { ENABLE = 0x2000, ENABLE_STRIDE = 0x80, CONTEXT = 0x200000, CONTEXT_STRIDE = 0x1000, THRESHOLD = 0, CLAIM = 4 };
enum { SUPERVISOR_EXTERNAL = 9, HANDLERS = 32, TARGET_HART = 0 };

static struct { unsigned source; void (*handler)(void *); void *arg; } handlers[HANDLERS];
static unsigned handler_count, sources;
static volatile void *base;
static size_t enable, context; /* offsets of the target's registers */

/* "interrupts-extended" lists (the hart's interrupt controller, interrupt) for each context in order. */
static int find_context(fdt_node plic) {
  uint32_t bytes;
  const void *list = fdt_prop(plic, "interrupts-extended", &bytes);
  for (uint32_t i = 0; list && (i + 1) * 8 <= bytes; i++) {
    uint64_t hart, size;
    fdt_node controller = fdt_phandle(fdt_cell(list, i * 2));
    if (fdt_cell(list, i * 2 + 1) != SUPERVISOR_EXTERNAL || controller == FDT_NONE) continue;
    if (fdt_reg(fdt_parent(controller), 0, &hart, &size) == 0 && hart == TARGET_HART) return (int)i;
  }
  return -1;
}

void plic_init(void) {
  uint64_t at, bytes;
  fdt_node node = fdt_compatible(FDT_NONE, "sifive,plic-1.0.0");
  if (node == FDT_NONE) node = fdt_compatible(FDT_NONE, "riscv,plic0");
  int n = node == FDT_NONE ? -1 : find_context(node);
  if (n < 0 || fdt_reg(node, 0, &at, &bytes) != 0) panic("no PLIC with an S-mode context of hart 0 in the device tree");
  sources = fdt_u32(node, "riscv,ndev", 0);
  base = mmio_map(at, bytes);
  enable = ENABLE + (size_t)n * ENABLE_STRIDE;
  context = CONTEXT + (size_t)n * CONTEXT_STRIDE;
  mmio_write32(base, context + THRESHOLD, 0);
}

int irq_register(unsigned source, void (*handler)(void *), void *arg) {
  if (!source || source > sources || handler_count == HANDLERS) return -1;
  handlers[handler_count].source = source;
  handlers[handler_count].handler = handler;
  handlers[handler_count++].arg = arg;
  mmio_write32(base, source * 4, 1);
  size_t word = enable + source / 32 * 4;
  mmio_write32(base, word, mmio_read32(base, word) | 1u << (source % 32));
  return 0;
}

void plic_interrupt(void) {
  do {
    uint32_t source = mmio_read32(base, context + CLAIM);
    if (!source) return;
    for (unsigned i = 0; i < handler_count; i++)
      if (handlers[i].source == source) handlers[i].handler(handlers[i].arg);
    mmio_write32(base, context + CLAIM, source);
  } while (CSR_READ(sip) & SIE_SEIE); /* a CSR is cheaper to read than the claim register */
}
