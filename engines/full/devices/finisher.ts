/** Test finisher (SiFive's `sifive,test1`, as in QEMU's `virt`): the guest ends its machine by writing to word 0. */
import type { AccessSize, Device } from './device.js';

/** How a guest ended its machine. */
export type GuestEnd = { kind: 'poweroff'; code: number } | { kind: 'reset' };

const FAIL = 0x3333;
const PASS = 0x5555;
const RESET = 0x7777;

export class Finisher implements Device {
  readonly name = 'finisher';

  constructor(private readonly end: (how: GuestEnd) => void) {}

  read(_offset: number, _size: AccessSize): number {
    return 0;
  }

  write(offset: number, size: AccessSize, value: number): void {
    if (offset !== 0 || size === 1) return;
    const status = value & 0xffff;
    if (status === PASS) this.end({ kind: 'poweroff', code: 0 });
    else if (status === FAIL) this.end({ kind: 'poweroff', code: value >>> 16 });
    else if (status === RESET) this.end({ kind: 'reset' });
  }
}
