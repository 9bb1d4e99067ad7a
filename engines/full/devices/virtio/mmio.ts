/** A virtio device over MMIO (virtio 1.2, 4.2; register layout version 2). Registers are 32 bits wide and accessed so. */
import type { AccessSize, Device } from '../device.js';
import type { VirtioModel } from './core.js';
import { VirtioTransport } from './transport.js';
import { ADDRESS, type Virtqueue } from './virtqueue.js';

/** 4.2.2, table 4.1. */
export const MMIO = {
  MAGIC: 0x000,
  VERSION: 0x004,
  DEVICE_ID: 0x008,
  VENDOR_ID: 0x00c,
  DEVICE_FEATURES: 0x010,
  DEVICE_FEATURES_SELECT: 0x014,
  DRIVER_FEATURES: 0x020,
  DRIVER_FEATURES_SELECT: 0x024,
  QUEUE_SELECT: 0x030,
  QUEUE_SIZE_MAX: 0x034,
  QUEUE_SIZE: 0x038,
  QUEUE_READY: 0x044,
  QUEUE_NOTIFY: 0x050,
  INTERRUPT_STATUS: 0x060,
  INTERRUPT_ACK: 0x064,
  STATUS: 0x070,
  QUEUE_TABLE: 0x080,
  QUEUE_AVAILABLE: 0x090,
  QUEUE_USED: 0x0a0,
  SHM_LENGTH: 0x0b0,
  SHM_BASE: 0x0b8,
  CONFIG_GENERATION: 0x0fc,
  CONFIG: 0x100,
} as const;

const MAGIC = 0x7472_6976; // "virt"
const VERSION = 2;
/** "QEMU": 4.2.2 leaves it open, and small guests (xv6) take no other. */
const VENDOR = 0x554d_4551;
/** No shared memory region (4.2.3.1): its length and base read all ones. */
const NONE = 0xffff_ffff;

export class VirtioMmio extends VirtioTransport implements Device {
  /** irq: level of the device's interrupt line. */
  constructor(model: VirtioModel, irq: (level: boolean) => void) {
    super(model, 'mmio');
    this.core.connect(irq);
  }

  read(offset: number, size: AccessSize): number {
    if (offset >= MMIO.CONFIG) return this.core.readConfig(offset - MMIO.CONFIG, size);
    return size === 4 ? this.#readRegister(offset) : 0;
  }

  write(offset: number, size: AccessSize, value: number): void {
    if (offset >= MMIO.CONFIG) this.core.writeConfig(offset - MMIO.CONFIG, size, value);
    else if (size === 4) this.#writeRegister(offset, value);
  }

  #readRegister(offset: number): number {
    const { core } = this;
    switch (offset) {
      case MMIO.MAGIC:
        return MAGIC;
      case MMIO.VERSION:
        return VERSION;
      case MMIO.DEVICE_ID:
        return core.traits.type;
      case MMIO.VENDOR_ID:
        return VENDOR;
      case MMIO.DEVICE_FEATURES:
        return core.deviceFeatures;
      case MMIO.QUEUE_SIZE_MAX:
        return core.selected?.maxSize ?? 0;
      case MMIO.QUEUE_READY:
        return core.selected?.enabled ? 1 : 0;
      case MMIO.INTERRUPT_STATUS:
        return core.interrupts;
      case MMIO.STATUS:
        return core.status;
      case MMIO.SHM_LENGTH:
      case MMIO.SHM_LENGTH + 4:
      case MMIO.SHM_BASE:
      case MMIO.SHM_BASE + 4:
        return NONE;
      case MMIO.CONFIG_GENERATION:
        return core.configGeneration >>> 0;
      default:
        return 0;
    }
  }

  #writeRegister(offset: number, value: number): void {
    const { core } = this;
    switch (offset) {
      case MMIO.QUEUE_NOTIFY:
        core.notify(value);
        return;
      case MMIO.INTERRUPT_ACK:
        core.acknowledge(value);
        return;
      case MMIO.DEVICE_FEATURES_SELECT:
        core.deviceFeaturesSelect = value;
        return;
      case MMIO.DRIVER_FEATURES:
        core.driverFeatures = value;
        return;
      case MMIO.DRIVER_FEATURES_SELECT:
        core.driverFeaturesSelect = value;
        return;
      case MMIO.QUEUE_SELECT:
        core.queueSelect = value;
        return;
      case MMIO.QUEUE_READY:
        if (value & 1) core.enableSelected();
        else core.disableSelected();
        return;
      case MMIO.STATUS:
        core.status = value & 0xff;
        return;
      default:
        if (core.selected) this.#writeQueue(core.selected, offset, value);
    }
  }

  #writeQueue(queue: Virtqueue, offset: number, value: number): void {
    const half = (offset >> 2) & 1;
    if (offset === MMIO.QUEUE_SIZE) queue.size = value;
    else if (offset >> 3 === MMIO.QUEUE_TABLE >> 3) queue.setAddress(ADDRESS.TABLE, half, value);
    else if (offset >> 3 === MMIO.QUEUE_AVAILABLE >> 3) queue.setAddress(ADDRESS.AVAILABLE, half, value);
    else if (offset >> 3 === MMIO.QUEUE_USED >> 3) queue.setAddress(ADDRESS.USED, half, value);
  }
}
