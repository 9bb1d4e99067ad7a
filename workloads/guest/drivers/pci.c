/*
 * pci.c: finds the devices on the PCI bus, gives them addresses, and hands them to their drivers.
 *
 * Nothing has been set up before us (-bios none): we size every memory BAR and place it in the host bridge's 32-bit window
 * (devicetree binding host-generic-pci: "reg" is the ECAM, "ranges" the windows, "interrupt-map" the wiring of INTA to INTD).
 * Drivers use memory BARs only, so I/O BARs get no address and I/O decoding stays off. Bridges are not followed: on `virt`
 * everything sits on bus 0 unless one asks for more.
 */
#include "pci.h"
#include "../kernel/kernel.h"
#include "fdt.h"

/* Configuration header, type 0 (PCI 3.0, 6.1 and 6.2). */
enum {
  CONFIG_ID = 0x00,
  CONFIG_COMMAND = 0x04,
  CONFIG_HEADER_TYPE = 0x0e,
  CONFIG_BAR0 = 0x10,
  CONFIG_INTERRUPT_PIN = 0x3d,
  COMMAND_MEMORY = 1 << 1,
  COMMAND_MASTER = 1 << 2,
  COMMAND_INTX_OFF = 1 << 10,
  HEADER_MANY_FUNCTIONS = 0x80,
  HEADER_LAYOUT = 0x7f,
  BAR_IO = 1 << 0,
  BAR_TYPE = 3 << 1,
  BAR_64_BIT = 2 << 1,
  SLOTS = 32,
  FUNCTIONS = 8,
  CONFIG_BYTES = 4096, /* of one function in the ECAM */
};
/* Devicetree binding pci: the space code in phys.hi of a range. */
#define RANGE_SPACE 0x03000000u
#define RANGE_MEMORY32 0x02000000u

/* Of several disks and cards the first found, in the order of slots, serves. */
static const struct pci_driver *const drivers[] = {
    &rtl8139_driver, &lsi53c895a_driver, &virtio_blk_driver, &virtio_blk_transitional_driver, &virtio_net_driver, &virtio_net_transitional_driver};

struct bridge {
  fdt_node node;
  uint64_t ecam, ecam_bytes;
  uint64_t next, end; /* what is left of the 32-bit memory window */
};

/* "ranges": child address (3 cells), parent address (2), size (2). The window must be mapped one to one: BARs hold bus addresses. */
static int find_window(struct bridge *b)
{
  uint32_t bytes;
  const void *ranges = fdt_prop(b->node, "ranges", &bytes);
  if (!ranges) return -1;
  for (uint32_t i = 0; (i + 7) * 4 <= bytes; i += 7) {
    uint64_t child = fdt_cells(ranges, i + 1, 2), parent = fdt_cells(ranges, i + 3, 2);
    if ((fdt_cell(ranges, i) & RANGE_SPACE) != RANGE_MEMORY32 || child != parent) continue;
    b->next = child;
    b->end = child + fdt_cells(ranges, i + 5, 2);
    return 0;
  }
  return -1;
}

/*
 * "interrupt-map": rows of child unit address (3 cells), pin (1), parent's phandle, parent's unit address, parent's interrupt.
 * The PLIC's #address-cells is 0 and its #interrupt-cells 1; other controllers' rows are measured by their own properties.
 */
static unsigned route_interrupt(const struct bridge *b, const struct pci_device *d, unsigned pin)
{
  uint32_t bytes, mask_bytes, i = 0;
  const void *map = fdt_prop(b->node, "interrupt-map", &bytes);
  const void *mask = fdt_prop(b->node, "interrupt-map-mask", &mask_bytes);
  if (!pin || !map || !mask || mask_bytes < 16) return 0;
  uint32_t address = (d->bus << 16 | d->slot << 11 | d->function << 8) & fdt_cell(mask, 0);
  while ((i + 6) * 4 <= bytes) {
    fdt_node parent = fdt_phandle(fdt_cell(map, i + 4));
    if (parent == FDT_NONE) return 0;
    uint32_t skip = fdt_u32(parent, "#address-cells", 0), cells = fdt_u32(parent, "#interrupt-cells", 1);
    if (skip > 3 || cells > 4 || (i + 5 + skip + cells) * 4 > bytes) return 0;
    if (fdt_cell(map, i) == address && fdt_cell(map, i + 3) == (pin & fdt_cell(mask, 3))) return fdt_cell(map, i + 5 + skip);
    i += 5 + skip + cells;
  }
  return 0;
}

/* The BAR's size: all ones written, the bits that stay zero are the offset (PCI 3.0, 6.2.5.1). Returns how many BARs it is. */
static unsigned place_bar(struct bridge *b, struct pci_device *d, unsigned n)
{
  size_t at = CONFIG_BAR0 + 4 * n;
  mmio_write32(d->config, at, 0xffffffff);
  uint32_t low = mmio_read32(d->config, at), high = 0xffffffff;
  if (!low || low & BAR_IO) {
    mmio_write32(d->config, at, 0);
    return 1;
  }
  unsigned wide = (low & BAR_TYPE) == BAR_64_BIT && n + 1 < PCI_BARS;
  if (wide) {
    mmio_write32(d->config, at + 4, 0xffffffff);
    high = mmio_read32(d->config, at + 4);
  }
  uint64_t bytes = ~((uint64_t)high << 32 | (low & ~0xfu)) + 1;
  uint64_t address = (b->next + bytes - 1) & ~(bytes - 1);
  if (address + bytes <= b->end && address + bytes > address) {
    b->next = address + bytes;
    d->bar[n].address = address;
    d->bar[n].bytes = bytes;
  } else {
    kprintf("pci %u.%u: no room for BAR %u of %llu bytes\n", d->slot, d->function, n, (unsigned long long)bytes);
    address = 0;
  }
  mmio_write32(d->config, at, (uint32_t)address);
  if (wide) mmio_write32(d->config, at + 4, (uint32_t)(address >> 32));
  return 1 + wide;
}

volatile void *pci_map_bar(const struct pci_device *d, unsigned bar, size_t bytes)
{
  if (bar >= PCI_BARS || d->bar[bar].bytes < bytes) return NULL;
  return mmio_map(d->bar[bar].address, d->bar[bar].bytes);
}

/* A pointer on the caller's stack would not outlive the probe: drivers copy what they keep. */
static void set_up(struct bridge *b, struct pci_device *d, const struct pci_driver *driver)
{
  uint16_t command = mmio_read16(d->config, CONFIG_COMMAND) & ~(COMMAND_MEMORY | COMMAND_MASTER | COMMAND_INTX_OFF);
  mmio_write16(d->config, CONFIG_COMMAND, command); /* must not decode while its BARs hold all ones */
  for (unsigned n = 0; n < PCI_BARS;) n += place_bar(b, d, n);
  d->irq = route_interrupt(b, d, mmio_read8(d->config, CONFIG_INTERRUPT_PIN));
  mmio_write16(d->config, CONFIG_COMMAND, command | COMMAND_MEMORY | COMMAND_MASTER);
  if (driver->probe(d) < 0) mmio_write16(d->config, CONFIG_COMMAND, command);
}

static const struct pci_driver *find_driver(uint16_t vendor, uint16_t device)
{
  for (unsigned i = 0; i < sizeof drivers / sizeof *drivers; i++)
    if (drivers[i]->vendor == vendor && drivers[i]->device == device) return drivers[i];
  return NULL;
}

/* Returns whether there are more functions to look for in this slot. */
static int look_at(struct bridge *b, unsigned slot, unsigned function)
{
  uint64_t at = b->ecam + ((uint64_t)slot << 15 | function << 12);
  struct pci_device d = {.config = mmio_map(at, CONFIG_BYTES), .slot = slot, .function = function};
  if (!d.config) return 0;
  uint32_t id = mmio_read32(d.config, CONFIG_ID);
  d.vendor = (uint16_t)id;
  d.device = (uint16_t)(id >> 16);
  if (d.vendor == 0xffff) return function > 0; /* nobody answers; functions other than 0 may have gaps */
  uint8_t header = mmio_read8(d.config, CONFIG_HEADER_TYPE);
  const struct pci_driver *driver = find_driver(d.vendor, d.device);
  if (driver && (header & HEADER_LAYOUT) == 0) set_up(b, &d, driver);
  return function > 0 || header & HEADER_MANY_FUNCTIONS;
}

void pci_init(void)
{
  struct bridge b = {.node = fdt_compatible(FDT_NONE, "pci-host-ecam-generic")};
  if (b.node == FDT_NONE) return;
  if (fdt_reg(b.node, 0, &b.ecam, &b.ecam_bytes) || b.ecam_bytes < (uint64_t)SLOTS * FUNCTIONS * CONFIG_BYTES || find_window(&b)) {
    kprintf("pci: host bridge without ECAM or 32-bit memory window\n");
    return;
  }
  for (unsigned slot = 0; slot < SLOTS; slot++)
    for (unsigned function = 0; function < FUNCTIONS; function++)
      if (!look_at(&b, slot, function)) break;
}
