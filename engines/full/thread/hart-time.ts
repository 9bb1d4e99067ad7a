/**
 * Where a hart's time goes, by a few readings of the clock that it mostly reads anyway:
 * - the guest's code, from the start of a slice to its end; of that, accesses to devices by drawn samples, and what is
 *   left divided between translated code and the interpreter;
 * - the machine, from there to the next slice: timers, completions, messages;
 * - sleep, which the I/O context measures.
 */
import { nowNs } from '../../backends/clock.js';

/** Slices with fewer or more translated instructions than this share are taken for all of one kind. */
const PURE = 0.98;
/** Weight of the latest slice in the running means. */
const RECENT = 1 / 32;

/**
 * Divides time between translated code and the interpreter. A slice that is all of one kind goes there, and shows what an
 * instruction of the kind takes now; a mixed one is divided by its instructions of either kind at those costs.
 */
export class GuestTime {
  translated = 0;
  interpreter = 0;
  /** Nanoseconds an instruction; 0: none seen yet. */
  #translatedCost = 0;
  #interpretedCost = 0;

  /** ns: of a slice in which so many instructions were executed. */
  add(ns: number, instructions: number, translated: number): void {
    const share = instructions > 0 ? Math.min(1, translated / instructions) : 0;
    if (share <= 1 - PURE) {
      this.interpreter += ns;
      if (instructions > 0) this.#interpretedCost = recent(this.#interpretedCost, ns / instructions);
    } else if (share >= PURE) {
      this.translated += ns;
      this.#translatedCost = recent(this.#translatedCost, ns / instructions);
    } else {
      const part = this.#weigh(share);
      this.translated += ns * part;
      this.interpreter += ns * (1 - part);
    }
  }

  /** Until both costs are known, instructions of either kind count the same. */
  #weigh(share: number): number {
    const known = this.#translatedCost > 0 && this.#interpretedCost > 0;
    const [fast, slow] = known ? [this.#translatedCost, this.#interpretedCost] : [1, 1];
    return (share * fast) / (share * fast + (1 - share) * slow);
  }
}

const recent = (mean: number, value: number): number => (mean === 0 ? value : mean + (value - mean) * RECENT);

/** What HartTime needs of others. */
interface Sources {
  /** Totals of the hart. */
  instructions(): number;
  translated(): number;
  /** Time that the thread slept in waits, nanoseconds. */
  slept(): number;
  /** Estimated time of accesses to devices, nanoseconds. */
  accesses(): number;
}

/** All of a hart's time since begins() was first called, divided. */
export class HartTime {
  readonly #guest = new GuestTime();
  readonly #totals = { translated: 0, interpreter: 0, devices: 0, idle: 0 };
  #mark = 0;
  #instructions = 0;
  #translated = 0;
  #slept = 0;
  #accesses = 0;

  constructor(private readonly from: Sources) {}

  /** The guest's code begins to run; since the last slice the machine has worked, or slept. */
  begins(now = nowNs()): void {
    if (this.#mark !== 0) {
      const slept = this.from.slept();
      this.#totals.idle += slept - this.#slept;
      this.#totals.devices += Math.max(0, now - this.#mark - (slept - this.#slept));
      this.#slept = slept;
    }
    this.#mark = now;
  }

  /** The guest's code has been left. */
  ends(now = nowNs()): void {
    const [instructions, translated] = [this.from.instructions(), this.from.translated()];
    this.#guest.add(now - this.#mark, instructions - this.#instructions, translated - this.#translated);
    this.#instructions = instructions;
    this.#translated = translated;
    this.#mark = now;
  }

  /** The processor was given away since ends(). */
  gaveAway(now = nowNs()): void {
    this.#totals.idle += now - this.#mark;
    this.#mark = now;
  }

  /** Nanoseconds. Accesses are taken out of the guest's code, of either kind as much as it had; none of them ever falls. */
  totals(): Readonly<Record<'translated' | 'interpreter' | 'devices' | 'idle', number>> {
    const { translated, interpreter } = this.#guest;
    const all = translated + interpreter;
    const accesses = Math.min(all, this.from.accesses() - this.#accesses);
    const kept = all > 0 ? 1 - accesses / all : 1;
    this.#accesses += accesses;
    this.#guest.translated = 0;
    this.#guest.interpreter = 0;
    this.#totals.translated += translated * kept;
    this.#totals.interpreter += interpreter * kept;
    this.#totals.devices += accesses;
    return this.#totals;
  }
}
