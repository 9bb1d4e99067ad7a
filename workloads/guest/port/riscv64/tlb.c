/* tlb.c: see tlb.h. */
#include "port/riscv64/tlb.h"

#include "drivers/clint.h"
#include "kernel/port.h"
#include "port/riscv64/hart.h"
#include "port/riscv64/riscv.h"
#include "port/riscv64/vm.h"

#define FEW_PAGES 64

static uint64_t tlb_generation;

void tlb_catch_up(void) {
  struct hart *h = this_hart();
  uint64_t now = __atomic_load_n(&tlb_generation, __ATOMIC_SEQ_CST);
  if (h->tlb_seen == now) return;
  sfence_all();
  __atomic_store_n(&h->tlb_seen, now, __ATOMIC_SEQ_CST);
}

static void flush_own(uint64_t va, uint64_t bytes) {
  if (bytes > FEW_PAGES * PAGE) sfence_all();
  else
    for (uint64_t at = 0; at < bytes; at += PAGE) sfence_page(va + at);
}

static int behind(const struct hart *h, uint64_t generation) {
  return __atomic_load_n(&h->in_user, __ATOMIC_SEQ_CST) && __atomic_load_n(&h->tlb_seen, __ATOMIC_SEQ_CST) < generation;
}

void tlb_shootdown(uint64_t va, uint64_t bytes) {
  struct hart *self = this_hart();
  uint64_t before = __atomic_fetch_add(&tlb_generation, 1, __ATOMIC_SEQ_CST), generation = before + 1;
  flush_own(va, bytes);
  if (self->tlb_seen == before) self->tlb_seen = generation; /* else another's is still to be answered */
  for (unsigned i = 0; i < cpu_count(); i++)
    if (&harts[i] != self && behind(&harts[i], generation)) clint_send(i);
  for (unsigned i = 0; i < cpu_count(); i++)
    while (&harts[i] != self && behind(&harts[i], generation)) {
      tlb_catch_up();
      cpu_relax();
    }
}
