/** The EEPROM (93C46) of an 82540EM: what stands in it, and the two ways to read it. 8254x manual, 5.3 to 5.6 and 13.4.3 to 13.4.4. */
import { EECD, EERD } from './e1000-registers.js';
import { clockMicrowire, WIRE } from './microwire.js';

/** Software's sum over all words (5.6.35). */
const SUM = 0xbaba;
const CHECKSUM_AT = 0x3f;

/** Words that are not zero, beside address and checksum (table 5-2). */
const CONTENT: Readonly<Record<number, number>> = {
  10: 0x4408, // initialization control 1: signature 01
  11: 0x1100, // subsystem, its vendor
  12: 0x1af4,
  13: 0x100e, // device, vendor
  14: 0x8086,
  15: 0x3040, // initialization control 2: flow control both ways
};

export function eepromWord(address: number, mac: Uint8Array): number {
  if (address < 3) return mac[2 * address] | (mac[2 * address + 1] << 8);
  if (address !== CHECKSUM_AT) return CONTENT[address] ?? 0;
  let sum = 0;
  for (let i = 0; i < CHECKSUM_AT; i++) sum += eepromWord(i, mac);
  return (SUM - sum) & 0xffff;
}

/** EERD (13.4.4) after a write: the word is there at once. */
export function readByEerd(value: number, mac: Uint8Array): number {
  if (!(value & EERD.START)) return value;
  const address = (value >>> 8) & 0xff;
  const word = address > CHECKSUM_AT ? 0xffff : eepromWord(address, mac);
  return ((word << 16) | (address << 8) | EERD.DONE) >>> 0;
}

const wires = (eecd: number): number =>
  (eecd & EECD.CS ? WIRE.CS : 0) | (eecd & EECD.SK ? WIRE.SK : 0) | (eecd & EECD.DI ? WIRE.DI : 0);

/** EECD (13.4.3) after a write: access is granted as soon as it is asked for. before: the register with its data-out wire. */
export function writeEecd(state: Int32Array, before: number, value: number, mac: Uint8Array): number {
  const out = clockMicrowire(state, wires(before), wires(value), (before & EECD.DO) !== 0, (address) =>
    eepromWord(address, mac),
  );
  const kept = value & ~(EECD.GNT | EECD.DO);
  return kept | EECD.PRES | (value & EECD.REQ ? EECD.GNT : 0) | (out ? EECD.DO : 0);
}
