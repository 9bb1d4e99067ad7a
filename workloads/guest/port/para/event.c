/*
 * event.c: event channels take the place of interrupts. The hypervisor sets bits in this CPU's vcpu_info and calls nobody; the
 * kernel looks after cpu_sleep() and in env_poll(). Ports without a handler (IPIs, timers) have done their work by ending a sleep.
 */
#include "port/para/para.h"

static struct { void (*handler)(void *); void *arg; } handlers[PARA_MAX_PORTS];

void event_handler(uint32_t port, void (*handler)(void *), void *arg) {
  handlers[port].arg = arg;
  __atomic_store_n(&handlers[port].handler, handler, __ATOMIC_RELEASE);
}

static uint32_t take(uint32_t *p) { return __atomic_exchange_n(p, 0, __ATOMIC_SEQ_CST); }

static void dispatch_word(unsigned word, uint32_t bits) {
  for (; bits; bits &= bits - 1) {
    unsigned port = word * 32 + (unsigned)__builtin_ctz(bits);
    void (*handler)(void *) = __atomic_load_n(&handlers[port].handler, __ATOMIC_ACQUIRE);
    if (handler) handler(handlers[port].arg);
  }
}

/* Everything of the highest priority that is pending, which is the lowest number. */
static void dispatch_priority(struct vcpu_info *info, unsigned q) {
  __atomic_fetch_and(&info->evtchn_ready, ~(1u << q), __ATOMIC_SEQ_CST);
  for (uint32_t words = take(&info->evtchn_pending_sel[q]); words; words &= words - 1) {
    unsigned word = (unsigned)__builtin_ctz(words);
    dispatch_word(word, take(&info->evtchn_pending[q][word]));
  }
}

void event_dispatch(void) {
  struct vcpu_info *info = &cpus[this_cpu].info;
  for (uint32_t ready; (ready = __atomic_load_n(&info->evtchn_ready, __ATOMIC_SEQ_CST)) != 0;) dispatch_priority(info, (unsigned)__builtin_ctz(ready));
}
