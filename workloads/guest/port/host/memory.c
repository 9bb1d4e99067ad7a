/*
 * memory.c: anonymous mappings. Large buffers ask for huge pages, as a native program that cares for its speed does where
 * the host leaves it to the program (transparent_hugepage = madvise): a request of 1 MiB in 4 KiB pages is 256 pieces for
 * the disk, and reads at 1.5 instead of 2.6 GB/s. os/map maps ordinary pages: it measures them.
 */
#include "host.h"

enum { PROT_READ_WRITE = 3, MAP_PRIVATE_ANONYMOUS = 0x22, MADV_HUGEPAGE = 14 };
#define HUGE_PAGE ((uintptr_t)2 << 20)

void *map_pages(size_t bytes) {
  long p = SYSCALL(SYS_mmap, 0, bytes, PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS, -1, 0);
  return p < 0 && p > -4096 ? NULL : (void *)p;
}

static void unmap(uintptr_t from, uintptr_t to) {
  if (from < to) SYSCALL(SYS_munmap, from, to - from, 0, 0, 0, 0);
}

/* Begins on a huge page; what was mapped too much for that is given back. A host without huge pages refuses the advice. */
void *env_alloc(size_t bytes) {
  if (bytes < HUGE_PAGE) return map_pages(bytes);
  size_t whole = (bytes + 4095) & ~(size_t)4095;
  uintptr_t start = (uintptr_t)map_pages(whole + HUGE_PAGE);
  if (!start) return NULL;
  uintptr_t p = (start + HUGE_PAGE - 1) & ~(HUGE_PAGE - 1);
  unmap(start, p);
  unmap(p + whole, start + whole + HUGE_PAGE);
  SYSCALL(SYS_madvise, p, whole, MADV_HUGEPAGE, 0, 0, 0);
  return (void *)p;
}

void env_free(void *p, size_t bytes) { SYSCALL(SYS_munmap, p, bytes, 0, 0, 0, 0); }
void *env_map(size_t bytes) { return map_pages(bytes); }
void env_unmap(void *p, size_t bytes) { SYSCALL(SYS_munmap, p, bytes, 0, 0, 0, 0); }
int env_has_mmu(void) { return 1; }
