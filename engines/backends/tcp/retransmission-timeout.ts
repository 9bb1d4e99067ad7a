/** The retransmission timeout (RFC 6298). Nanoseconds. */

const INITIAL = 1e9;
const MIN = 1e9;
const MAX = 60e9;
/** Clock granularity, G. */
const GRANULARITY = 1e6;

export class RetransmissionTimeout {
  #smoothed = -1;
  #variation = 0;
  #value = INITIAL;

  get value(): number {
    return this.#value;
  }

  /** A round trip that was measured, never of a segment that was sent twice (Karn's algorithm). */
  sample(roundTrip: number): void {
    if (this.#smoothed < 0) {
      this.#smoothed = roundTrip;
      this.#variation = roundTrip / 2;
    } else {
      this.#variation = 0.75 * this.#variation + 0.25 * Math.abs(this.#smoothed - roundTrip);
      this.#smoothed = 0.875 * this.#smoothed + 0.125 * roundTrip;
    }
    this.#value = Math.min(MAX, Math.max(MIN, this.#smoothed + Math.max(GRANULARITY, 4 * this.#variation)));
  }

  /** It has run out (5.5). */
  backOff(): void {
    this.#value = Math.min(MAX, this.#value * 2);
  }
}
