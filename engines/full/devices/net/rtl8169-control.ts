/**
 * What the RTL8169's registers do when they are read and written: interrupt causes, reset, the timer, the tally, the EEPROM
 * and the transceiver behind them. What is in the rings is the card's own affair (rtl8169.ts). Under the card's lock.
 */
import { nowNs } from '../../../backends/clock.js';
import { type AccessSize, type GuestAddress, guestAddress, type StateSlice } from '../device.js';
import { RegisterFile, type RegisterWrite } from '../register-file.js';
import { MICROWIRE_STATE_WORDS } from './microwire.js';
import { MiiPhy, PHY_STATE_WORDS, type PhyModel } from './mii-phy.js';
import { EECR, eepromWord, writeEecr } from './realtek-eeprom.js';
import {
  CR,
  DTCCR,
  INT,
  PHYAR,
  PHYSTATUS_UP,
  REG,
  REGISTER_BYTES,
  registerAt,
  TCR_VERSION,
  TPPOLL,
} from './rtl8169-registers.js';
import { TALLIES, TALLY_BYTES, Tally } from './rtl8169-tally.js';

/** Words of `queues`. */
export const QUEUE = {
  /** Queues whose doorbell has been rung: TPPOLL bits. */
  POLL: 0,
  /** Index of the next descriptor: normal queue, high-priority queue, receiver. */
  TX_NEXT: 1,
  TX_HIGH_NEXT: 2,
  RX_NEXT: 3,
} as const;
const QUEUE_WORDS = 4;

/* Words of the state. */
const QUEUES = 0;
const INTERRUPTS = QUEUES + QUEUE_WORDS;
/** The timer has interrupted since TCTR was last written. */
const TIMER_FIRED = INTERRUPTS + 1;
const EEPROM = TIMER_FIRED + 1;
const PHY = EEPROM + MICROWIRE_STATE_WORDS;
/* Doubles: the tally, then when TCTR was zero. */
const TALLY_AT = Math.ceil(((PHY + PHY_STATE_WORDS) * 4) / 64) * 64;
const TIMER_AT = TALLY_AT + 8 * TALLIES;
const REGISTERS_AT = Math.ceil((TIMER_AT + 8) / 64) * 64;
export const RTL8169_CONTROL_BYTES = REGISTERS_AT + REGISTER_BYTES;

/** TCTR counts the clock of the PCI bus: 33 MHz. */
const TIMER_TICK_NS = 1000 / 33;

/** The transceiver on the chip: Realtek's RTL8211, revision 0. Register 31 selects pages. */
const PHY_MODEL: PhyModel = {
  id1: 0x001c,
  id2: 0xc910,
  pageRegister: 31,
  vendor: {
    16: { value: 0, writable: 0xffff },
    17: { value: 0xac00, writable: 0 },
    18: { value: 0, writable: 0xffff },
    20: { value: 0, writable: 0xffff },
  },
};

/** What the card has to do besides. */
export interface ControlEvents {
  /** All registers have their first values again. */
  reset(): void;
  /** Puts bytes into guest memory; false where that cannot be. */
  store(address: GuestAddress, bytes: Uint8Array): boolean;
}

export class Rtl8169Control {
  readonly u8: Uint8Array;
  readonly u16: Uint16Array;
  readonly u32: Uint32Array;
  /** Where the card is in its rings: see QUEUE. */
  readonly queues: Int32Array;
  readonly phy: MiiPhy;
  readonly tally: Tally;
  readonly #words: Int32Array;
  readonly #file: RegisterFile;
  /** When TCTR was zero, nanoseconds. */
  readonly #timerStart: Float64Array;

  /** state: RTL8169_CONTROL_BYTES. mac: six bytes. device: its PCI id, which the EEPROM holds too. */
  constructor(
    state: StateSlice,
    private readonly mac: Uint8Array,
    private readonly device: number,
    private readonly events: ControlEvents,
  ) {
    this.#words = state.i32;
    this.queues = state.i32.subarray(QUEUES, QUEUES + QUEUE_WORDS);
    this.tally = new Tally(new Float64Array(state.buffer, state.offset + TALLY_AT, TALLIES));
    this.#timerStart = new Float64Array(state.buffer, state.offset + TIMER_AT, 1);
    this.#file = new RegisterFile(registerAt, state.buffer, state.offset + REGISTERS_AT, REGISTER_BYTES);
    this.u8 = this.#file.u8;
    this.u16 = this.#file.u16;
    this.u32 = this.#file.u32;
    this.phy = new MiiPhy(state.i32.subarray(PHY, PHY + PHY_STATE_WORDS), PHY_MODEL);
  }

  powerOn(): void {
    this.#words.fill(0);
    this.tally.clear();
    this.phy.reset();
    this.#reset();
  }

  get interrupts(): number {
    return this.#words[INTERRUPTS];
  }

  /** The level of the interrupt line. */
  get interrupting(): boolean {
    return (this.u16[REG.ISR >> 1] & this.u16[REG.IMR >> 1]) !== 0;
  }

  read(offset: number, size: AccessSize): number {
    this.#checkTimer();
    let value = 0;
    for (let i = size - 1; i >= 0; i--) value = (value << 8) | this.#readByte(offset + i);
    return value >>> 0;
  }

  write(offset: number, size: AccessSize, value: number): void {
    this.#checkTimer();
    this.#file.write(offset, size, value, this.#locked, this.#effect);
  }

  #readByte(offset: number): number {
    if (offset === REG.PHYSTATUS) return this.phy.linkUp ? PHYSTATUS_UP : 0;
    if (offset === REG.TPPOLL) return 0; // bits clear themselves once the card has looked
    if (offset >= REG.TCTR && offset < REG.TCTR + 4) return (this.#ticks() >>> ((offset - REG.TCTR) * 8)) & 0xff;
    return this.u8[offset] ?? 0;
  }

  readonly #locked = (): boolean => (this.u8[REG.EECR] & EECR.MODE) !== EECR.UNLOCK;

  readonly #effect = ({ register, merged, written, raw }: RegisterWrite): void => {
    switch (register.base) {
      case REG.ISR:
        this.u16[REG.ISR >> 1] &= ~written;
        return;
      case REG.CR:
        if (raw & CR.RST) this.#reset();
        else this.#writeCommand(merged);
        return;
      case REG.TPPOLL:
        this.queues[QUEUE.POLL] |= written & (TPPOLL.NORMAL | TPPOLL.HIGH);
        if (written & TPPOLL.FSWINT) this.raise(INT.SWINT);
        return;
      case REG.TNPDS:
        this.queues[QUEUE.TX_NEXT] = 0;
        break;
      case REG.THPDS:
        this.queues[QUEUE.TX_HIGH_NEXT] = 0;
        break;
      case REG.RDSAR:
        this.queues[QUEUE.RX_NEXT] = 0;
        break;
      case REG.MPC:
        this.u32[REG.MPC >> 2] = 0; // any write clears it
        return;
      case REG.TCTR:
      case REG.TIMERINT:
        this.#restartTimer(register.base === REG.TCTR);
        break;
      case REG.EECR:
        this.#writeEeprom(merged);
        return;
      case REG.PHYAR:
        this.#writePhy(merged);
        return;
      case REG.DTCCR:
        this.#file.store(register, merged & ~(DTCCR.RESET | DTCCR.DUMP));
        if (merged & DTCCR.DUMP) this.#dumpTally();
        return;
    }
    this.#file.store(register, merged);
  };

  /** Each of the two halves of the card starts at the beginning of its ring (datasheet 6.5). */
  #writeCommand(value: number): void {
    const on = value & ~this.u8[REG.CR];
    if (on & CR.TE) this.queues.fill(0, QUEUE.TX_NEXT, QUEUE.TX_HIGH_NEXT + 1);
    if (on & CR.RE) this.queues[QUEUE.RX_NEXT] = 0;
    this.u8[REG.CR] = value;
  }

  #writeEeprom(value: number): void {
    const state = this.#words.subarray(EEPROM, EEPROM + MICROWIRE_STATE_WORDS);
    const word = (address: number): number => eepromWord(address, this.mac, this.device);
    this.u8[REG.EECR] = writeEecr(state, this.u8[REG.EECR], value, word);
  }

  /** PHYAR (6.20): the flag is what the driver waits for: set when a read is done, clear when a write is. */
  #writePhy(value: number): void {
    const register = (value >>> 16) & 0x1f;
    const at = REG.PHYAR >> 2;
    if (value & PHYAR.FLAG) {
      if (this.phy.write(register, value & 0xffff)) this.raise(INT.LINK);
      this.u32[at] = (value & ~PHYAR.FLAG) >>> 0;
    } else {
      this.u32[at] = (PHYAR.FLAG | (register << 16) | this.phy.read(register)) >>> 0;
    }
  }

  /** DTCCR (6.1): sixty-four bytes of counters into guest memory. A place outside RAM is a system error. */
  #dumpTally(): void {
    const address = this.address(REG.DTCCR, ~(TALLY_BYTES - 1));
    if (!this.events.store(address, this.tally.image())) this.raise(INT.SERR);
  }

  /** A register of 64 bits that names a place in guest memory. */
  address(register: number, mask = -1): GuestAddress {
    const at = register >> 2;
    return guestAddress(((this.u32[at] & mask) >>> 0) + this.u32[at + 1] * 2 ** 32);
  }

  #ticks(): number {
    return Math.floor((nowNs() - this.#timerStart[0]) / TIMER_TICK_NS) % 2 ** 32;
  }

  #restartTimer(fromZero: boolean): void {
    if (fromZero) this.#timerStart[0] = nowNs();
    this.#words[TIMER_FIRED] = 0;
  }

  #checkTimer(): void {
    const limit = this.u32[REG.TIMERINT >> 2];
    if (limit === 0 || this.#words[TIMER_FIRED] || this.#ticks() < limit) return;
    this.#words[TIMER_FIRED] = 1;
    this.raise(INT.TIMEOUT);
  }

  /** CR.RST and power-on: the station address comes from the EEPROM again; the transceiver goes on. */
  #reset(): void {
    this.queues.fill(0);
    this.#words[TIMER_FIRED] = 0;
    this.u8.fill(0);
    this.u8.set(this.mac.subarray(0, 6), REG.IDR);
    this.u32[REG.TCR >> 2] = TCR_VERSION;
    this.u8[REG.CONFIG1] = 0x0c; // registers are mapped to memory and I/O
    this.#timerStart[0] = nowNs();
    this.events.reset();
  }

  /** Causes of an interrupt (ISR). */
  raise(bits: number): void {
    if ((this.u16[REG.ISR >> 1] & bits) !== bits) this.#words[INTERRUPTS]++;
    this.u16[REG.ISR >> 1] |= bits;
  }
}
