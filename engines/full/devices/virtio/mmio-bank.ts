/**
 * The eight windows for virtio over MMIO that QEMU's `virt` has: device n at 4 KiB * n, with an interrupt source of its own.
 * A window without a device answers as virtio 1.2, 4.2.3.1.1 has it: the magic value, and device id 0, which drivers pass over.
 */
import type { AccessSize, Device } from '../device.js';

export const VIRTIO_MMIO_WINDOWS = 8;
export const VIRTIO_MMIO_BYTES = 0x1000;
const MAGIC = 0x7472_6976; // "virt"
const VERSION = 2;

export class VirtioMmioBank implements Device {
  readonly name = 'virtio-mmio';
  readonly #devices: (Device | undefined)[] = [];

  /** setIrq: level of the interrupt of window n at the interrupt controller. */
  constructor(readonly setIrq: (window: number, level: boolean) => void) {}

  /** Every thread must attach the same devices to the same windows, 0 to 7. */
  attach(window: number, device: Device): void {
    if (!(window >= 0 && window < VIRTIO_MMIO_WINDOWS) || this.#devices[window]) {
      throw new RangeError(`virtio-mmio window ${window} for ${device.name}`);
    }
    this.#devices[window] = device;
  }

  /** For traces: who answers at an offset of the bank. */
  deviceAt(offset: number): { device: Device; base: number } | undefined {
    const device = this.#devices[Math.floor(offset / VIRTIO_MMIO_BYTES)];
    return device && { device, base: offset - (offset % VIRTIO_MMIO_BYTES) };
  }

  read(offset: number, size: AccessSize): number {
    const device = this.#devices[Math.floor(offset / VIRTIO_MMIO_BYTES)];
    const register = offset % VIRTIO_MMIO_BYTES;
    if (device !== undefined) return device.read(register, size);
    if (size !== 4) return 0;
    return register === 0 ? MAGIC : register === 4 ? VERSION : 0;
  }

  write(offset: number, size: AccessSize, value: number): void {
    this.#devices[Math.floor(offset / VIRTIO_MMIO_BYTES)]?.write(offset % VIRTIO_MMIO_BYTES, size, value);
  }
}
