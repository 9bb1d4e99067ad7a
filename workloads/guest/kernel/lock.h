/* lock.h: a spin lock. See port.h for why it need not turn interrupts off. Waiters read until it looks free, so that they share the line. */
#ifndef VIRTAX_KERNEL_LOCK_H
#define VIRTAX_KERNEL_LOCK_H
#include "port.h"

struct lock {
  uint32_t held; /* all zero: free */
};

static inline void lock_acquire(struct lock *lock)
{
  while (__atomic_exchange_n(&lock->held, 1, __ATOMIC_ACQUIRE))
    while (__atomic_load_n(&lock->held, __ATOMIC_RELAXED)) cpu_relax();
}

static inline void lock_release(struct lock *lock)
{
  __atomic_store_n(&lock->held, 0, __ATOMIC_RELEASE);
}

#endif
