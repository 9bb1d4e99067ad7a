/* grant.c: what of our memory the core OS may reach. The flags are written last when granting and first when taking back. */
#include "kernel/print.h"
#include "port/para/para.h"

static struct grant_entry table[GRANT_COUNT];
_Static_assert(GRANT_COUNT <= PARA_MAX_GRANTS, "more grants than a table holds");

void grant_init(void) {
  int error = hypercall(HYPERVISOR_grant_table_op, GNTTABOP_setup_table, guest_address(table), GRANT_COUNT);
  if (error) panic("no grant table (errno %d)", -error);
}

uint32_t grant_set(uint32_t ref, const void *p, size_t bytes, uint16_t flags) {
  struct grant_entry *entry = &table[ref];
  uint32_t offset = (uint32_t)((uintptr_t)p % FRAME);
  entry->domid = DOMID_CORE_OS;
  entry->frame = (uint32_t)((uintptr_t)p / FRAME);
  entry->frames = (uint32_t)((offset + bytes + FRAME - 1) / FRAME);
  __atomic_store_n(&entry->flags, flags, __ATOMIC_SEQ_CST);
  return offset;
}

void grant_clear(uint32_t ref) { __atomic_store_n(&table[ref].flags, 0, __ATOMIC_SEQ_CST); }
