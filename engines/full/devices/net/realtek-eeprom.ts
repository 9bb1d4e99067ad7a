/** The EEPROM (93C46) beside Realtek's cards: what stands in it, and its wires in their register 9346CR, which all of them share. */
import { clockMicrowire, WIRE } from './microwire.js';

/** 9346CR: mode in bits 7:6 (2 programs the EEPROM by hand, 3 unlocks the configuration), then the EEPROM's wires. */
export const EECR = {
  MODE: 3 << 6,
  PROGRAM: 2 << 6,
  UNLOCK: 3 << 6,
  CS: 1 << 3,
  SK: 1 << 2,
  DI: 1 << 1,
  DO: 1 << 0,
} as const;

/** What the card reads at power-on: identity and station address (RTL8139D(L) and RTL8169 datasheets, chapter 6 or 7). */
export function eepromWord(address: number, mac: Uint8Array, device = 0x8139): number {
  if (address === 0) return 0x8129;
  if (address === 1) return 0x10ec;
  if (address === 2) return device;
  if (address >= 7 && address <= 9) {
    const at = (address - 7) * 2;
    return mac[at] | (mac[at + 1] << 8);
  }
  return 0;
}

const wires = (eecr: number): number =>
  (eecr & EECR.CS ? WIRE.CS : 0) | (eecr & EECR.SK ? WIRE.SK : 0) | (eecr & EECR.DI ? WIRE.DI : 0);

/** before, value: 9346CR around a write to it. Answers the register with the data-out wire in place. */
export function writeEecr(state: Int32Array, before: number, value: number, word: (address: number) => number): number {
  if ((value & EECR.MODE) !== EECR.PROGRAM) return value & ~EECR.DO;
  const out = clockMicrowire(state, wires(before), wires(value), (before & EECR.DO) !== 0, word);
  return (value & ~EECR.DO) | (out ? EECR.DO : 0);
}
