/**
 * Platform-level interrupt controller: RISC-V PLIC specification 1.0.0, in the size and with the contexts of QEMU's
 * `virt`: two contexts a hart, M (2n) and S (2n + 1), 3 bits of priority.
 *
 * A gateway hands one request of its source to the core and no other until the handler completes it (section 4). Most
 * gateways are level-triggered: while the line is high there is a request anew after each completion, and one that was
 * handed over stays when the line falls. Those of `events` take each setLevel(true) for an event: one that comes while a
 * handler is at work makes a request when it completes, and what the handler leaves undone makes none; setLevel(false)
 * takes back what nobody has claimed. Reserved addresses read 0 and ignore writes.
 */
import { IRQ } from '../cpu/layout.js';
import { PLIC_SOURCES, SOURCE_NAMES } from '../memory-map.js';
import { type AccessSize, type Device, Lock, type Resettable, type StateSlice } from './device.js';
import type { InterruptLines } from './hart-lines.js';

const MAX_PRIORITY = 7;
const SOURCE_WORDS = 4; // bits 0 to 127: sources 1 to 96 are used

/* Words of the state. */
const LOCK = 0;
const LEVEL = 32;
const PENDING = LEVEL + SOURCE_WORDS;
const IN_SERVICE = PENDING + SOURCE_WORDS;
const PRIORITY = IN_SERVICE + SOURCE_WORDS;
/** Claims since reset, by source. */
const CLAIMS = PRIORITY + PLIC_SOURCES + 1;
const THRESHOLD = CLAIMS + PLIC_SOURCES + 1;

/* Offsets of the registers. */
const REG_PENDING = 0x1000;
const REG_ENABLE = 0x2000;
const ENABLE_STRIDE = 0x80;
const REG_CONTEXT = 0x20_0000;
const CONTEXT_STRIDE = 0x1000;

export const plicStateBytes = (harts: number): number => (THRESHOLD + 2 * harts * (1 + SOURCE_WORDS)) * 4;

export class Plic implements Device, Resettable {
  readonly name = 'plic';
  readonly #words: Int32Array;
  readonly #lock: Lock;
  readonly #contexts: number;
  readonly #enable: number;
  readonly #events = new Int32Array(SOURCE_WORDS);

  constructor(
    state: StateSlice,
    harts: number,
    private readonly lines: InterruptLines,
    events: readonly number[] = [],
  ) {
    for (const source of events) this.#events[source >> 5] |= 1 << (source & 31);
    this.#words = state.i32;
    this.#lock = new Lock(state.i32, LOCK);
    this.#contexts = 2 * harts;
    this.#enable = THRESHOLD + this.#contexts;
  }

  reset(): void {
    this.#words.fill(0);
  }

  counters(): Record<string, number> {
    const claims = (source: number) => this.#words[CLAIMS + source] >>> 0;
    const named = Object.entries(SOURCE_NAMES).map(([source, name]) => [`plic.${name}`, claims(Number(source))]);
    let all = 0;
    for (let source = 1; source <= PLIC_SOURCES; source++) all += claims(source);
    return { 'plic.claims': all, ...Object.fromEntries(named) };
  }

  /** The line of a source (1 to 96) has this level now. */
  setLevel(source: number, level: boolean): void {
    const words = this.#words;
    const word = source >> 5;
    const bit = 1 << (source & 31);
    if ((this.#events[word] & bit) !== 0) {
      this.#event(word, bit, level);
      return;
    }
    if (((Atomics.load(words, LEVEL + word) & bit) !== 0) === level) return;
    this.#lock.acquire();
    if (level) {
      words[LEVEL + word] |= bit;
      if ((words[IN_SERVICE + word] & bit) === 0) words[PENDING + word] |= bit;
    } else {
      words[LEVEL + word] &= ~bit;
    }
    this.#update();
    this.#lock.release();
  }

  #event(word: number, bit: number, happened: boolean): void {
    const words = this.#words;
    if (((Atomics.load(words, PENDING + word) & bit) !== 0) === happened) return;
    this.#lock.acquire();
    if (happened) words[PENDING + word] |= bit;
    else words[PENDING + word] &= ~bit;
    this.#update();
    this.#lock.release();
  }

  read(offset: number, size: AccessSize): number {
    if (size !== 4) return 0;
    this.#lock.acquire();
    const value = this.#readRegister(offset);
    this.#lock.release();
    return value >>> 0;
  }

  write(offset: number, size: AccessSize, value: number): void {
    if (size !== 4) return;
    this.#lock.acquire();
    this.#writeRegister(offset, value);
    this.#update();
    this.#lock.release();
  }

  #readRegister(offset: number): number {
    const word = this.#register(offset);
    if (word >= 0) return this.#words[word];
    const context = this.#claimOf(offset);
    return context >= 0 ? this.#claim(context) : 0;
  }

  #writeRegister(offset: number, value: number): void {
    const word = this.#register(offset);
    if (word < 0) {
      const context = this.#claimOf(offset);
      if (context >= 0) this.#complete(context, value);
    } else if (word >= this.#enable) {
      const first = (word - this.#enable) % SOURCE_WORDS === 0;
      this.#words[word] = first ? value & ~1 : value; // source 0 does not exist
    } else if (word >= PRIORITY) {
      this.#words[word] = value & MAX_PRIORITY; // also thresholds; the pending bits are read-only
    }
  }

  /** Index of the state word that is this register, or -1: claim/complete, or reserved. */
  #register(offset: number): number {
    if (offset < REG_PENDING) {
      const source = offset >> 2;
      return source >= 1 && source <= PLIC_SOURCES ? PRIORITY + source : -1;
    }
    if (offset < REG_ENABLE) {
      const index = (offset - REG_PENDING) >> 2;
      return index < SOURCE_WORDS ? PENDING + index : -1;
    }
    if (offset < REG_CONTEXT) {
      const context = Math.floor((offset - REG_ENABLE) / ENABLE_STRIDE);
      const index = ((offset - REG_ENABLE) % ENABLE_STRIDE) >> 2;
      return context < this.#contexts && index < SOURCE_WORDS ? this.#enable + context * SOURCE_WORDS + index : -1;
    }
    const context = Math.floor((offset - REG_CONTEXT) / CONTEXT_STRIDE);
    const threshold = (offset - REG_CONTEXT) % CONTEXT_STRIDE === 0;
    return threshold && context < this.#contexts ? THRESHOLD + context : -1;
  }

  #claimOf(offset: number): number {
    if (offset < REG_CONTEXT || (offset - REG_CONTEXT) % CONTEXT_STRIDE !== 4) return -1;
    const context = Math.floor((offset - REG_CONTEXT) / CONTEXT_STRIDE);
    return context < this.#contexts ? context : -1;
  }

  /** The threshold does not matter here (section 9). */
  #claim(context: number): number {
    const source = this.#best(context, 0);
    if (source !== 0) {
      const bit = 1 << (source & 31);
      this.#words[PENDING + (source >> 5)] &= ~bit;
      this.#words[IN_SERVICE + (source >> 5)] |= bit;
      this.#words[CLAIMS + source]++;
      this.#update();
    }
    return source;
  }

  /** A completion of a source that the context has not enabled is ignored (section 10). */
  #complete(context: number, source: number): void {
    if (source < 1 || source > PLIC_SOURCES) return;
    const words = this.#words;
    const word = source >> 5;
    const bit = 1 << (source & 31);
    if ((words[this.#enable + context * SOURCE_WORDS + word] & bit) === 0) return;
    words[IN_SERVICE + word] &= ~bit;
    if ((words[LEVEL + word] & bit) !== 0) words[PENDING + word] |= bit;
  }

  /** The pending, enabled source of the highest priority above `floor`; the lowest number wins a tie; 0 if there is none. */
  #best(context: number, floor: number): number {
    const words = this.#words;
    let best = 0;
    let priority = floor;
    for (let word = 0; word < SOURCE_WORDS; word++) {
      const waiting = words[PENDING + word] & ~words[IN_SERVICE + word];
      let bits = waiting & words[this.#enable + context * SOURCE_WORDS + word];
      while (bits !== 0) {
        const bit = 31 - Math.clz32(bits & -bits);
        bits &= bits - 1;
        const source = word * 32 + bit;
        if (source <= PLIC_SOURCES && words[PRIORITY + source] > priority) {
          best = source;
          priority = words[PRIORITY + source];
        }
      }
    }
    return best;
  }

  #update(): void {
    for (let context = 0; context < this.#contexts; context++) {
      const level = this.#best(context, this.#words[THRESHOLD + context]) !== 0;
      this.lines.set(context >> 1, (context & 1) === 0 ? IRQ.MEIP : IRQ.SEIP, level);
    }
  }
}
