/**
 * The mask ROM of QEMU's `virt` at 0x1000: the code with which a hart comes out of reset, and what it hands to firmware.
 * Our harts begin behind that code, with its results in their registers; firmware reads the rest of the ROM: OpenSBI's
 * `struct fw_dynamic_info` (OpenSBI docs/firmware/fw_dynamic.md), to which a2 points.
 */
import type { AccessSize, Device } from '../devices/device.js';
import { ENTRY, REGION } from '../memory-map.js';

/** auipc t0, 0; addi a2, t0, 40; csrr a0, mhartid; ld a1, 32(t0); ld t0, 24(t0); jr t0. */
const CODE = [0x0000_0297, 0x0282_8613, 0xf140_2573, 0x0202_b583, 0x0182_b283, 0x0002_8067];
const ENTRY_AT = 24;
const FDT_AT = 32;
const DYNAMIC_INFO_AT = 40;
const DYNAMIC_INFO = { magic: 0x4942_534fn, version: 2n, supervisorMode: 1n, options: 0n, bootHart: 0n };

/** a2 of every hart at reset. */
export const DYNAMIC_INFO_ADDRESS = REGION.bootRom.base + DYNAMIC_INFO_AT;

export class BootRom implements Device {
  readonly name = 'boot-rom';
  readonly #view = new DataView(new ArrayBuffer(REGION.bootRom.bytes));

  /** kernelEntry: where firmware goes on, in S-mode; 0: nowhere. */
  constructor(loaded: { fdtAddress: number; kernelEntry: number }) {
    const view = this.#view;
    CODE.forEach((word, i) => {
      view.setUint32(i * 4, word, true);
    });
    view.setBigUint64(ENTRY_AT, BigInt(ENTRY), true);
    view.setBigUint64(FDT_AT, BigInt(loaded.fdtAddress), true);
    const { magic, version, supervisorMode, options, bootHart } = DYNAMIC_INFO;
    const words = [magic, version, BigInt(loaded.kernelEntry), supervisorMode, options, bootHart];
    words.forEach((word, i) => {
      view.setBigUint64(DYNAMIC_INFO_AT + i * 8, word, true);
    });
  }

  read(offset: number, size: AccessSize): number {
    if (size === 4) return this.#view.getUint32(offset, true);
    return size === 2 ? this.#view.getUint16(offset, true) : this.#view.getUint8(offset);
  }

  write(_offset: number, _size: AccessSize, _value: number): void {}
}
