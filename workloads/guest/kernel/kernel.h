/*
 * kernel.h: what the kernel of a machine with hardware (port/riscv64) gives its drivers. What every port has (clock, sleeping,
 * console) is in port.h; the device tree is in drivers/fdt.h; the layers that a driver registers with in blockdev.h and netdev.h.
 *
 * Addresses: the kernel maps RAM and all devices at their physical address (identity, Sv39 gigapages), so a kernel pointer into
 * RAM is also the address that a device uses for DMA.
 *
 * Drivers take no locks of their own where the layer above holds one: the block layer calls a disk's submit() and interrupt()
 * under the disk's lock, the network stack a card's transmit() and interrupt() under its lock.
 *
 * Boot order (port/riscv64/main.c), on CPU 0: fdt, pages, Sv39, uart, plic, then pci_init(), which walks the buses and calls the
 * drivers' probe functions; the drivers register with the layer above and by irq_register().
 */
#ifndef VIRTAX_KERNEL_H
#define VIRTAX_KERNEL_H
#include <stddef.h>
#include <stdint.h>
#include "port.h"
#include "print.h" /* kprintf, panic */

/* ---- memory for devices: zeroed, 4 KiB aligned, physically contiguous, coherent; NULL if there is none left ---- */
void *dma_alloc(size_t bytes);
void dma_free(void *p, size_t bytes);
static inline uint64_t dma_address(const void *p) { return (uint64_t)(uintptr_t)p; }

/* ---- device registers: little endian, in program order among themselves and with memory (RVWMO: fences inside) ---- */
/* Before the first access to a device. The kernel pointer to [physical, physical + bytes). Boot only. */
volatile void *mmio_map(uint64_t physical, size_t bytes);

#ifdef __riscv
#define MMIO_ACCESSORS(bits)                                                             \
  static inline uint##bits##_t mmio_read##bits(const volatile void *base, size_t offset) \
  {                                                                                      \
    uint##bits##_t v = *(const volatile uint##bits##_t *)((uintptr_t)base + offset);     \
    __asm__ volatile("fence i, ir" ::: "memory");                                        \
    return v;                                                                            \
  }                                                                                      \
  static inline void mmio_write##bits(volatile void *base, size_t offset, uint##bits##_t v) \
  {                                                                                      \
    __asm__ volatile("fence rw, o" ::: "memory");                                        \
    *(volatile uint##bits##_t *)((uintptr_t)base + offset) = v;                          \
  }
MMIO_ACCESSORS(8)
MMIO_ACCESSORS(16)
MMIO_ACCESSORS(32)
#undef MMIO_ACCESSORS
/* Between looking at a word that a device writes by DMA (an "own" bit, an index) and at the data which that word announces; and before giving a word away. */
static inline void dma_fence(void) { __asm__ volatile("fence rw, rw" ::: "memory"); }
#endif

/* ---- interrupts ---- */
/*
 * handler(arg) runs when the PLIC's source is pending, with interrupts off, on the CPU that claimed it. Several handlers may share
 * a source (PCI's INTx are wired together): each looks at its device and returns if that is quiet. The line must be quiet when all
 * have returned. 0, or -1: no such source, or too many handlers.
 */
int irq_register(unsigned source, void (*handler)(void *), void *arg);

/* ---- time ---- */
void clock_delay_ns(uint64_t ns); /* spins; for resets at boot */

/* ---- buses, called by main.c ---- */
void pci_init(void); /* drivers/pci.c: finds the host bridge in the device tree ("pci-host-ecam-generic"), assigns BARs, probes. Quiet if there is none. */

#endif
