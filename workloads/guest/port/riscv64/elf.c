/* elf.c: maps the program's ELF file (System V ABI, gABI chapters 4 and 5), which lies inside the kernel's image. */
#include "kernel/kernel.h"
#include "lib/mem.h"
#include "port/riscv64/vm.h"

struct elf_header {
  uint8_t ident[16];
  uint16_t type, machine;
  uint32_t version;
  uint64_t entry, phoff, shoff;
  uint32_t flags;
  uint16_t ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};

struct program_header {
  uint32_t type, flags;
  uint64_t offset, vaddr, paddr, filesz, memsz, align;
};

enum { PT_LOAD = 1, PF_X = 1, PF_W = 2, PF_R = 4, EM_RISCV = 243 };

static unsigned flags_of(const struct program_header *p) {
  return PTE_V | PTE_U | PTE_A | PTE_D | (p->flags & PF_R ? PTE_R : 0) | (p->flags & PF_W ? PTE_W : 0) | (p->flags & PF_X ? PTE_X : 0);
}

/* Copies what of the segment's bytes in the file falls into the page at va. */
static void fill(uint8_t *page, uint64_t va, const uint8_t *image, const struct program_header *p) {
  uint64_t from = va > p->vaddr ? va : p->vaddr, end = p->vaddr + p->filesz;
  if (va + PAGE < end) end = va + PAGE;
  if (from < end) memcpy(page + (from - va), image + p->offset + (from - p->vaddr), end - from);
}

static void load(const uint8_t *image, size_t bytes, const struct program_header *p) {
  uint64_t end = p->vaddr + p->memsz;
  if (p->offset > bytes || p->filesz > bytes - p->offset || p->filesz > p->memsz) panic("program: a segment lies outside its file");
  if (p->vaddr < USER_IMAGE || end > USER_INFO || end < p->vaddr) panic("program: a segment at %llx", (unsigned long long)p->vaddr);
  for (uint64_t va = p->vaddr & ~(PAGE - 1); va < end; va += PAGE) {
    if (vm_lookup(va)) panic("program: segments share the page at %llx", (unsigned long long)va);
    uint8_t *page = page_get();
    if (!page || vm_map_page(va, (uint64_t)page, flags_of(p)) != 0) panic("program: no memory to load it");
    fill(page, va, image, p);
  }
}

uint64_t elf_load(const void *image, size_t bytes) {
  struct elf_header h;
  if (bytes < sizeof h) panic("program: no ELF file");
  memcpy(&h, image, sizeof h);
  if (memcmp(h.ident, "\177ELF\2\1", 6) != 0 || h.machine != EM_RISCV || h.phentsize != sizeof(struct program_header)) panic("program: no ELF file for riscv64");
  if (h.phoff > bytes || h.phnum * sizeof(struct program_header) > bytes - h.phoff) panic("program: the headers lie outside the file");
  for (unsigned i = 0; i < h.phnum; i++) {
    struct program_header p;
    memcpy(&p, (const uint8_t *)image + h.phoff + i * sizeof p, sizeof p);
    if (p.type == PT_LOAD && p.memsz) load(image, bytes, &p);
  }
  return h.entry;
}
