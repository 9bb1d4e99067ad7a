/** Common configuration structure of a virtio device on PCI (virtio 1.2, 4.1.4.3), as registers over the core. */
import type { AccessSize } from '../device.js';
import type { VirtioCore } from './core.js';
import { ADDRESS } from './virtqueue.js';

export const COMMON = {
  DEVICE_FEATURE_SELECT: 0,
  DEVICE_FEATURE: 4,
  DRIVER_FEATURE_SELECT: 8,
  DRIVER_FEATURE: 12,
  CONFIG_MSIX_VECTOR: 16,
  NUM_QUEUES: 18,
  DEVICE_STATUS: 20,
  CONFIG_GENERATION: 21,
  QUEUE_SELECT: 22,
  QUEUE_SIZE: 24,
  QUEUE_MSIX_VECTOR: 26,
  QUEUE_ENABLE: 28,
  QUEUE_NOTIFY_OFF: 30,
  QUEUE_TABLE: 32,
  QUEUE_AVAILABLE: 40,
  QUEUE_USED: 48,
} as const;

const NO_VECTOR = 0xffff;

export class CommonConfig {
  /** Up to queue_device; the fields of features that are not offered (NOTIFICATION_DATA, RING_RESET) are not there. */
  static readonly BYTES = 56;

  constructor(private readonly core: VirtioCore) {}

  /** Fields of one word of 32 bits, put together: reads have no side effects, so any width does. */
  read(offset: number, size: AccessSize): number {
    if (offset >= CommonConfig.BYTES) return 0;
    const word = this.#word(offset & ~3) >>> ((offset & 3) * 8);
    return size === 4 ? word >>> 0 : word & ((1 << (8 * size)) - 1);
  }

  #word(offset: number): number {
    const { core } = this;
    const queue = core.selected;
    switch (offset) {
      case COMMON.DEVICE_FEATURE_SELECT:
        return core.deviceFeaturesSelect;
      case COMMON.DEVICE_FEATURE:
        return core.deviceFeatures;
      case COMMON.DRIVER_FEATURE_SELECT:
        return core.driverFeaturesSelect;
      case COMMON.DRIVER_FEATURE:
        return core.driverFeatures;
      case COMMON.CONFIG_MSIX_VECTOR:
        return (core.queues.length << 16) | NO_VECTOR;
      case COMMON.DEVICE_STATUS:
        return (core.queueSelect << 16) | ((core.configGeneration & 0xff) << 8) | core.status;
      case COMMON.QUEUE_SIZE:
        return (NO_VECTOR << 16) | (queue?.size ?? 0);
      case COMMON.QUEUE_ENABLE:
        return queue ? (core.queueSelect << 16) | (queue.enabled ? 1 : 0) : 0;
      default:
        return queue?.address(addressAt(offset), (offset >> 2) & 1) ?? 0;
    }
  }

  /** By the fields' own widths, addresses in halves, as a driver must (4.1.3.1). Others are ignored. */
  write(offset: number, size: AccessSize, value: number): void {
    if (size === 4) this.#write32(offset, value);
    else if (size === 2) this.#write16(offset, value);
    else if (offset === COMMON.DEVICE_STATUS) this.core.status = value;
  }

  #write32(offset: number, value: number): void {
    const { core } = this;
    if (offset === COMMON.DEVICE_FEATURE_SELECT) core.deviceFeaturesSelect = value;
    else if (offset === COMMON.DRIVER_FEATURE_SELECT) core.driverFeaturesSelect = value;
    else if (offset === COMMON.DRIVER_FEATURE) core.driverFeatures = value;
    else if (offset >= COMMON.QUEUE_TABLE && offset < CommonConfig.BYTES && offset % 4 === 0) {
      core.selected?.setAddress(addressAt(offset), (offset >> 2) & 1, value);
    }
  }

  #write16(offset: number, value: number): void {
    const { core } = this;
    if (offset === COMMON.QUEUE_SELECT) core.queueSelect = value;
    else if (offset === COMMON.QUEUE_SIZE && core.selected) core.selected.size = value;
    else if (offset === COMMON.QUEUE_ENABLE && value === 1) core.enableSelected();
  }
}

function addressAt(offset: number): number {
  if (offset < COMMON.QUEUE_AVAILABLE) return ADDRESS.TABLE;
  return offset < COMMON.QUEUE_USED ? ADDRESS.AVAILABLE : ADDRESS.USED;
}
