/* memory.c: anonymous mappings, with whatever huge-page policy the host has for any process. */
#include "host.h"

enum { PROT_READ_WRITE = 3, MAP_PRIVATE_ANONYMOUS = 0x22 };

void *map_pages(size_t bytes) {
  long p = SYSCALL(SYS_mmap, 0, bytes, PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS, -1, 0);
  return p < 0 && p > -4096 ? NULL : (void *)p;
}

void *env_alloc(size_t bytes) { return map_pages(bytes); }
void env_free(void *p, size_t bytes) { SYSCALL(SYS_munmap, p, bytes, 0, 0, 0, 0); }
void *env_map(size_t bytes) { return map_pages(bytes); }
void env_unmap(void *p, size_t bytes) { SYSCALL(SYS_munmap, p, bytes, 0, 0, 0, 0); }
int env_has_mmu(void) { return 1; }
