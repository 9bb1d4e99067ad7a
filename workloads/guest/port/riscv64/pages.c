/*
 * pages.c: a bitmap of all pages (1: used), under one lock, and in front of it a short list of free pages for each hart.
 *
 * Single pages come from the top of RAM, runs from the bottom, so that page tables and demand-zero pages do not break up what
 * disk buffers and workloads want in one piece. A page in a hart's list counts as used in the bitmap.
 */
#include "port/riscv64/pages.h"

#include "drivers/fdt.h"
#include "kernel/kernel.h"
#include "kernel/lock.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "port/riscv64/hart.h"
#include "port/riscv64/vm.h"

#define LIST_MAX 64
#define BATCH 32

struct page {
  struct page *next;
};

extern uint8_t kernel_end[]; /* kernel.ld */

static struct lock lock;
static uint64_t *bitmap;
static uint64_t base, count; /* of RAM: address, pages */
static uint64_t top_hint;    /* no free page at or above */

static int used(uint64_t i) { return bitmap[i / 64] >> (i % 64) & 1; }

static void mark(uint64_t first, uint64_t n, int use) {
  for (uint64_t i = first; i < first + n; i++) {
    if (use) bitmap[i / 64] |= 1ull << (i % 64);
    else bitmap[i / 64] &= ~(1ull << (i % 64));
  }
}

static void reserve(uint64_t from, uint64_t to) {
  if (to <= base || from >= base + count * PAGE) return;
  uint64_t first = from <= base ? 0 : (from - base) / PAGE, end = (to - base + PAGE - 1) / PAGE;
  mark(first, (end < count ? end : count) - first, 1);
}

/* The node's RAM in which the kernel lies. Further banks stay unused: one run of addresses keeps the bitmap simple. */
static void find_ram(void) {
  fdt_node root = fdt_path("/"), node = FDT_NONE;
  uint64_t at, bytes, here = (uint64_t)kernel_end;
  while ((node = fdt_child(root, node)) != FDT_NONE) {
    const char *type = fdt_prop(node, "device_type", NULL);
    if (!type || strcmp(type, "memory") != 0) continue;
    for (unsigned i = 0; fdt_reg(node, i, &at, &bytes) == 0; i++)
      if (here > at && here - at < bytes) {
        base = at;
        count = bytes / PAGE;
        return;
      }
  }
  panic("the device tree names no memory around the kernel");
}

void pages_init(void) {
  find_ram();
  vm_map_kernel(base, count * PAGE);
  bitmap = (uint64_t *)(((uint64_t)kernel_end + PAGE - 1) & ~(PAGE - 1));
  uint64_t bitmap_bytes = (count + 63) / 64 * 8, tree = (uint64_t)fdt_blob();
  if ((uint64_t)bitmap + bitmap_bytes > base + count * PAGE) panic("too little memory: %llu KiB", (unsigned long long)(count * 4));
  memset(bitmap, 0, bitmap_bytes);
  reserve(base, (uint64_t)bitmap + bitmap_bytes);
  reserve(tree, tree + fdt_total_bytes());
  top_hint = count;
}

static struct page *take_top(void) {
  while (top_hint && used(top_hint - 1)) {
    /* Whole words of used pages at once. */
    if (top_hint % 64 == 0 && bitmap[top_hint / 64 - 1] == ~0ull) top_hint -= 64;
    else top_hint--;
  }
  if (!top_hint) return NULL;
  mark(--top_hint, 1, 1);
  return (struct page *)(base + top_hint * PAGE);
}

static void refill(struct hart *h) {
  lock_acquire(&lock);
  for (int i = 0; i < BATCH; i++) {
    struct page *p = take_top();
    if (!p) break;
    p->next = h->free;
    h->free = p;
    h->free_count++;
  }
  lock_release(&lock);
}

void *page_get(void) {
  struct hart *h = this_hart();
  if (!h->free) refill(h);
  struct page *p = h->free;
  if (!p) return NULL;
  h->free = p->next;
  h->free_count--;
  return memset(p, 0, PAGE);
}

static void put_run(uint64_t first, uint64_t n) {
  mark(first, n, 0);
  if (first + n > top_hint) top_hint = first + n;
}

void page_put(void *page) {
  struct hart *h = this_hart();
  struct page *p = page;
  p->next = h->free;
  h->free = p;
  if (++h->free_count <= LIST_MAX) return;
  lock_acquire(&lock);
  while (h->free_count > BATCH) {
    p = h->free;
    h->free = p->next;
    h->free_count--;
    put_run(((uint64_t)p - base) / PAGE, 1);
  }
  lock_release(&lock);
}

/* The first used page of [first, first + n), or first + n. Skips free words whole. */
static uint64_t first_used(uint64_t first, uint64_t n) {
  uint64_t i = first, end = first + n;
  while (i < end) {
    if (i % 64 == 0 && i + 64 <= end && !bitmap[i / 64]) i += 64;
    else if (used(i)) return i;
    else i++;
  }
  return end;
}

/* Index of the first page of a free run, or count. align is in pages, of the address. */
static uint64_t find_run(uint64_t n, uint64_t align) {
  uint64_t base_page = base / PAGE, i = (align - base_page % align) % align;
  while (n <= count && i <= count - n) {
    uint64_t u = first_used(i, n);
    if (u == i + n) return i;
    for (u++; u < count && used(u); u++)
      if (u % 64 == 0 && u + 64 <= count && bitmap[u / 64] == ~0ull) u += 63;
    i = (base_page + u + align - 1) / align * align - base_page;
  }
  return count;
}

void *pages_get(uint64_t n, uint64_t align) {
  lock_acquire(&lock);
  uint64_t i = find_run(n, align);
  if (i < count) mark(i, n, 1);
  lock_release(&lock);
  return i < count ? (void *)(base + i * PAGE) : NULL;
}

void pages_put(void *first, uint64_t n) {
  lock_acquire(&lock);
  put_run(((uint64_t)first - base) / PAGE, n);
  lock_release(&lock);
}

void *dma_alloc(size_t bytes) {
  uint64_t n = (bytes + PAGE - 1) / PAGE;
  void *p = pages_get(n, 1);
  return p ? memset(p, 0, n * PAGE) : NULL;
}

void dma_free(void *p, size_t bytes) { pages_put(p, (bytes + PAGE - 1) / PAGE); }
