/**
 * A serial EEPROM with a Microwire bus (93C46: 64 words of 16 bits) as network cards carry it, read by the driver wire by wire: a
 * start bit, two bits of opcode, six of address; then a zero and the word come out, most significant bit first. Only reading is
 * carried out: writes and erasures are taken and forgotten, as with the chip's write protection on.
 */

/** The wires into the chip, as bits: chip select, clock, data. */
export const WIRE = { CS: 1 << 0, SK: 1 << 1, DI: 1 << 2 } as const;

const READ = 2;
const ADDRESS_BITS = 6;
const COMMAND_BITS = 3 + ADDRESS_BITS;
const WORD_BITS = 16;

/** Words of state: bits taken in since chip select, and what they were. */
export const MICROWIRE_STATE_WORDS = 2;
const COUNT = 0;
const SHIFT = 1;

/**
 * before, after: the wires in, around one change of them; out: level of the data-out wire before. Answers its new level.
 * word: content at an address below 64.
 */
export function clockMicrowire(
  state: Int32Array,
  before: number,
  after: number,
  out: boolean,
  word: (address: number) => number,
): boolean {
  if (!(after & WIRE.CS)) {
    state[COUNT] = 0;
    state[SHIFT] = 0;
    return true;
  }
  const rising = !(before & WIRE.SK) && (after & WIRE.SK) !== 0;
  if (!rising) return out;
  const bit = after & WIRE.DI ? 1 : 0;
  if (state[COUNT] < COMMAND_BITS) {
    if (state[COUNT] > 0 || bit) {
      state[COUNT]++;
      state[SHIFT] = (state[SHIFT] << 1) | bit;
    }
    return state[COUNT] !== COMMAND_BITS;
  }
  const position = state[COUNT] - COMMAND_BITS;
  if (position < WORD_BITS) state[COUNT]++;
  if (((state[SHIFT] >> ADDRESS_BITS) & 3) !== READ || position >= WORD_BITS) return true;
  return ((word(state[SHIFT] & 0x3f) >> (WORD_BITS - 1 - position)) & 1) !== 0;
}
