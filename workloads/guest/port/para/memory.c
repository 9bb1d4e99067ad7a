/*
 * memory.c: the domain's memory above the module's own data, in frames. A bit a frame says whether it is in use; allocations are
 * few (at boot and when a workload is prepared), so the first fit is searched from the start. A frame that the balloon has given
 * back to the hypervisor is in use, for the allocator. Balloon and hot add: memory_set_target().
 */
#include "kernel/lock.h"
#include "kernel/port.h"
#include "lib/mem.h"
#include "port/para/para.h"

enum { MAX_FRAMES = 1 << 18 }; /* 1 GiB, the most that the module may have */

extern char __heap_base;

static struct lock lock;
static uint32_t used[MAX_FRAMES / 32];
static uint32_t ballooned[MAX_FRAMES / 32];
static size_t first, end; /* frames that may be given out */
static size_t target;     /* frames that the domain is to have; 0: as it is */

void memory_init(void) {
  int last = hypercall(HYPERVISOR_memory_op, XENMEM_maximum_gpfn, 0, 0);
  first = ((uintptr_t)&__heap_base + FRAME - 1) / FRAME;
  end = last < 0 ? first : (size_t)last + 1;
  if (end > MAX_FRAMES) end = MAX_FRAMES;
}

static int bit(const uint32_t *map, size_t frame) { return map[frame / 32] >> frame % 32 & 1; }
static void flip(uint32_t *map, size_t frame) { map[frame / 32] ^= 1u << frame % 32; }

static void mark(size_t frame, size_t n) {
  for (; n--; frame++) flip(used, frame);
}

/* First of n free frames in a row, or end. */
static size_t find(size_t n) {
  size_t run = 0;
  for (size_t frame = first; frame < end; frame++) {
    run = bit(used, frame) ? 0 : run + 1;
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
  if (target) memory_set_target(target);
}

int frames_contain(const void *p, size_t bytes) {
  uintptr_t at = (uintptr_t)p;
  return at >= first * FRAME && at <= end * FRAME && bytes <= end * FRAME - at;
}

/* ---- the balloon ---- */

/* Under the lock: the list is static. Returns how many of n frames it did. */
static uint32_t frame_list[PARA_MAX_EXTENTS];
static size_t reserve(uint32_t cmd, size_t n) {
  struct xen_memory_reservation r = {.extent_start = guest_address(frame_list), .nr_extents = (uint32_t)n, .domid = DOMID_SELF};
  int done = n ? hypercall(HYPERVISOR_memory_op, cmd, guest_address(&r), 0) : 0;
  return done < 0 ? 0 : (size_t)done;
}

/* Gives up to n free frames back, the last ones first. Returns how many. */
static size_t give_back(size_t n) {
  size_t listed = 0;
  for (size_t frame = end; frame-- > first && listed < n && listed < PARA_MAX_EXTENTS;) {
    if (!bit(used, frame)) frame_list[listed++] = (uint32_t)frame;
  }
  size_t done = reserve(XENMEM_decrease_reservation, listed);
  for (size_t i = 0; i < done; i++) {
    flip(used, frame_list[i]);
    flip(ballooned, frame_list[i]);
  }
  return done;
}

/* Takes up to n frames: those given back first, then new ones behind the last. Returns how many. */
static size_t populate(size_t n) {
  size_t listed = 0, old = end;
  for (size_t frame = first; frame < end && listed < n && listed < PARA_MAX_EXTENTS; frame++) {
    if (bit(ballooned, frame)) frame_list[listed++] = (uint32_t)frame;
  }
  for (size_t frame = end; frame < MAX_FRAMES && listed < n && listed < PARA_MAX_EXTENTS; frame++) frame_list[listed++] = (uint32_t)frame;
  size_t done = reserve(XENMEM_populate_physmap, listed);
  for (size_t i = 0; i < done; i++) {
    size_t frame = frame_list[i];
    if (frame >= old) {
      end = frame + 1;
    } else {
      flip(used, frame);
      flip(ballooned, frame);
    }
  }
  return done;
}

/* What cannot be given back now is, when the program frees memory. */
void memory_set_target(size_t frames) {
  lock_acquire(&lock);
  target = frames;
  for (size_t done = 1; done;) {
    size_t have = (size_t)hypercall(HYPERVISOR_memory_op, XENMEM_current_reservation, 0, 0);
    if (have == frames) target = 0;
    done = have > frames ? give_back(have - frames) : have < frames ? populate(frames - have) : 0;
  }
  lock_release(&lock);
}

/* ---- port.h: one address space, so a copy only has to stay inside of it ---- */

static int inside(const void *p, size_t bytes) {
  size_t all = end * FRAME;
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
