/* vm.c: page tables. See vm.h. */
#include "port/riscv64/vm.h"

#include "kernel/kernel.h"
#include "kernel/lock.h"
#include "port/riscv64/riscv.h"

int user_copy(void *to, const void *from, size_t bytes);

static pte_t root[512] __attribute__((aligned(4096)));

void vm_map_kernel(uint64_t physical, uint64_t bytes) {
  if (physical + bytes > KERNEL_LIMIT || physical + bytes < physical) panic("no room in the kernel's map for %llx", (unsigned long long)physical);
  for (uint64_t i = physical / GIGA; i <= (physical + bytes - 1) / GIGA; i++)
    root[i] = pte_make(i * GIGA, PTE_V | PTE_R | PTE_W | PTE_X | PTE_A | PTE_D);
}

volatile void *mmio_map(uint64_t physical, size_t bytes) {
  vm_map_kernel(physical, bytes);
  sfence_all();
  return (volatile void *)physical;
}

void vm_enable(void) {
  CSR_WRITE(satp, SATP_SV39 | (uint64_t)root >> 12);
  sfence_all();
}

static unsigned slot(uint64_t va, int level) { return va >> (12 + 9 * level) & 511; }

pte_t *vm_entry(uint64_t va, int level, int create) {
  pte_t *table = root;
  for (int l = 2; l > level; l--) {
    pte_t *e = &table[slot(va, l)];
    if (!(*e & PTE_V)) {
      void *page = create ? page_get() : NULL;
      if (!page) return NULL;
      __atomic_store_n(e, pte_make((uint64_t)page, PTE_V), __ATOMIC_RELEASE);
    }
    if (pte_is_leaf(*e)) return NULL;
    table = (pte_t *)pte_page(*e);
  }
  return &table[slot(va, level)];
}

int vm_map_page(uint64_t va, uint64_t physical, unsigned flags) {
  pte_t *e = vm_entry(va, 0, 1);
  if (!e) return -1;
  __atomic_store_n(e, pte_make(physical, flags), __ATOMIC_RELEASE);
  return 0;
}

pte_t vm_leaf(uint64_t va, int *level) {
  const pte_t *table = root;
  for (*level = 2; *level >= 0; --*level) {
    pte_t e = table[slot(va, *level)];
    if (pte_is_leaf(e)) return e;
    if (!(e & PTE_V)) break;
    table = (const pte_t *)pte_page(e);
  }
  return 0;
}

pte_t vm_lookup(uint64_t va) {
  int level;
  return vm_leaf(va, &level);
}

uint64_t vm_stack_top(unsigned cpu) { return USER_STACKS + cpu * USER_STACK_STRIDE + USER_STACK_BYTES; }

int vm_make_stack(unsigned cpu) {
  static struct lock lock;
  int result = 0;
  lock_acquire(&lock);
  for (uint64_t va = vm_stack_top(cpu) - USER_STACK_BYTES; va < vm_stack_top(cpu) && result == 0; va += PAGE) {
    if (vm_lookup(va)) continue; /* of an attempt that ended without memory */
    void *page = page_get();
    result = page ? vm_map_page(va, (uint64_t)page, PTE_USER_DATA) : -1;
  }
  lock_release(&lock);
  return result;
}

int vm_fault(uint64_t va, uint64_t cause) {
  unsigned need = PTE_U | (cause == CAUSE_STORE_PAGE ? PTE_W : cause == CAUSE_FETCH_PAGE ? PTE_X : PTE_R);
  if (va < USER_IMAGE || va >= USER_END) return -1;
  if ((vm_lookup(va) & need) == need) {
    sfence_page(va); /* the TLB remembered the time before the mapping, which it may (4.2.1) */
    return 0;
  }
  return va >= USER_ARENAS && cause != CAUSE_FETCH_PAGE ? arena_fault(va) : -1;
}

static int in_user_space(const void *p, size_t bytes) {
  uint64_t va = (uint64_t)p;
  return va >= USER_IMAGE && va < USER_END && bytes <= USER_END - va;
}

int user_read(void *to, const void *user, size_t bytes) { return in_user_space(user, bytes) ? user_copy(to, user, bytes) : -1; }

int user_write(void *user, const void *from, size_t bytes) { return in_user_space(user, bytes) ? user_copy(user, from, bytes) : -1; }
