/* pages.h: physical memory in pages of 4 KiB. Kernel pointers are physical addresses (identity). */
#ifndef VIRTAX_PAGES_H
#define VIRTAX_PAGES_H
#include <stddef.h>
#include <stdint.h>

#define PAGE 4096ull
#define LARGE_PAGE (512 * PAGE)

void pages_init(void); /* boot: RAM of the device tree, without the kernel and the tree */

void *page_get(void); /* one zeroed page, NULL if there is none left */
void page_put(void *page);
/* A run of n pages, not zeroed, its address a multiple of align pages; from the bottom of RAM. */
void *pages_get(uint64_t n, uint64_t align);
void pages_put(void *first, uint64_t n);

#endif
