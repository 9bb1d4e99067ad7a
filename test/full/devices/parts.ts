/** What the devices' tests build them from: state in a memory of its own, and lines that can be looked at. */
import { type AccessSize, type Device, StateSlice } from '#engines/full/devices/device.js';
import type { InterruptLines } from '#engines/full/devices/hart-lines.js';

export function freshState(bytes: number): StateSlice {
  return new StateSlice(new SharedArrayBuffer(Math.ceil(bytes / 64) * 64), 0, 0, bytes);
}

export class RecordedLines implements InterruptLines {
  readonly levels: number[] = [];
  readonly timersChanged: number[] = [];

  set(hart: number, bits: number, level: boolean): void {
    const before = this.levels[hart] ?? 0;
    this.levels[hart] = level ? before | bits : before & ~bits;
  }

  timerChanged(hart: number): void {
    this.timersChanged.push(hart);
  }

  isUp(hart: number, bit: number): boolean {
    return ((this.levels[hart] ?? 0) & bit) !== 0;
  }
}

export interface Access {
  write: boolean;
  offset: number;
  size: AccessSize;
  value: number;
}

/** Does the access as a bus would; a read must answer an unsigned number of the access's width. */
export function access(device: Device, { write, offset, size, value }: Access): void {
  const at = offset - (offset % size);
  if (write) device.write(at, size, size === 4 ? value : value % 2 ** (8 * size));
  else if (!isUnsigned(device.read(at, size), size)) throw new Error(`read at ${at} of ${size}`);
}

const isUnsigned = (value: number, size: number): boolean =>
  Number.isInteger(value) && value >= 0 && value < 2 ** (8 * size);
