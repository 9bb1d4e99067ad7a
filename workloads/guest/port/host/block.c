/* block.c: the disk of the bare-metal machine is a file. Requests are checked here and go to io_uring or to the pool. */
#include "host.h"
#include "init/print.h"

int block_fd = -1;
static uint64_t disk_bytes;
static int use_pool;

static long open_file(int flags) { return SYSCALL(SYS_openat, AT_FDCWD, host.disk_path, flags | O_CLOEXEC, 0, 0, 0); }

/* Each CPU makes its ring on first use: the kernel's cheapest mode wants one submitter, the thread that made it. */
static int ready(struct cpu *self) {
  if (self->uring || self->queue) return 0;
  if (!use_pool) self->uring = uring_create();
  if (!self->uring) self->queue = pool_create();
  return self->uring || self->queue ? 0 : -ENV_ENOMEM;
}

/* Says on the console what the disk really uses: the engine passes these facts on to the results. */
static void print_facts(int direct) {
  print("fact block %s, %s\n", cpus[0].uring ? "io_uring" : "worker threads", direct ? "O_DIRECT" : "buffered");
}

void block_open(void) {
  int direct = host.direct;
  long fd = open_file(O_RDWR | (direct ? O_DIRECT : 0));
  if (fd == -ENV_EINVAL && direct) { /* the file system has no O_DIRECT */
    direct = 0;
    fd = open_file(O_RDWR);
  }
  if (fd < 0) host_die(2, "cannot open the disk file %s (errno %ld); `virtax-guest mkdisk` makes one", host.disk_path, -fd);
  long end = SYSCALL(SYS_lseek, fd, 0, 2 /* SEEK_END */, 0, 0, 0);
  if (end < 2 * 1024 * 1024) host_die(2, "the disk file %s is too small: %ld bytes, at least 2 MiB are needed", host.disk_path, end);
  block_fd = (int)fd;
  disk_bytes = (uint64_t)end & ~(uint64_t)511;
  use_pool = host.no_uring;
  if (ready(&cpus[0])) host_die(1, "no memory for the disk's queue");
  use_pool = !cpus[0].uring;
  print_facts(direct);
}

uint64_t env_block_bytes(void) { return disk_bytes; }

static int valid(const struct env_block_req *r) {
  if (r->op > ENV_BLOCK_FLUSH || r->tag >= ENV_MAX_DEPTH) return 0;
  if (r->op == ENV_BLOCK_FLUSH) return 1;
  if (r->bytes == 0 || r->bytes > (1u << 20) || ((r->bytes | r->offset | (uintptr_t)r->buf) & 511)) return 0;
  return r->offset <= disk_bytes && r->bytes <= disk_bytes - r->offset;
}

int env_block_submit(const struct env_block_req *reqs, unsigned n) {
  struct cpu *self = cpu_self();
  if (disk_bytes == 0) return -ENV_ENOENT;
  for (unsigned i = 0; i < n; i++) {
    if (!valid(&reqs[i])) return -ENV_EINVAL;
  }
  if (n > ENV_MAX_DEPTH - self->in_flight) n = ENV_MAX_DEPTH - self->in_flight;
  if (n == 0) return -ENV_EAGAIN;
  int status = ready(self);
  if (status == 0) status = self->uring ? uring_submit(self->uring, reqs, n) : pool_submit(self->queue, reqs, n);
  if (status > 0) self->in_flight += (unsigned)status;
  return status;
}

int env_block_wait(struct env_block_done *done, unsigned min, unsigned max) {
  struct cpu *self = cpu_self();
  if (min > self->in_flight || max < min) return -ENV_EINVAL;
  if (self->in_flight == 0) return 0;
  int got = self->uring ? uring_wait(self->uring, done, min, max) : pool_wait(self->queue, done, min, max);
  if (got > 0) self->in_flight -= (unsigned)got;
  return got;
}
