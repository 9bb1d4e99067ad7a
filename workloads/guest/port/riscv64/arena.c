/*
 * arena.c: env_map() and env_unmap(). Each hart has 1 GiB of addresses to map in, with its own lock and page tables, so harts that
 * map at the same time do not meet. A page is made by the first access to it.
 *
 * A region that is being unmapped is dying: its entries are invalid but keep their pages' addresses until no TLB has them, it takes
 * no more faults, and its addresses are not given out again. The shootdown itself is done without the lock (tlb.h).
 */
#include "kernel/lock.h"
#include "kernel/port.h"
#include "port/riscv64/hart.h"
#include "port/riscv64/riscv.h"
#include "port/riscv64/tlb.h"
#include "port/riscv64/vm.h"

#define REGIONS 64

struct region {
  uint64_t start, end; /* end 0: free */
  int dying;
};

static struct arena {
  struct lock lock;
  struct region regions[REGIONS]; /* in no order */
} arenas[MAX_HARTS];

/* The lowest address at or above `from` with bytes free behind it, of the arena [start, start + GIGA); 0 if there is none. */
static uint64_t find_room(const struct arena *a, uint64_t start, uint64_t bytes) {
  uint64_t at = start;
  for (int i = 0; i < REGIONS; i++) {
    const struct region *r = &a->regions[i];
    if (r->end && at < r->end && r->start < at + bytes) {
      at = r->end;
      i = -1; /* look at all of them again */
    }
  }
  return bytes <= start + GIGA - at ? at : 0;
}

static struct region *find(struct arena *a, uint64_t va) {
  for (struct region *r = a->regions; r < a->regions + REGIONS; r++)
    if (r->end && va >= r->start && va < r->end) return r;
  return NULL;
}

static struct region *find_free(struct arena *a) {
  for (struct region *r = a->regions; r < a->regions + REGIONS; r++)
    if (!r->end) return r;
  return NULL;
}

static struct arena *arena_of(uint64_t va) { return va >= USER_ARENAS && va < USER_END ? &arenas[(va - USER_ARENAS) / GIGA] : NULL; }

uint64_t arena_map(uint64_t bytes) {
  unsigned cpu = cpu_id();
  struct arena *a = &arenas[cpu];
  if (!bytes || bytes > GIGA) return 0;
  bytes = (bytes + PAGE - 1) & ~(PAGE - 1);
  lock_acquire(&a->lock);
  struct region *r = find_free(a);
  uint64_t va = r ? find_room(a, USER_ARENAS + cpu * GIGA, bytes) : 0;
  if (va) *r = (struct region){.start = va, .end = va + bytes};
  lock_release(&a->lock);
  return va;
}

int arena_fault(uint64_t va) {
  struct arena *a = arena_of(va);
  int result = -1;
  lock_acquire(&a->lock);
  struct region *r = find(a, va);
  if (r && !r->dying) {
    pte_t *e = vm_entry(va, 0, 1);
    void *page = e && !(*e & PTE_V) ? page_get() : NULL;
    if (page) __atomic_store_n(e, pte_make((uint64_t)page, PTE_USER_DATA), __ATOMIC_RELEASE);
    if (e && (*e & PTE_V)) result = 0; /* ours, or another hart was faster */
  }
  lock_release(&a->lock);
  sfence_page(va);
  return result;
}

/* Calls each(entry) for the region's entries that exist; tables that were never made are stepped over. Returns how many were not 0. */
static unsigned for_entries(const struct region *r, void (*each)(pte_t *)) {
  unsigned n = 0;
  for (uint64_t va = r->start; va < r->end;) {
    pte_t *e = vm_entry(va, 0, 0);
    if (!e) {
      va = (va | (LARGE_PAGE - 1)) + 1;
      continue;
    }
    /* The entries of one table lie side by side. */
    for (uint64_t left = 512 - va / PAGE % 512; left && va < r->end; left--, e++, va += PAGE) {
      if (!*e) continue;
      each(e);
      n++;
    }
  }
  return n;
}

static void invalidate(pte_t *e) { __atomic_store_n(e, *e & ~(pte_t)PTE_V, __ATOMIC_RELEASE); }

static void release(pte_t *e) {
  page_put((void *)pte_page(*e));
  *e = 0;
}

int arena_unmap(uint64_t va, uint64_t bytes) {
  struct arena *a = arena_of(va);
  bytes = (bytes + PAGE - 1) & ~(PAGE - 1);
  if (!a) return -1;
  lock_acquire(&a->lock);
  struct region *r = find(a, va);
  int good = r && !r->dying && r->start == va && r->end - va == bytes;
  unsigned touched = 0;
  if (good) {
    r->dying = 1;
    touched = for_entries(r, invalidate);
  }
  lock_release(&a->lock);
  if (!good) return -1;
  if (touched) tlb_shootdown(va, bytes);
  lock_acquire(&a->lock);
  for_entries(r, release);
  *r = (struct region){0};
  lock_release(&a->lock);
  return 0;
}
