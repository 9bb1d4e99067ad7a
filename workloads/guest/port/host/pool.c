/*
 * pool.c: where the kernel refuses io_uring (containers often do), synchronous calls on threads give the depth.
 * Each CPU has a queue and THREADS workers. A CPU that waits works too: at depth 1 no other thread is woken.
 */
#include "host.h"

enum { THREADS = 7 };

/* Rings of ENV_MAX_DEPTH, indexed modulo; in flight never exceeds it. All indices are changed under the lock. */
struct pool_queue {
  unsigned lock; /* futex: 0 free, 1 taken, 2 taken and waited for */
  unsigned todo_head, todo_tail, done_head;
  unsigned done_tail; /* futex: the owner sleeps on it */
  unsigned workers_asleep, owner_asleep, started;
  struct env_block_req todo[ENV_MAX_DEPTH];
  struct env_block_done done[ENV_MAX_DEPTH];
  struct cpu threads[THREADS];
};

/* The three-state mutex of U. Drepper, "Futexes Are Tricky" (2011), section 5. */
static void lock(struct pool_queue *q) {
  unsigned free = 0;
  if (__atomic_compare_exchange_n(&q->lock, &free, 1, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) return;
  while (__atomic_exchange_n(&q->lock, 2, __ATOMIC_ACQUIRE)) futex_sleep(&q->lock, 2);
}

static void unlock(struct pool_queue *q) {
  if (__atomic_exchange_n(&q->lock, 0, __ATOMIC_RELEASE) == 2) futex_wake(&q->lock, 1);
}

static int transfer(const struct env_block_req *r) {
  uint32_t done = 0;
  if (r->op == ENV_BLOCK_FLUSH) return (int)SYSCALL(SYS_fdatasync, block_fd, 0, 0, 0, 0, 0);
  while (done < r->bytes) {
    long n = SYSCALL(r->op == ENV_BLOCK_READ ? SYS_pread64 : SYS_pwrite64, block_fd, (char *)r->buf + done, r->bytes - done, r->offset + done, 0, 0);
    if (n == -EINTR) continue;
    if (n <= 0) return n ? (int)n : -ENV_EIO;
    done += (uint32_t)n;
  }
  return 0;
}

/* Takes and does one request; called with the lock held, returns with it held. 0 if there was none. */
static int work(struct pool_queue *q) {
  if (q->todo_head == q->todo_tail) return 0;
  struct env_block_req req = q->todo[q->todo_head++ % ENV_MAX_DEPTH];
  unlock(q);
  int status = transfer(&req);
  lock(q);
  q->done[q->done_tail % ENV_MAX_DEPTH] = (struct env_block_done){req.tag, status};
  __atomic_store_n(&q->done_tail, q->done_tail + 1, __ATOMIC_RELEASE);
  if (q->owner_asleep) futex_wake(&q->done_tail, 1);
  return 1;
}

static void worker(struct cpu *self) {
  struct pool_queue *q = self->queue;
  cpu_set_self(self);
  lock(q);
  for (;;) {
    if (work(q)) continue;
    unsigned seen = q->todo_tail;
    q->workers_asleep++;
    unlock(q);
    futex_sleep(&q->todo_tail, seen);
    lock(q);
    q->workers_asleep--;
  }
}

struct pool_queue *pool_create(void) { return map_pages(sizeof(struct pool_queue)); }

static void start_workers(struct pool_queue *q) {
  for (unsigned i = 0; i < THREADS; i++) {
    q->threads[i].queue = q;
    thread_start(&q->threads[i], worker);
  }
  q->started = 1;
}

int pool_submit(struct pool_queue *q, const struct env_block_req *reqs, unsigned n) {
  /* One request alone is left to the CPU's own wait; threads exist only where there is depth. */
  if (!q->started && n > 1) start_workers(q);
  lock(q);
  for (unsigned i = 0; i < n; i++) {
    q->todo[q->todo_tail % ENV_MAX_DEPTH] = reqs[i];
    __atomic_store_n(&q->todo_tail, q->todo_tail + 1, __ATOMIC_RELEASE);
  }
  unsigned pending = q->todo_tail - q->todo_head, wake = pending > 1 && q->workers_asleep ? pending : 0;
  unlock(q);
  if (wake) futex_wake(&q->todo_tail, (int)wake);
  return (int)n;
}

static unsigned reap(struct pool_queue *q, struct env_block_done *done, unsigned max) {
  unsigned n = 0;
  while (n < max && q->done_head != q->done_tail) done[n++] = q->done[q->done_head++ % ENV_MAX_DEPTH];
  return n;
}

int pool_wait(struct pool_queue *q, struct env_block_done *done, unsigned min, unsigned max) {
  lock(q);
  unsigned got = reap(q, done, max);
  while (got < min) {
    if (!work(q)) {
      unsigned seen = q->done_tail;
      q->owner_asleep = 1;
      unlock(q);
      futex_sleep(&q->done_tail, seen);
      lock(q);
      q->owner_asleep = 0;
    }
    got += reap(q, done + got, max - got);
  }
  unlock(q);
  return (int)got;
}
