/** Measures the time of accesses to devices, by samples: reading the clock twice an access would be a part of many. */
import { nowNs } from '../../backends/clock.js';
import type { HartBus } from '../cpu/hart.js';

/** One access of so many, on average, is timed. */
const MEAN_GAP = 32;
const CALIBRATIONS = 64;

/** The bus, with a part of the accesses timed. Gaps are drawn, so that no driver's pattern falls into step with them. */
export class TimedBus implements HartBus {
  /** Estimate of the time that all accesses took. */
  ns = 0;
  #left = 1;
  #seed = 0x2545_f491;
  readonly #clockNs = clockCost();

  constructor(private readonly bus: HartBus) {}

  read(address: number, size: 1 | 2 | 4): number {
    if (--this.#left > 0) return this.bus.read(address, size);
    const before = nowNs();
    const value = this.bus.read(address, size);
    this.#took(before);
    return value;
  }

  write(address: number, size: 1 | 2 | 4, value: number): boolean {
    if (--this.#left > 0) return this.bus.write(address, size, value);
    const before = nowNs();
    const taken = this.bus.write(address, size, value);
    this.#took(before);
    return taken;
  }

  time(): number {
    return this.bus.time();
  }

  /** The next gap is 1 to 2 MEAN_GAP - 1, by xorshift (Marsaglia, 2003). */
  #took(before: number): void {
    this.ns += Math.max(0, nowNs() - before - this.#clockNs) * MEAN_GAP;
    let x = this.#seed;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#seed = x;
    this.#left = 1 + ((x >>> 0) % (2 * MEAN_GAP - 1));
  }
}

/** What a reading of the clock adds to what lies between two of them. */
function clockCost(): number {
  let least = Number.POSITIVE_INFINITY;
  for (let i = 0; i < CALIBRATIONS; i++) {
    const before = nowNs();
    const cost = nowNs() - before;
    if (cost >= 0) least = Math.min(least, cost);
  }
  return least;
}
