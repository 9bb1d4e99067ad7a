/* main.c: the boot order, and the end. */
#include "drivers/clint.h"
#include "drivers/fdt.h"
#include "drivers/finisher.h"
#include "drivers/ns16550.h"
#include "drivers/plic.h"
#include "kernel/block.h"
#include "kernel/kernel.h"
#include "kernel/net/net.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "port/riscv64/abi.h"
#include "port/riscv64/clock.h"
#include "port/riscv64/hart.h"
#include "port/riscv64/riscv.h"
#include "port/riscv64/vm.h"

extern const uint8_t program[], program_end[]; /* program.S */
void trap_entry(void);

/* Hart 0 in M-mode: what M needs to know (the CLINT), and what a panic needs (console, finisher). */
void machine_main(const void *tree) {
  if (fdt_open(tree) != 0) panic("no device tree in a1");
  uart_init();
  finisher_init();
  harts_find();
  clint_init();
}

static void supervisor_init(void) {
  CSR_WRITE(stvec, (uint64_t)trap_entry);
  CSR_WRITE(sscratch, 0);
  vm_enable();
  CSR_WRITE(sie, SIE_SSIE | SIE_SEIE);
}

_Static_assert(sizeof(struct user_info) <= PAGE, "a page of facts");

/* The page of facts for the program; its address there. */
static uint64_t make_info(void) {
  uint32_t bytes;
  const char *bootargs = fdt_prop(fdt_path("/chosen"), "bootargs", &bytes);
  struct user_info *info = page_get();
  if (!info || vm_map_page(USER_INFO, (uint64_t)info, PTE_V | PTE_R | PTE_U | PTE_A) != 0) panic("no memory for the program");
  info->clock_scale = clock_scale();
  info->block_bytes = block_bytes();
  info->cpus = cpu_count();
  info->has_net = (uint32_t)net_present();
  if (bootargs && bytes && bootargs[bytes - 1] == 0) str_copy(info->bootargs, bootargs, sizeof info->bootargs);
  return USER_INFO;
}

void supervisor_main(void) {
  pages_init();
  supervisor_init();
  clock_init();
  plic_init();
  uart_init_input();
  pci_init();
  uint64_t entry = elf_load(program, (size_t)(program_end - program));
  if (task_spawn(0, entry, make_info(), 0) != 0) panic("no memory for the program");
  harts_release();
  hart_idle();
}

void supervisor_secondary(void) {
  supervisor_init();
  hart_idle();
}

void machine_poweroff(int status) {
  finisher_write(status);
  for (;;) wfi();
}
