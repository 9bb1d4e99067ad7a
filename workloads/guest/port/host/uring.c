/*
 * uring.c: io_uring without liburing: io_uring_setup(2), io_uring_enter(2) and the rings that they describe.
 * One ring a CPU. The kernel is entered once for a batch of requests and once for a wait that finds nothing.
 */
#include "host.h"
#include "lib/mem.h"

enum { SETUP_CLAMP = 1 << 4, SETUP_COOP_TASKRUN = 1 << 8, SETUP_SINGLE_ISSUER = 1 << 12, SETUP_DEFER_TASKRUN = 1 << 13 };
enum { FEAT_SINGLE_MMAP = 1 << 0, FEAT_NODROP = 1 << 1, FEAT_RW_CUR_POS = 1 << 3 }; /* the last came with OP_READ: Linux 5.6 */
enum { ENTER_GETEVENTS = 1, OP_FSYNC = 3, OP_READ = 22, OP_WRITE = 23, FSYNC_DATASYNC = 1 };
enum { OFFSET_RINGS = 0, OFFSET_SQES = 0x10000000, MAP_SHARED_POPULATE = 0x8001, PROT_READ_WRITE = 3, ENTRIES = 128, LUCKY_MAX = 16, SUBMIT_MAX = 2 };

struct sqe { /* struct io_uring_sqe */
  uint8_t opcode, flags;
  uint16_t priority;
  int32_t fd;
  uint64_t offset, address;
  uint32_t bytes, op_flags;
  uint64_t user_data, unused[3];
};
struct cqe { /* struct io_uring_cqe */
  uint64_t user_data;
  int32_t result;
  uint32_t flags;
};
struct sq_offsets {
  uint32_t head, tail, mask, entries, flags, dropped, array, reserved;
  uint64_t user_address;
};
struct cq_offsets {
  uint32_t head, tail, mask, entries, overflow, cqes, flags, reserved;
  uint64_t user_address;
};
struct params { /* struct io_uring_params */
  uint32_t sq_entries, cq_entries, flags, thread_cpu, thread_idle, features, wq_fd, reserved[3];
  struct sq_offsets sq;
  struct cq_offsets cq;
};

struct uring {
  int fd;
  unsigned *sq_tail, *sq_array, sq_mask;
  unsigned *cq_head, *cq_tail, cq_mask;
  struct sqe *sqes;
  struct cqe *cqes;
  uint32_t bytes[ENV_MAX_DEPTH]; /* asked for, by tag: a short transfer is an error */
  unsigned lucky;                /* waits in a row that needed no entry into the kernel */
};

static long setup(struct params *p) {
  /* From the newest and cheapest to what every io_uring has. */
  static const uint32_t modes[] = {SETUP_CLAMP | SETUP_COOP_TASKRUN | SETUP_SINGLE_ISSUER | SETUP_DEFER_TASKRUN, SETUP_CLAMP | SETUP_COOP_TASKRUN,
                                   SETUP_CLAMP};
  long fd = -ENV_EINVAL;
  for (unsigned i = 0; i < 3 && fd == -ENV_EINVAL; i++) {
    *p = (struct params){.flags = modes[i]};
    fd = SYSCALL(SYS_io_uring_setup, ENTRIES, p, 0, 0, 0, 0);
  }
  return fd;
}

static void *map(long fd, size_t bytes, long offset) {
  long p = SYSCALL(SYS_mmap, 0, bytes, PROT_READ_WRITE, MAP_SHARED_POPULATE, fd, offset);
  return p < 0 && p > -4096 ? NULL : (void *)p;
}

struct uring *uring_create(void) {
  struct params p;
  const uint32_t wanted = FEAT_SINGLE_MMAP | FEAT_NODROP | FEAT_RW_CUR_POS;
  long fd = setup(&p);
  if (fd < 0) return NULL;
  size_t sq_bytes = p.sq.array + p.sq_entries * sizeof(uint32_t), cq_bytes = p.cq.cqes + p.cq_entries * sizeof(struct cqe);
  struct uring *ring = map_pages(sizeof *ring);
  char *rings = (p.features & wanted) == wanted ? map(fd, sq_bytes > cq_bytes ? sq_bytes : cq_bytes, OFFSET_RINGS) : NULL;
  struct sqe *sqes = rings ? map(fd, p.sq_entries * sizeof *sqes, OFFSET_SQES) : NULL;
  if (!ring || !sqes) {
    SYSCALL(SYS_close, fd, 0, 0, 0, 0, 0);
    return NULL;
  }
  ring->fd = (int)fd;
  ring->sq_tail = (unsigned *)(rings + p.sq.tail);
  ring->sq_array = (unsigned *)(rings + p.sq.array);
  ring->sq_mask = p.sq_entries - 1;
  ring->cq_head = (unsigned *)(rings + p.cq.head);
  ring->cq_tail = (unsigned *)(rings + p.cq.tail);
  ring->cq_mask = p.cq_entries - 1;
  ring->sqes = sqes;
  ring->cqes = (struct cqe *)(rings + p.cq.cqes);
  return ring;
}

static void fill(struct uring *ring, struct sqe *e, const struct env_block_req *r) {
  static const uint8_t opcodes[] = {[ENV_BLOCK_READ] = OP_READ, [ENV_BLOCK_WRITE] = OP_WRITE, [ENV_BLOCK_FLUSH] = OP_FSYNC};
  memset(e, 0, sizeof *e);
  e->opcode = opcodes[r->op];
  e->fd = block_fd;
  e->user_data = r->tag;
  ring->bytes[r->tag] = 0;
  if (r->op == ENV_BLOCK_FLUSH) {
    e->op_flags = FSYNC_DATASYNC;
    return;
  }
  e->offset = r->offset;
  e->address = (uintptr_t)r->buf;
  e->bytes = ring->bytes[r->tag] = r->bytes;
}

static long enter(struct uring *ring, unsigned submit, unsigned min, unsigned flags) {
  long done;
  do {
    done = SYSCALL(SYS_io_uring_enter, ring->fd, submit, min, flags, 0, 0);
  } while (done == -EINTR);
  return done;
}

int uring_submit(struct uring *ring, const struct env_block_req *reqs, unsigned n) {
  unsigned tail = *ring->sq_tail;
  for (unsigned i = 0; i < n; i++, tail++) {
    fill(ring, &ring->sqes[tail & ring->sq_mask], &reqs[i]);
    ring->sq_array[tail & ring->sq_mask] = tail & ring->sq_mask;
  }
  __atomic_store_n(ring->sq_tail, tail, __ATOMIC_RELEASE);
  /*
   * With deferred task work, requests that did not complete at once are only finished in an entry with GETEVENTS: a
   * caller whose new requests all complete at once would never see the old ones end. So now and then it is passed here
   * too; always would be 15 % slower at depth 32, in smaller batches.
   */
  unsigned flags = ring->lucky >= LUCKY_MAX ? ENTER_GETEVENTS : 0;
  if (flags) ring->lucky = 0;
  /*
   * The queue is always emptied: entries that the kernel did not take now (EAGAIN: out of memory) are given again. Two at
   * a time: of more than two the kernel makes one batch for the block layer and starts none before it has prepared all
   * (IO_PLUG_THRESHOLD), in which time the disk runs dry: 10 to 20 % at depth 32.
   */
  for (unsigned taken = 0; taken < n;) {
    long done = enter(ring, n - taken < SUBMIT_MAX ? n - taken : SUBMIT_MAX, 0, flags);
    if (done >= 0) taken += (unsigned)done;
    else if (done != -ENV_EAGAIN) return (int)done;
  }
  return (int)n;
}

static unsigned reap(struct uring *ring, struct env_block_done *done, unsigned max) {
  unsigned head = *ring->cq_head, tail = __atomic_load_n(ring->cq_tail, __ATOMIC_ACQUIRE), n = 0;
  for (; head != tail && n < max; head++, n++) {
    const struct cqe *e = &ring->cqes[head & ring->cq_mask];
    uint32_t tag = (uint32_t)e->user_data;
    done[n] = (struct env_block_done){tag, e->result < 0 ? e->result : (uint32_t)e->result < ring->bytes[tag] ? -ENV_EIO : 0};
  }
  if (n) __atomic_store_n(ring->cq_head, head, __ATOMIC_RELEASE);
  return n;
}

int uring_wait(struct uring *ring, struct env_block_done *done, unsigned min, unsigned max) {
  unsigned got = reap(ring, done, max);
  ring->lucky = got >= min ? ring->lucky + 1 : 0;
  uint64_t end = host.poll_ns && got < min ? env_now_ns() + host.poll_ns : 0;
  while (got < min) {
    /* While polling, the kernel is entered without sleeping: deferred completions are only delivered there. */
    int polling = end && env_now_ns() < end;
    long status = enter(ring, 0, polling ? 0 : min - got, ENTER_GETEVENTS);
    if (status < 0) return (int)status;
    got += reap(ring, done + got, max - got);
  }
  return (int)got;
}
