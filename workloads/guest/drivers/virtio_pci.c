/* virtio_pci.c: a virtio device's registers on PCI, and its initialization. See virtio.h. VIRTIO 1.2, 3.1.1 and 4.1. */
#include "../kernel/kernel.h"
#include "virtio.h"

/* PCI 3.0, 6.7: the list of capabilities. */
enum { PCI_STATUS = 0x06, PCI_STATUS_CAPABILITIES = 1 << 4, PCI_CAPABILITIES = 0x34, PCI_HEADER_END = 0x40, CAPABILITIES_MAX = 48, VENDOR_SPECIFIC = 0x09 };
/* struct virtio_pci_cap (4.1.4). */
enum { CAP_TYPE = 3, CAP_BAR = 4, CAP_OFFSET = 8, CAP_LENGTH = 12, CAP_NOTIFY_MULTIPLIER = 16 };
enum { TYPE_COMMON = 1, TYPE_NOTIFY = 2, TYPE_ISR = 3, TYPE_DEVICE = 4 };
/* struct virtio_pci_common_cfg (4.1.4.3). */
enum {
  DEVICE_FEATURE_SELECT = 0x00,
  DEVICE_FEATURE = 0x04,
  DRIVER_FEATURE_SELECT = 0x08,
  DRIVER_FEATURE = 0x0c,
  DEVICE_STATUS = 0x14,
  CONFIG_GENERATION = 0x15,
  QUEUE_SELECT = 0x16,
  QUEUE_SIZE = 0x18,
  QUEUE_ENABLE = 0x1c,
  QUEUE_NOTIFY_OFF = 0x1e,
  QUEUE_DESC = 0x20,
  QUEUE_DRIVER = 0x28,
  QUEUE_DEVICE = 0x30,
  COMMON_BYTES = 0x38,
};
/* 2.1 */
enum { STATUS_ACKNOWLEDGE = 1, STATUS_DRIVER = 2, STATUS_DRIVER_OK = 4, STATUS_FEATURES_OK = 8, STATUS_FAILED = 128 };
enum { RESET_TRIES = 1000 };

/* The first capability of this type, which the device prefers; 0: none. */
static unsigned find_capability(const struct pci_device *d, unsigned type)
{
  if (!(mmio_read16(d->config, PCI_STATUS) & PCI_STATUS_CAPABILITIES)) return 0;
  unsigned at = mmio_read8(d->config, PCI_CAPABILITIES) & ~3u;
  for (int i = 0; i < CAPABILITIES_MAX && at >= PCI_HEADER_END; i++) {
    int ours = mmio_read8(d->config, at) == VENDOR_SPECIFIC && mmio_read8(d->config, at + CAP_TYPE) == type;
    if (ours && mmio_read8(d->config, at + CAP_BAR) < PCI_BARS) return at;
    at = mmio_read8(d->config, at + 1) & ~3u;
  }
  return 0;
}

/* The structure that a capability points to, NULL if there is none of at least `least` bytes. */
static volatile void *find_structure(const struct pci_device *d, unsigned type, size_t least, size_t *bytes)
{
  unsigned at = find_capability(d, type);
  if (!at) return NULL;
  unsigned bar = mmio_read8(d->config, at + CAP_BAR);
  uint64_t offset = mmio_read32(d->config, at + CAP_OFFSET);
  *bytes = mmio_read32(d->config, at + CAP_LENGTH);
  if (*bytes < least) return NULL;
  volatile uint8_t *base = pci_map_bar(d, bar, offset + *bytes);
  return base ? base + offset : NULL;
}

static uint64_t offered_features(struct virtio *v)
{
  mmio_write32(v->common, DEVICE_FEATURE_SELECT, 0);
  uint64_t low = mmio_read32(v->common, DEVICE_FEATURE);
  mmio_write32(v->common, DEVICE_FEATURE_SELECT, 1);
  return low | (uint64_t)mmio_read32(v->common, DEVICE_FEATURE) << 32;
}

static void accept_features(struct virtio *v)
{
  mmio_write32(v->common, DRIVER_FEATURE_SELECT, 0);
  mmio_write32(v->common, DRIVER_FEATURE, (uint32_t)v->features);
  mmio_write32(v->common, DRIVER_FEATURE_SELECT, 1);
  mmio_write32(v->common, DRIVER_FEATURE, (uint32_t)(v->features >> 32));
}

static void add_status(struct virtio *v, uint8_t bits)
{
  mmio_write8(v->common, DEVICE_STATUS, mmio_read8(v->common, DEVICE_STATUS) | bits);
}

/* Status reads 0 once the reset is done (4.1.4.3.2). */
static int reset(struct virtio *v)
{
  mmio_write8(v->common, DEVICE_STATUS, 0);
  for (int i = 0; i < RESET_TRIES; i++) {
    if (mmio_read8(v->common, DEVICE_STATUS) == 0) return 0;
    clock_delay_ns(10000);
  }
  return -1;
}

static const char *set_up(struct virtio *v, const struct pci_device *d, uint64_t wanted)
{
  size_t bytes;
  v->common = find_structure(d, TYPE_COMMON, COMMON_BYTES, &bytes);
  v->notify = find_structure(d, TYPE_NOTIFY, 2, &v->notify_bytes);
  v->isr = find_structure(d, TYPE_ISR, 1, &bytes);
  v->config = find_structure(d, TYPE_DEVICE, 1, &v->config_bytes);
  if (!v->common || !v->notify || !v->isr) return "has no modern interface";
  if (!d->irq) return "has no interrupt";
  v->notify_multiplier = mmio_read32(d->config, find_capability(d, TYPE_NOTIFY) + CAP_NOTIFY_MULTIPLIER);
  if (reset(v)) return "does not come out of its reset";
  add_status(v, STATUS_ACKNOWLEDGE);
  add_status(v, STATUS_DRIVER);
  v->features = offered_features(v) & (wanted | VIRTIO_F_VERSION_1);
  if (!(v->features & VIRTIO_F_VERSION_1)) return "does not offer VERSION_1";
  accept_features(v);
  add_status(v, STATUS_FEATURES_OK);
  return mmio_read8(v->common, DEVICE_STATUS) & STATUS_FEATURES_OK ? NULL : "refuses our features";
}

int virtio_open(struct virtio *v, const struct pci_device *d, uint64_t wanted, const char *name)
{
  const char *trouble = set_up(v, d, wanted);
  if (!trouble) return 0;
  kprintf("%s: the device in PCI slot %u %s\n", name, d->slot, trouble);
  if (v->common) virtio_give_up(v);
  return -1;
}

void virtio_start(struct virtio *v) { add_status(v, STATUS_DRIVER_OK); }
void virtio_give_up(struct virtio *v) { add_status(v, STATUS_FAILED); }
uint8_t virtio_isr(struct virtio *v) { return mmio_read8(v->isr, 0); }

static uint64_t read_config(const struct virtio *v, size_t at, unsigned bytes)
{
  if (bytes == 1) return mmio_read8(v->config, at);
  if (bytes == 2) return mmio_read16(v->config, at);
  if (bytes == 4) return mmio_read32(v->config, at);
  return mmio_read32(v->config, at) | (uint64_t)mmio_read32(v->config, at + 4) << 32;
}

/* The generation changes when the device has changed something in between (2.5.2). */
uint64_t virtio_config(const struct virtio *v, size_t at, unsigned bytes)
{
  if (!v->config || at + bytes > v->config_bytes) return 0;
  uint64_t value = 0;
  for (uint8_t before = 0, after = 1; before != after;) {
    before = mmio_read8(v->common, CONFIG_GENERATION);
    value = read_config(v, at, bytes);
    after = mmio_read8(v->common, CONFIG_GENERATION);
  }
  return value;
}

/* ---- queues: registers ---- */

static void put_address(struct virtio *v, size_t at, const volatile void *p)
{
  uint64_t address = dma_address((const void *)p);
  mmio_write32(v->common, at, (uint32_t)address);
  mmio_write32(v->common, at + 4, (uint32_t)(address >> 32));
}

/* Layout of our one block: descriptors, available ring, used ring (aligned to 16, 2 and 4 bytes: 2.7). */
static int allocate(struct virtqueue *q)
{
  size_t desc = 16u * q->size, avail = 6 + 2u * q->size, used_at = (desc + avail + 63) & ~(size_t)63;
  uint8_t *room = dma_alloc(used_at + 6 + 8u * q->size);
  if (!room) return -1;
  q->desc = (struct virtq_desc *)room;
  q->avail = (volatile uint16_t *)(room + desc);
  q->used = room + used_at;
  return 0;
}

int virtqueue_open(struct virtio *v, struct virtqueue *q, unsigned index, unsigned most)
{
  mmio_write16(v->common, QUEUE_SELECT, (uint16_t)index);
  unsigned size = mmio_read16(v->common, QUEUE_SIZE);
  while (size > most) size /= 2; /* both are powers of two (2.7) */
  if (size & (size - 1)) return -1;
  size_t doorbell = (size_t)mmio_read16(v->common, QUEUE_NOTIFY_OFF) * v->notify_multiplier;
  if (!size || doorbell + 2 > v->notify_bytes) return -1;
  *q = (struct virtqueue){.size = size, .index = index, .event_idx = (v->features & VIRTIO_F_EVENT_IDX) != 0};
  q->doorbell = (volatile uint8_t *)v->notify + doorbell;
  if (allocate(q)) return -1;
  mmio_write16(v->common, QUEUE_SIZE, (uint16_t)size);
  put_address(v, QUEUE_DESC, q->desc);
  put_address(v, QUEUE_DRIVER, q->avail);
  put_address(v, QUEUE_DEVICE, q->used);
  mmio_write16(v->common, QUEUE_ENABLE, 1);
  return 0;
}
