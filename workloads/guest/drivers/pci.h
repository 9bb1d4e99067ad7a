/*
 * pci.h: between the PCI bus (pci.c) and the drivers of its devices. PCI Local Bus Specification 3.0, chapter 6.
 * A driver is a struct pci_driver and one line in pci.c's table.
 */
#ifndef VIRTAX_PCI_H
#define VIRTAX_PCI_H
#include <stddef.h>
#include <stdint.h>

#define PCI_BARS 6

struct pci_device {
  volatile void *config;       /* its 4 KiB of ECAM */
  unsigned bus, slot, function;
  uint16_t vendor, device;
  unsigned irq;                /* interrupt source of the PLIC, 0: none */
  struct {
    uint64_t address, bytes;   /* bytes 0: no memory BAR here */
  } bar[PCI_BARS];
};

struct pci_driver {
  uint16_t vendor, device;
  /* Takes the device: 0, or negative errno after a message. The device decodes its memory and masters the bus already. */
  int (*probe)(const struct pci_device *);
};

/* The registers behind a memory BAR, NULL if there is none of that many bytes. */
volatile void *pci_map_bar(const struct pci_device *, unsigned bar, size_t bytes);

extern const struct pci_driver rtl8139_driver, lsi53c895a_driver;
extern const struct pci_driver virtio_blk_driver, virtio_blk_transitional_driver, virtio_net_driver, virtio_net_transitional_driver;
#endif
