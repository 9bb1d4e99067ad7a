/*
 * ns16550.c: see ns16550.h. Output is polled, sixteen bytes (the FIFO) at a time; input comes by interrupt into a ring, whose one
 * producer is the handler and whose one consumer is console_read().
 */
#include "drivers/ns16550.h"

#include "drivers/fdt.h"
#include "kernel/kernel.h"
#include "kernel/lock.h"

enum { DATA = 0, IER = 1, FCR = 2, LCR = 3, MCR = 4, LSR = 5 };
enum { IER_RECEIVED = 1, FCR_ENABLE_CLEAR = 7, LCR_8N1 = 3, MCR_DTR_RTS_OUT2 = 0x0b, LSR_DATA = 1, LSR_EMPTY = 0x20, FIFO = 16 };
#define RING 4096u

static volatile void *base;
static uint32_t shift; /* registers are 1 << shift bytes apart */
static fdt_node node;
static struct lock lock;
static int dying;
static struct { char bytes[RING]; uint32_t head, tail; unsigned reader; } ring;

static uint8_t get(unsigned reg) { return mmio_read8(base, (size_t)reg << shift); }
static void put(unsigned reg, uint8_t v) { mmio_write8(base, (size_t)reg << shift, v); }

void uart_init(void) {
  uint64_t at, bytes;
  node = fdt_compatible(FDT_NONE, "ns16550a");
  if (node == FDT_NONE || fdt_reg(node, 0, &at, &bytes) != 0) return; /* mute */
  shift = fdt_u32(node, "reg-shift", 0);
  base = mmio_map(at, bytes);
  put(IER, 0);
  put(LCR, LCR_8N1);
  put(FCR, FCR_ENABLE_CLEAR);
}

static void interrupt(void *arg) {
  (void)arg;
  int any = 0;
  while (get(LSR) & LSR_DATA) {
    char c = (char)get(DATA);
    any = 1;
    if (ring.tail - __atomic_load_n(&ring.head, __ATOMIC_ACQUIRE) == RING) continue; /* lost, as on any overrun line */
    ring.bytes[ring.tail % RING] = c;
    __atomic_store_n(&ring.tail, ring.tail + 1, __ATOMIC_RELEASE);
  }
  if (any) cpu_wake(__atomic_load_n(&ring.reader, __ATOMIC_RELAXED));
}

void uart_init_input(void) {
  uint32_t source = fdt_u32(node, "interrupts", 0);
  if (!base || irq_register(source, interrupt, NULL) != 0) panic("the UART has no interrupt");
  put(MCR, MCR_DTR_RTS_OUT2);
  put(IER, IER_RECEIVED);
}

void console_dying(void) { __atomic_store_n(&dying, 1, __ATOMIC_RELAXED); }

void console_begin(void) {
  while (__atomic_exchange_n(&lock.held, 1, __ATOMIC_ACQUIRE) && !__atomic_load_n(&dying, __ATOMIC_RELAXED)) cpu_relax();
}

void console_end(void) { lock_release(&lock); }

void console_put(const char *bytes, size_t n) {
  for (size_t i = 0; base && i < n; i++) {
    while (i % FIFO == 0 && !(get(LSR) & LSR_EMPTY)) cpu_relax();
    put(DATA, (uint8_t)bytes[i]);
  }
}

void console_write(const char *bytes, size_t n) {
  console_begin();
  console_put(bytes, n);
  console_end();
}

char console_read(void) {
  __atomic_store_n(&ring.reader, cpu_id(), __ATOMIC_RELAXED);
  while (__atomic_load_n(&ring.tail, __ATOMIC_ACQUIRE) == ring.head) cpu_sleep(CPU_FOREVER);
  char c = ring.bytes[ring.head % RING];
  __atomic_store_n(&ring.head, ring.head + 1, __ATOMIC_RELEASE);
  return c;
}
