/** The tally counters of the RTL8169 (datasheet 1.21, 6.1): totals since power-on, which a driver has dumped into its memory. */
import { MATCH } from './realtek-filter.js';

/** Doubles of shared state. */
export const TALLIES = 7;
const TX = 0;
const RX = 1;
const TX_ERRORS = 2;
const MISSED = 3;
const UNICAST = 4;
const BROADCAST = 5;
const MULTICAST = 6;

export const TALLY_BYTES = 64;

export class Tally {
  /** values: TALLIES doubles, under the card's lock. */
  constructor(private readonly values: Float64Array) {}

  clear(): void {
    this.values.fill(0);
  }

  sent(well: boolean): void {
    this.values[well ? TX : TX_ERRORS]++;
  }

  missed(): void {
    this.values[MISSED]++;
  }

  /** match: of the address filter. */
  received(match: number): void {
    this.values[RX]++;
    this.values[match & MATCH.BROADCAST ? BROADCAST : match & MATCH.MULTICAST ? MULTICAST : UNICAST]++;
  }

  counters(name: string): Record<string, number> {
    const t = this.values;
    return {
      [`${name}.tx_packets`]: t[TX],
      [`${name}.tx_errors`]: t[TX_ERRORS],
      [`${name}.rx_frames`]: t[RX],
      [`${name}.rx_missed`]: t[MISSED],
    };
  }

  /** As the card writes them to memory. Collisions and damaged frames do not happen. */
  image(): Uint8Array {
    const t = this.values;
    const image = new DataView(new ArrayBuffer(TALLY_BYTES));
    const put64 = (at: number, value: number): void => {
      image.setUint32(at, value, true);
      image.setUint32(at + 4, Math.floor(value / 2 ** 32), true);
    };
    put64(0, t[TX]);
    put64(8, t[RX]);
    put64(16, t[TX_ERRORS]);
    image.setUint32(24, t[MISSED], true);
    image.setUint16(28, t[MISSED], true);
    put64(40, t[UNICAST]);
    put64(48, t[BROADCAST]);
    image.setUint32(56, t[MULTICAST], true);
    return new Uint8Array(image.buffer);
  }
}
