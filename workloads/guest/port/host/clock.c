/*
 * clock.c: the monotonic clock without a system call. The kernel maps a small shared object (vDSO) whose address is in
 * the auxiliary vector; its function is found by name in the ELF file's dynamic symbols (System V gABI, chapters 4 and 5).
 */
#include "host.h"
#include "lib/str.h"

enum { CLOCK_MONOTONIC = 1, CLOCK_PROCESS_CPUTIME_ID = 2, AT_SYSINFO_EHDR = 33, SHT_DYNSYM = 11, AT_NULL = 0 };

struct elf_header {
  uint8_t ident[16];
  uint16_t type, machine;
  uint32_t version;
  uint64_t entry, program_headers, section_headers;
  uint32_t flags;
  uint16_t header_size, ph_size, ph_count, sh_size, sh_count, sh_strings;
};
struct elf_section {
  uint32_t name, type;
  uint64_t flags, address, offset, size;
  uint32_t link, info;
  uint64_t align, entry_size;
};
struct elf_symbol {
  uint32_t name;
  uint8_t info, other;
  uint16_t section;
  uint64_t value, size;
};

typedef int clock_function(int clock, struct timespec *);
static clock_function *vdso_clock;

static clock_function *find_symbol(const char *base, const char *name) {
  const struct elf_header *elf = (const void *)base;
  const struct elf_section *sections = (const void *)(base + elf->section_headers);
  for (unsigned i = 0; i < elf->sh_count; i++) {
    if (sections[i].type != SHT_DYNSYM || sections[i].link >= elf->sh_count) continue;
    const char *strings = base + sections[sections[i].link].offset;
    const struct elf_symbol *symbols = (const void *)(base + sections[i].offset);
    for (uint64_t k = 0; k < sections[i].size / sizeof *symbols; k++) {
      /* Its file is mapped as it is and linked at 0, so a symbol's value is its offset. */
      if (symbols[k].section && strcmp(strings + symbols[k].name, name) == 0) return (clock_function *)(base + symbols[k].value);
    }
  }
  return NULL;
}

void clock_find(const uint64_t *auxv) {
  for (; auxv[0] != AT_NULL; auxv += 2) {
    if (auxv[0] == AT_SYSINFO_EHDR && auxv[1]) vdso_clock = find_symbol((const char *)auxv[1], VDSO_CLOCK_GETTIME);
  }
}

uint64_t env_now_ns(void) {
  struct timespec t;
  if (!vdso_clock || vdso_clock(CLOCK_MONOTONIC, &t)) SYSCALL(SYS_clock_gettime, CLOCK_MONOTONIC, &t, 0, 0, 0, 0);
  return (uint64_t)t.seconds * 1000000000u + (uint64_t)t.nanoseconds;
}

uint64_t clock_process_cpu_ns(void) {
  struct timespec t;
  SYSCALL(SYS_clock_gettime, CLOCK_PROCESS_CPUTIME_ID, &t, 0, 0, 0, 0);
  return (uint64_t)t.seconds * 1000000000u + (uint64_t)t.nanoseconds;
}

void env_sleep_until(uint64_t ns) {
  struct timespec t = {(int64_t)(ns / 1000000000u), (int64_t)(ns % 1000000000u)};
  if (host.poll_ns && ns < env_now_ns() + host.poll_ns) {
    while (env_now_ns() < ns) cpu_pause();
    return;
  }
  while (SYSCALL(SYS_clock_nanosleep, CLOCK_MONOTONIC, 1 /* TIMER_ABSTIME */, &t, 0, 0, 0) == -EINTR) {
  }
}
