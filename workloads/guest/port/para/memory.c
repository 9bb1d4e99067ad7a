/*
 * memory.c: the domain's memory above the module's own data, in frames. A bit a frame says whether it is in use; allocations are
 * few (at boot and when a workload is prepared), so the first fit is searched from the start.
 */
#include "kernel/lock.h"
#include "kernel/port.h"
#include "lib/mem.h"
#include "port/para/para.h"

enum { MAX_FRAMES = 1 << 18 }; /* 1 GiB, the most that the module may have */

extern char __heap_base;

static struct lock lock;
static uint32_t used[MAX_FRAMES / 32];
static size_t first, end; /* frames that may be given out */

void memory_init(void) {
  int frames = hypercall(HYPERVISOR_memory_op, XENMEM_current_reservation, 0, 0);
  first = ((uintptr_t)&__heap_base + FRAME - 1) / FRAME;
  end = frames < 0 ? first : (size_t)frames;
  if (end > MAX_FRAMES) end = MAX_FRAMES;
}

static int is_used(size_t frame) { return used[frame / 32] >> frame % 32 & 1; }

static void mark(size_t frame, size_t n) {
  for (; n--; frame++) used[frame / 32] ^= 1u << frame % 32;
}

/* First of n free frames in a row, or end. */
static size_t find(size_t n) {
  size_t run = 0;
  for (size_t frame = first; frame < end; frame++) {
    run = is_used(frame) ? 0 : run + 1;
    if (run == n) return frame + 1 - n;
  }
  return end;
}

static size_t frames_of(size_t bytes) { return (bytes + FRAME - 1) / FRAME; }

void *frames_alloc(size_t bytes) {
  size_t n = frames_of(bytes);
  if (!n || n > MAX_FRAMES) return NULL;
  lock_acquire(&lock);
  size_t frame = find(n);
  if (frame != end) mark(frame, n);
  lock_release(&lock);
  if (frame == end) return NULL;
  return memset((void *)(frame * FRAME), 0, n * FRAME);
}

void frames_free(void *p, size_t bytes) {
  if (!p || !bytes) return;
  lock_acquire(&lock);
  mark((uintptr_t)p / FRAME, frames_of(bytes));
  lock_release(&lock);
}

int frames_contain(const void *p, size_t bytes) {
  uintptr_t at = (uintptr_t)p;
  return at >= first * FRAME && at <= end * FRAME && bytes <= end * FRAME - at;
}

/* ---- port.h: one address space, so a copy only has to stay inside of it ---- */

static int inside(const void *p, size_t bytes) {
  size_t all = __builtin_wasm_memory_size(0) * 65536ul;
  uintptr_t at = (uintptr_t)p;
  return at <= all && bytes <= all - at;
}

int user_read(void *to, const void *user, size_t bytes) {
  if (!inside(user, bytes)) return -1;
  memcpy(to, user, bytes);
  return 0;
}

int user_write(void *user, const void *from, size_t bytes) {
  if (!inside(user, bytes)) return -1;
  memcpy(user, from, bytes);
  return 0;
}

void *user_io_buffer(void *user, size_t bytes) { return frames_contain(user, bytes) ? user : NULL; }
