/**
 * The serial EEPROM (93C46, 64 words of 16 bits) beside an RTL8139, as drivers read it through the four wires of 9346CR: a start
 * bit, two bits of opcode, six of address; then a zero and the word come out, most significant bit first. Only reading is
 * carried out: writes and erasures are taken and forgotten, as with the chip's write protection on.
 */
import { EECR } from './rtl8139-registers.js';

const READ = 2;
const COMMAND_BITS = 9;
const WORD_BITS = 16;

/** Words of state: bits taken in since chip select, and what they were. */
export const EEPROM_STATE_WORDS = 2;
const COUNT = 0;
const SHIFT = 1;

/** What the card reads at power-on: identity and station address (datasheet, chapter 6). */
export function eepromWord(address: number, mac: Uint8Array): number {
  if (address === 0) return 0x8129;
  if (address === 1) return 0x10ec;
  if (address === 2) return 0x8139;
  if (address >= 7 && address <= 9) {
    const at = (address - 7) * 2;
    return mac[at] | (mac[at + 1] << 8);
  }
  return 0;
}

/** before, after: 9346CR around a write in programming mode. Answers the new level of the data-out wire. */
export function clockEeprom(state: Int32Array, before: number, after: number, mac: Uint8Array): number {
  if (!(after & EECR.CS)) {
    state[COUNT] = 0;
    state[SHIFT] = 0;
    return EECR.DO;
  }
  const rising = !(before & EECR.SK) && (after & EECR.SK) !== 0;
  if (!rising) return before & EECR.DO;
  const bit = after & EECR.DI ? 1 : 0;
  if (state[COUNT] < COMMAND_BITS) {
    if (state[COUNT] > 0 || bit) {
      state[COUNT]++;
      state[SHIFT] = (state[SHIFT] << 1) | bit;
    }
    return state[COUNT] === COMMAND_BITS ? 0 : EECR.DO;
  }
  const position = state[COUNT] - COMMAND_BITS;
  if (position < WORD_BITS) state[COUNT]++;
  if (((state[SHIFT] >> 6) & 3) !== READ || position >= WORD_BITS) return EECR.DO;
  return (eepromWord(state[SHIFT] & 0x3f, mac) >> (WORD_BITS - 1 - position)) & 1 ? EECR.DO : 0;
}
