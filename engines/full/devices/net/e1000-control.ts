/**
 * What the 82540EM's registers do when they are read and written: interrupt causes, reset, the EEPROM and the transceiver
 * behind them. What is in the rings is the card's own affair (e1000.ts). Under the card's lock.
 */

import type { StateSlice } from '../device.js';
import { readByEerd, writeEecd } from './e1000-eeprom.js';
import type { RxRing } from './e1000-receive.js';
import { CTRL, EECD, INT, MDIC, RAH_VALID, REG, REGISTER_BYTES, STAT, STATUS_UP, WRITABLE } from './e1000-registers.js';
import { Statistics } from './e1000-statistics.js';
import { MICROWIRE_STATE_WORDS } from './microwire.js';
import { MiiPhy, PHY_STATE_WORDS, type PhyModel } from './mii-phy.js';

/* Words of the state; then the registers. */
const EEPROM = 0;
const PHY = EEPROM + MICROWIRE_STATE_WORDS;
/** Total since power-on. */
const INTERRUPTS = PHY + PHY_STATE_WORDS;
const REGISTERS_AT = Math.ceil(((INTERRUPTS + 1) * 4) / 64) * 64;
export const E1000_CONTROL_BYTES = REGISTERS_AT + REGISTER_BYTES;

const PHY_ADDRESS = 1;

/** Marvell's 88E1011, which the 82540EM has on its chip. 17: 1000 Mbit/s, full duplex, resolved, link up. */
const PHY_MODEL: PhyModel = {
  id1: 0x0141,
  id2: 0x0c20,
  vendor: {
    16: { value: 0x0360, writable: 0xffff },
    17: { value: 0xac00, writable: 0 },
    18: { value: 0, writable: 0xffff },
    20: { value: 0x0d60, writable: 0xffff },
    29: { value: 0, writable: 0xffff },
    30: { value: 0, writable: 0xffff },
  },
};

/** What the card has to do besides. */
export interface ControlEvents {
  /** The driver has moved the Tx tail, or switched the transmitter on. */
  doorbell(): void;
  /** All registers have their first values again. */
  reset(): void;
}

export class E1000Control {
  /** The registers, by offset / 4. */
  readonly regs: Uint32Array;
  readonly phy: MiiPhy;
  readonly statistics: Statistics;
  readonly #words: Int32Array;

  /** state: E1000_CONTROL_BYTES. mac: six bytes. */
  constructor(
    state: StateSlice,
    private readonly mac: Uint8Array,
    private readonly events: ControlEvents,
  ) {
    this.#words = state.i32;
    this.regs = new Uint32Array(state.buffer, state.offset + REGISTERS_AT, REGISTER_BYTES / 4);
    this.phy = new MiiPhy(state.i32.subarray(PHY, PHY + PHY_STATE_WORDS), PHY_MODEL);
    this.statistics = new Statistics(this.regs);
  }

  /** Power-on. */
  powerOn(): void {
    this.#words.fill(0);
    this.phy.reset();
    this.regs.fill(0);
    this.#reset();
  }

  get interrupts(): number {
    return this.#words[INTERRUPTS];
  }

  /** The level of the interrupt line. */
  get interrupting(): boolean {
    return (this.regs[REG.ICR >> 2] & this.regs[REG.IMS >> 2]) !== 0;
  }

  /** A register, with the effects of reading all of it. offset: a multiple of 4 in the window. */
  read(offset: number): number {
    if (offset >= STAT.FIRST && offset < STAT.LAST) return this.statistics.read(offset);
    switch (offset) {
      case REG.CTRL_DUP:
        return this.regs[REG.CTRL >> 2];
      case REG.STATUS:
        return this.phy.linkUp ? STATUS_UP : STATUS_UP & ~2;
      case REG.ICR: {
        const causes = this.regs[REG.ICR >> 2];
        this.regs[REG.ICR >> 2] = 0;
        return causes;
      }
      case REG.ICS:
      case REG.IMC:
        return 0;
      default:
        return this.regs[offset >> 2] ?? 0;
    }
  }

  write(offset: number, raw: number): void {
    const at = offset >> 2;
    const mask = WRITABLE[at] ?? 0;
    const value = (raw & mask) >>> 0;
    const regs = this.regs;
    switch (offset) {
      case REG.CTRL:
      case REG.CTRL_DUP:
        this.#writeControl(raw);
        return;
      case REG.ICR:
        regs[at] &= ~value;
        return;
      case REG.ICS:
        this.raise(value);
        return;
      case REG.IMS:
        regs[at] |= value;
        return;
      case REG.IMC:
        regs[REG.IMS >> 2] &= ~value;
        return;
      case REG.EECD: {
        const state = this.#words.subarray(EEPROM, EEPROM + MICROWIRE_STATE_WORDS);
        regs[at] = writeEecd(state, regs[at], value, this.mac);
        return;
      }
      case REG.EERD:
        regs[at] = readByEerd(value, this.mac);
        return;
      case REG.MDIC:
        this.#writeMdic(value);
        return;
      case REG.TDT:
      case REG.TCTL:
        this.events.doorbell();
        break;
    }
    if (mask) regs[at] = ((regs[at] & ~mask) | value) >>> 0;
  }

  #writeControl(value: number): void {
    if (value & CTRL.PHY_RST) {
      this.phy.reset();
      this.raise(INT.LSC);
    }
    if (value & CTRL.RST) this.#reset();
    else this.regs[REG.CTRL >> 2] = (value & ~CTRL.PHY_RST) >>> 0;
  }

  /** MDIC (13.4.8): the transceiver answers at once. */
  #writeMdic(value: number): void {
    const register = (value >>> 16) & 0x1f;
    const operation = (value >>> 26) & 3;
    let result = (value & ~(MDIC.ERROR | 0xffff)) | MDIC.READY;
    if (((value >>> 21) & 0x1f) !== PHY_ADDRESS) result |= MDIC.ERROR;
    else if (operation === MDIC.READ) result |= this.phy.read(register);
    else if (operation === MDIC.WRITE) {
      result |= value & 0xffff;
      if (this.phy.write(register, value & 0xffff)) this.raise(INT.LSC);
    }
    this.regs[REG.MDIC >> 2] = result >>> 0;
    if (value & MDIC.INTERRUPT) this.raise(INT.MDAC);
  }

  /** CTRL.RST and power-on (14.4): the station address comes from the EEPROM again; the transceiver and the tables go on. */
  #reset(): void {
    const regs = this.regs;
    const tables = regs.slice(REG.MTA >> 2);
    regs.fill(0);
    regs.set(tables, REG.MTA >> 2);
    regs.fill(0, REG.RA >> 2, (REG.RA + 128) >> 2);
    const { mac } = this;
    regs[REG.RA >> 2] = mac[0] | (mac[1] << 8) | (mac[2] << 16) | (mac[3] << 24);
    regs[(REG.RA >> 2) + 1] = RAH_VALID | mac[4] | (mac[5] << 8);
    regs[REG.CTRL >> 2] = CTRL.FD | CTRL.SLU | CTRL.SPEED_1000;
    regs[REG.EECD >> 2] = EECD.PRES | EECD.DO;
    regs[REG.VET >> 2] = 0x8100;
    regs[REG.PBA >> 2] = 0x0010_0030; // 48 KiB for the receiver, 16 for the transmitter
    this.events.reset();
  }

  /** Causes of an interrupt (ICR). */
  raise(bits: number): void {
    const at = REG.ICR >> 2;
    if ((this.regs[at] & bits) !== bits) this.#words[INTERRUPTS]++;
    this.regs[at] |= bits;
  }

  /** The ring whose BASE register is given, as the registers stand now; undefined while its head or tail is outside. */
  ring(base: number): RxRing | undefined {
    const at = base >> 2;
    const regs = this.regs;
    const size = regs[at + 2] >>> 4;
    const head = regs[at + 4];
    const tail = regs[at + 6];
    return head < size && tail < size ? { base: regs[at] + regs[at + 1] * 2 ** 32, size, head, tail } : undefined;
  }
}
