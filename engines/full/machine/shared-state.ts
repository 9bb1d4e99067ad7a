/**
 * The machine's one shared memory: hart states, device states, console and doorbells, then RAM (DESIGN rule 1).
 * The layout follows from the configuration alone, so every thread works it out for itself.
 */

import type { VmConfig } from '../config.js';
import { HART_STATE_BYTES } from '../cpu/layout.js';
import { clintStateBytes } from '../devices/clint.js';
import { STATE_ALIGNMENT, StateSlice } from '../devices/device.js';
import { PCI_HOST_STATE_BYTES } from '../devices/pci/pci-host.js';
import { plicStateBytes } from '../devices/plic.js';
import { RTC_STATE_BYTES } from '../devices/rtc.js';
import { UART_STATE_BYTES } from '../devices/uart.js';
import { MAX_HARTS } from '../memory-map.js';
import { byteRingBytes } from './byte-ring.js';
import { plannedDevices } from './device-table.js';
import { DOORBELLS_BYTES } from './doorbells.js';
import { THREAD_COUNTERS_BYTES } from './thread-counters.js';

const PAGE = 65_536;
const MAX_PAGES = 65_536;
const CONSOLE_OUT_BYTES = 65_536;
const CONSOLE_IN_BYTES = 4096;
const RUN_STATE_BYTES = 64;

const PARTS = {
  run: () => RUN_STATE_BYTES,
  uart: () => UART_STATE_BYTES,
  clint: (harts: number) => clintStateBytes(harts),
  plic: (harts: number) => plicStateBytes(harts),
  rtc: () => RTC_STATE_BYTES,
  pci: () => PCI_HOST_STATE_BYTES,
  consoleOut: () => byteRingBytes(CONSOLE_OUT_BYTES),
  consoleIn: () => byteRingBytes(CONSOLE_IN_BYTES),
  doorbells: () => DOORBELLS_BYTES,
  threads: (harts: number) => harts * THREAD_COUNTERS_BYTES,
} as const;
export type Part = keyof typeof PARTS;

/** The machine is too large, or cannot be built so. */
export class MachineTooLarge extends Error {
  override readonly name = 'MachineTooLarge';
}

export class StateLayout {
  readonly ramOffset: number;
  /** Pages of 64 KiB in all. */
  readonly pages: number;
  readonly harts: number;
  readonly ramBytes: number;
  /** By part, or `device NAME` for those of the table. */
  readonly #offsets = new Map<string, { offset: number; bytes: number }>();

  /** Throws MachineTooLarge, with what to do, when the machine does not fit into one WebAssembly memory of 4 GiB. */
  constructor(config: VmConfig) {
    const { harts, memoryBytes: ramBytes } = config;
    this.harts = harts;
    this.ramBytes = ramBytes;
    if (!Number.isInteger(harts) || harts < 1 || harts > MAX_HARTS) {
      throw new MachineTooLarge(`a machine has 1 to ${MAX_HARTS} harts, not ${harts}`);
    }
    let at = harts * HART_STATE_BYTES;
    const place = (name: string, bytes: number): void => {
      this.#offsets.set(name, { offset: at, bytes });
      at += roundUp(bytes, STATE_ALIGNMENT);
    };
    for (const part of Object.keys(PARTS) as Part[]) place(part, PARTS[part](harts));
    for (const device of plannedDevices(config)) place(deviceName(device.name), device.stateBytes);
    this.ramOffset = roundUp(at, PAGE);
    this.pages = roundUp(this.ramOffset + ramBytes, PAGE) / PAGE;
    if (this.pages > MAX_PAGES) {
      const most = Math.floor((MAX_PAGES * PAGE - this.ramOffset) / 2 ** 20);
      throw new MachineTooLarge(
        `${ramBytes / 2 ** 20} MiB of memory do not fit: with ${harts} hart${harts === 1 ? '' : 's'} a machine has at most ${most} MiB`,
      );
    }
  }

  hartBase(hart: number): number {
    return hart * HART_STATE_BYTES;
  }

  /** memoryId: the memory as registered with the calling thread's IoContext (0 where devices do no I/O). */
  slice(buffer: SharedArrayBuffer, part: Part, memoryId: number): StateSlice {
    return this.#slice(buffer, part, memoryId);
  }

  /** The same for a device of the table, by its name there. */
  deviceSlice(buffer: SharedArrayBuffer, name: string, memoryId: number): StateSlice {
    return this.#slice(buffer, deviceName(name), memoryId);
  }

  #slice(buffer: SharedArrayBuffer, name: string, memoryId: number): StateSlice {
    const place = this.#offsets.get(name);
    if (place === undefined) throw new RangeError(`no part ${name}`);
    return new StateSlice(buffer, memoryId, place.offset, place.bytes);
  }
}

const deviceName = (name: string): string => `device ${name}`;
const roundUp = (value: number, unit: number): number => Math.ceil(value / unit) * unit;
