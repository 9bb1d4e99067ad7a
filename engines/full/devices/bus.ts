/** The bus: a table of windows, and two methods that find the device behind an address. */
import type { AccessSize, Device } from './device.js';

export interface Window {
  readonly base: number;
  readonly bytes: number;
  readonly device: Device;
}

/** Which device answers at which guest-physical address. Refuses windows that overlap. */
export class AddressMap {
  readonly #windows: Window[] = [];

  /** Throws a RangeError that names both devices when the window overlaps another; `base` and `bytes` in bytes. */
  add(base: number, bytes: number, device: Device): void {
    if (!(base >= 0 && bytes > 0 && Number.isSafeInteger(base + bytes))) {
      throw new RangeError(`window of ${device.name}: ${bytes} bytes at ${hex(base)}`);
    }
    const other = this.#windows.find((w) => base < w.base + w.bytes && w.base < base + bytes);
    if (other !== undefined) {
      throw new RangeError(
        `windows of ${device.name} (${hex(base)}) and ${other.device.name} (${hex(other.base)}) overlap`,
      );
    }
    this.#windows.push({ base, bytes, device });
  }

  /** In the order of registration. */
  get windows(): readonly Window[] {
    return this.#windows;
  }
}

const hex = (value: number): string => `0x${value.toString(16)}`;

/** Reads and writes at one window, as counters. Lives in shared memory: one row a thread, two words a window. */
export type BusCounters = Float64Array;

/** One thread's way to the devices. Never throws for any address or value. */
export class Bus {
  #last: Window | undefined;
  #lastIndex = 0;

  /** counters: room for two numbers a window of the map, reads and writes. */
  constructor(
    private readonly map: AddressMap,
    private readonly counters: BusCounters,
  ) {}

  /** An aligned read. NaN where no device answers (an access fault for a hart). */
  read(address: number, size: AccessSize): number {
    const window = this.#find(address);
    if (window === undefined) return Number.NaN;
    this.counters[this.#lastIndex * 2]++;
    return window.device.read(address - window.base, size);
  }

  /** An aligned write; bits of `value` above the access are ignored. False where no device answers. */
  write(address: number, size: AccessSize, value: number): boolean {
    const window = this.#find(address);
    if (window === undefined) return false;
    this.counters[this.#lastIndex * 2 + 1]++;
    window.device.write(address - window.base, size, truncate(value, size));
    return true;
  }

  #find(address: number): Window | undefined {
    const last = this.#last;
    if (last !== undefined && address >= last.base && address < last.base + last.bytes) return last;
    const index = this.map.windows.findIndex((w) => address >= w.base && address < w.base + w.bytes);
    if (index < 0) return undefined;
    this.#lastIndex = index;
    this.#last = this.map.windows[index];
    return this.#last;
  }
}

function truncate(value: number, size: AccessSize): number {
  if (size === 4) return value >>> 0;
  return size === 2 ? value & 0xffff : value & 0xff;
}
