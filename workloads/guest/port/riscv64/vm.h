/*
 * vm.h: the one address space (Sv39; Privileged Architecture, 4.4), shared by the kernel and its one process.
 *
 *     0 .. 64 GiB           kernel: everything at its physical address, in gigapages, not for U-mode
 *     USER_IMAGE   64 GiB   the program's segments
 *     USER_STACKS  65 GiB   a stack a hart, 1 MiB apart, what lies between unmapped; the info page (abi.h) before them
 *     USER_LINEAR 128 GiB   env_alloc(): RAM at USER_LINEAR + physical address, in 2 MiB pages where it can be (linear.c)
 *     USER_ARENAS 192 GiB   env_map(): 1 GiB of addresses a hart, demand-zero (arena.c)
 *
 * Page tables are only ever added to, but for linear.c's replacement of an empty table by a large page. Each part of the
 * program's space has its own entries of the root table, and its own lock for what is below them; the image is mapped once, at boot.
 */
#ifndef VIRTAX_VM_H
#define VIRTAX_VM_H
#include <stddef.h>
#include <stdint.h>

#include "port/riscv64/pages.h"

#define GIGA (1ull << 30)
#define KERNEL_LIMIT (64 * GIGA)
#define USER_IMAGE (64 * GIGA)
#define USER_INFO (65 * GIGA)
#define USER_STACKS (65 * GIGA + LARGE_PAGE)
#define USER_STACK_STRIDE (1ull << 20)
#define USER_STACK_BYTES (128ull << 10)
#define USER_LINEAR (128 * GIGA)
#define USER_ARENAS (192 * GIGA)
#define USER_END (USER_ARENAS + 32 * GIGA)

typedef uint64_t pte_t;
enum { PTE_V = 1, PTE_R = 2, PTE_W = 4, PTE_X = 8, PTE_U = 16, PTE_A = 64, PTE_D = 128 };
#define PTE_USER_DATA (PTE_V | PTE_R | PTE_W | PTE_U | PTE_A | PTE_D)
static inline int pte_is_leaf(pte_t e) { return (e & PTE_V) && (e & (PTE_R | PTE_W | PTE_X)); }
static inline uint64_t pte_page(pte_t e) { return e >> 10 << 12; }
static inline pte_t pte_make(uint64_t physical, unsigned flags) { return physical >> 12 << 10 | flags; }

void vm_map_kernel(uint64_t physical, uint64_t bytes); /* boot: gigapages; panics beyond 64 GiB */
void vm_enable(void);                                  /* this hart: Sv39 on */

/* The entry for va at level 1 (2 MiB) or 0 (4 KiB). Missing tables are made if create is set; else, or without memory, NULL. */
pte_t *vm_entry(uint64_t va, int level, int create);
int vm_map_page(uint64_t va, uint64_t physical, unsigned flags); /* 0, or -1: no memory */
pte_t vm_leaf(uint64_t va, int *level);                          /* the leaf that maps va and its level (0 to 2), or 0 */
pte_t vm_lookup(uint64_t va);                                    /* the same, of whatever level */

int vm_make_stack(unsigned cpu); /* 0, or -1: no memory */
uint64_t vm_stack_top(unsigned cpu);

/* A page fault of the program, or of user_copy(): 0 if it is mended, -1 if the access was wrong. cause: CAUSE_*_PAGE. */
int vm_fault(uint64_t va, uint64_t cause);

/* ---- elf.c ---- */
uint64_t elf_load(const void *image, size_t bytes); /* maps the program; its entry. Panics on a bad image */

/* ---- linear.c ---- */
uint64_t linear_alloc(uint64_t bytes);            /* user address, 0: no memory */
int linear_free(uint64_t va, uint64_t bytes);     /* 0, or -1: not a whole block of linear_alloc() */

/* ---- arena.c ---- */
uint64_t arena_map(uint64_t bytes);               /* user address, 0: no room */
int arena_unmap(uint64_t va, uint64_t bytes);     /* 0, or -1: not a whole arena_map() */
int arena_fault(uint64_t va);                     /* 0: a page is there now */

#endif
