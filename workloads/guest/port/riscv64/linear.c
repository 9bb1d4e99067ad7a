/*
 * linear.c: env_alloc(). A block is one run of physical pages, seen by the program at USER_LINEAR + its physical address: so
 * kernel and devices find it by a subtraction, and no list of blocks is kept. A block of 2 MiB or more starts on a 2 MiB boundary
 * and is mapped in large pages, its rest in small ones.
 *
 * Whoever owns the physical pages owns their entries; the lock is for the tables between them. Blocks are not pinned while a device
 * uses them: the one program is part of the system, and waits for its requests before it frees their buffers.
 */
#include "kernel/kernel.h"
#include "kernel/lock.h"
#include "lib/mem.h"
#include "port/riscv64/riscv.h"
#include "port/riscv64/tlb.h"
#include "port/riscv64/vm.h"

static struct lock lock;

/* How much of the rest of a block one entry maps, here. */
static uint64_t step(uint64_t va, uint64_t rest) { return va % LARGE_PAGE == 0 && rest >= LARGE_PAGE ? LARGE_PAGE : PAGE; }

static int level(uint64_t step) { return step == LARGE_PAGE ? 1 : 0; }

/*
 * Where a large page shall go, a table of small ones may be left over, empty. First it is cut off, its address kept in the invalid
 * entry; after the shootdown (a hart's walker may have remembered it) it is given back. Returns whether there was one.
 */
static int cut_tables(uint64_t va, uint64_t bytes) {
  int found = 0;
  for (uint64_t at = 0; step(va + at, bytes - at) == LARGE_PAGE && at < bytes; at += LARGE_PAGE) {
    pte_t *e = vm_entry(va + at, 1, 0);
    if (!e || !(*e & PTE_V)) continue;
    *e &= ~(pte_t)PTE_V;
    found = 1;
  }
  return found;
}

static int install(uint64_t va, uint64_t bytes) {
  for (uint64_t at = 0, s; at < bytes; at += s) {
    s = step(va + at, bytes - at);
    pte_t *e = vm_entry(va + at, level(s), 1);
    if (!e) return -1;
    if (*e) page_put((void *)pte_page(*e));
    __atomic_store_n(e, pte_make(va + at - USER_LINEAR, PTE_USER_DATA), __ATOMIC_RELEASE);
  }
  return 0;
}

/* Is every entry of the block there, in the shape in which it was made? */
static int whole(uint64_t va, uint64_t bytes) {
  for (uint64_t at = 0, s; at < bytes; at += s) {
    s = step(va + at, bytes - at);
    pte_t *e = vm_entry(va + at, level(s), 0);
    if (!e || !pte_is_leaf(*e)) return 0;
  }
  return 1;
}

static void clear(uint64_t va, uint64_t bytes) {
  for (uint64_t at = 0, s; at < bytes; at += s) {
    s = step(va + at, bytes - at);
    pte_t *e = vm_entry(va + at, level(s), 0);
    if (e && pte_is_leaf(*e)) __atomic_store_n(e, 0, __ATOMIC_RELEASE);
  }
}

static int map(uint64_t va, uint64_t bytes) {
  lock_acquire(&lock);
  int cut = cut_tables(va, bytes);
  lock_release(&lock);
  if (cut) tlb_shootdown(va, bytes);
  lock_acquire(&lock);
  int result = install(va, bytes);
  if (result != 0) clear(va, bytes);
  lock_release(&lock);
  return result;
}

uint64_t linear_alloc(uint64_t bytes) {
  if (!bytes || bytes > KERNEL_LIMIT) return 0;
  bytes = (bytes + PAGE - 1) & ~(PAGE - 1);
  void *block = pages_get(bytes / PAGE, bytes >= LARGE_PAGE ? LARGE_PAGE / PAGE : 1);
  if (!block) return 0;
  memset(block, 0, bytes);
  uint64_t va = USER_LINEAR + (uint64_t)block;
  if (map(va, bytes) == 0) return va;
  tlb_shootdown(va, bytes);
  pages_put(block, bytes / PAGE);
  return 0;
}

int linear_free(uint64_t va, uint64_t bytes) {
  bytes = (bytes + PAGE - 1) & ~(PAGE - 1);
  if (va < USER_LINEAR || va >= USER_ARENAS || va % PAGE || !bytes || bytes > USER_ARENAS - va) return -1;
  lock_acquire(&lock);
  int good = whole(va, bytes);
  if (good) clear(va, bytes);
  lock_release(&lock);
  if (!good) return -1;
  tlb_shootdown(va, bytes);
  pages_put((void *)(va - USER_LINEAR), bytes / PAGE);
  return 0;
}

void *user_io_buffer(void *user, size_t bytes) {
  uint64_t va = (uint64_t)user, end = va + bytes;
  if (va < USER_LINEAR || va >= USER_ARENAS || !bytes || bytes > USER_ARENAS - va) return NULL;
  for (uint64_t at = va & ~(PAGE - 1); at < end;) {
    int level;
    if (!vm_leaf(at, &level)) return NULL;
    at = level ? (at | (LARGE_PAGE - 1)) + 1 : at + PAGE;
  }
  return (void *)(va - USER_LINEAR);
}
