/**
 * The control queue of the network device (virtio 1.2, 5.1.6.5), and what it sets: which frames are let in, and how many pairs of
 * queues are in use. State in shared memory, so that it counts on every thread.
 */
import { isGroup, readMac } from '../../../backends/switch.js';
import type { StateSlice } from '../device.js';
import { CTRL } from './net-spec.js';

/** Addresses of each kind; of more, the device lets in all of that kind. */
const TABLE_MAX = 64;
const BROADCAST = 2 ** 48 - 1;

/* Words of the state; then the tables, addresses as 64-bit floats. */
/** Bit n: the RX command n is on (promiscuous, all multicast, all unicast, no multicast, no unicast, no broadcast). */
const MODES = 0;
const PAIRS = 1;
const STATION = 2; // two words, a float
const COUNT = { UNICAST: 4, MULTICAST: 5 } as const;
const TABLES_AT = 64;
export const NET_CONTROL_BYTES = TABLES_AT + 2 * TABLE_MAX * 8;

const MODE = { PROMISC: 1, ALLMULTI: 2, ALLUNI: 4, NOMULTI: 8, NOUNI: 16, NOBCAST: 32 } as const;
/** In COUNT: too many addresses came. */
const OVERFLOW = TABLE_MAX + 1;
const ADDRESS_BYTES = 6;
/** The longest command: two full tables. Longer ones are cut, which an overflowing table does not mind. */
export const COMMAND_MAX = 2 + 2 * (4 + TABLE_MAX * ADDRESS_BYTES);

export class NetControl {
  readonly #w: Int32Array;
  readonly #f64: Float64Array;

  constructor(
    state: StateSlice,
    private readonly maxPairs: number,
    private readonly macChanged: (mac: Uint8Array) => void,
  ) {
    this.#w = state.i32;
    this.#f64 = new Float64Array(state.buffer, state.offset, NET_CONTROL_BYTES / 8);
  }

  /** Promiscuous until the driver says otherwise, as QEMU's. */
  reset(mac: Uint8Array): void {
    this.#w.fill(0, 0, TABLES_AT / 4);
    this.#w[MODES] = MODE.PROMISC;
    this.#w[PAIRS] = 1;
    this.#f64[STATION / 2] = readMac(mac, 0);
  }

  /** Pairs of queues in use. */
  get pairs(): number {
    return this.#w[PAIRS];
  }

  /** Lets a frame of at least 14 bytes in? */
  accepts(frame: Uint8Array): boolean {
    const modes = this.#w[MODES];
    if (modes & MODE.PROMISC) return true;
    const to = readMac(frame, 0);
    if (to === BROADCAST) return !(modes & MODE.NOBCAST);
    if (isGroup(to)) {
      return !(modes & MODE.NOMULTI) && ((modes & MODE.ALLMULTI) !== 0 || this.#listed(COUNT.MULTICAST, to));
    }
    if (modes & MODE.NOUNI) return false;
    return to === this.#f64[STATION / 2] || (modes & MODE.ALLUNI) !== 0 || this.#listed(COUNT.UNICAST, to);
  }

  /** command: class, command, data. total: its length, if `command` is only its beginning. False: ERR. */
  carryOut(command: Uint8Array, total: number): boolean {
    const bytes = command.length;
    if (bytes < 3) return false;
    switch (command[0]) {
      case CTRL.RX:
        return this.#setMode(command[1], command[2]);
      case CTRL.MAC:
        if (command[1] === CTRL.MAC_TABLE_SET) return this.#setTables(command, total);
        return (
          command[1] === CTRL.MAC_ADDR_SET && bytes >= 2 + ADDRESS_BYTES && this.#setStation(command.subarray(2, 8))
        );
      case CTRL.MQ:
        return command[1] === CTRL.MQ_PAIRS_SET && bytes >= 4 && this.#setPairs(command[2] | (command[3] << 8));
      default:
        return false;
    }
  }

  #setMode(mode: number, on: number): boolean {
    if (mode > CTRL.RX_NOBCAST || on > 1) return false;
    if (on) Atomics.or(this.#w, MODES, 1 << mode);
    else Atomics.and(this.#w, MODES, ~(1 << mode));
    return true;
  }

  #setStation(mac: Uint8Array): boolean {
    this.#f64[STATION / 2] = readMac(mac, 0);
    this.macChanged(mac);
    return true;
  }

  #setPairs(pairs: number): boolean {
    if (pairs < 1 || pairs > this.maxPairs) return false;
    this.#w[PAIRS] = pairs;
    return true;
  }

  /** Unicast addresses, then the others, each table with its number of entries before it. */
  #setTables(command: Uint8Array, total: number): boolean {
    const view = new DataView(command.buffer, command.byteOffset, command.length);
    let at = 2;
    for (const which of [COUNT.UNICAST, COUNT.MULTICAST]) {
      if (at + 4 > total) return false;
      // Cut off by COMMAND_MAX: then the table before it has overflowed, and what this one has is not known.
      const entries = at + 4 <= command.length ? view.getUint32(at, true) : OVERFLOW;
      at += 4 + entries * ADDRESS_BYTES;
      if (at > total && entries !== OVERFLOW) return false;
      if (entries > TABLE_MAX || at > command.length) this.#w[which] = OVERFLOW;
      else this.#setTable(which, command.subarray(at - entries * ADDRESS_BYTES, at));
    }
    return true;
  }

  #setTable(which: number, addresses: Uint8Array): void {
    const count = addresses.length / ADDRESS_BYTES;
    for (let i = 0; i < count; i++) this.#f64[this.#at(which) + i] = readMac(addresses, i * ADDRESS_BYTES);
    this.#w[which] = count;
  }

  #at(which: number): number {
    return TABLES_AT / 8 + (which === COUNT.UNICAST ? 0 : TABLE_MAX);
  }

  #listed(which: number, mac: number): boolean {
    const count = this.#w[which];
    if (count > TABLE_MAX) return true;
    const at = this.#at(which);
    for (let i = 0; i < count; i++) if (this.#f64[at + i] === mac) return true;
    return false;
  }
}
