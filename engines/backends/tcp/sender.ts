/**
 * The sending half of a TCP connection: what may be sent now, what must be sent again (RFC 9293, 3.8; retransmission timer:
 * RFC 6298; congestion window: RFC 5681, fast recovery: RFC 6582).
 *
 *     una ─────────── nxt ─────────── max              tail (+ FIN)
 *      │ in flight     │ sent before   │ not sent yet    │
 *      │               │ a timeout     │                 │
 */
import { RetransmissionTimeout } from './retransmission-timeout.js';
import type { Segment } from './segment.js';
import { add, distance } from './sequence.js';
import type { StreamBuffer } from './stream-buffer.js';

const NEVER = Number.POSITIVE_INFINITY;
/** RFC 6928. */
const INITIAL_SEGMENTS = 10;
const DUPLICATES = 3;
/** Timeouts in a row, without one acknowledgement: more than RFC 9293's 100 s (3.8.3). */
const RETRIES_MAX = 9;

/** Puts `bytes` bytes from `seq` on the wire, and the FIN behind them if `fin`; false: there is no room on it now. */
export type Emit = (seq: number, bytes: number, fin: boolean, push: boolean) => boolean;

export class TcpSender {
  una: number;
  nxt: number;
  max: number;
  /** End of the data that the host has given. */
  tail: number;
  /** The host has no more: a FIN follows the data. */
  fin = false;
  mss: number;
  /** Retransmission or probe; nowNs(). */
  deadline = NEVER;
  /** The wire took no more; output() must be called again. */
  blocked = false;
  readonly timeout = new RetransmissionTimeout();
  readonly counters = { retransmitted: 0, timeouts: 0 };
  #window = 0;
  #windowSeq = 0;
  #windowAck = 0;
  #congestion = 0;
  #threshold = NEVER;
  #duplicates = 0;
  #recovering = false;
  #recover: number;
  /** A segment whose round trip is being measured: its end, and when it was sent. */
  #timedEnd: number | undefined;
  #timedAt = 0;
  #retries = 0;
  /** The first segment in flight is lost: it goes again at the next output(). */
  #firstLost = false;

  /** iss: initial sequence number, of the SYN. */
  constructor(
    readonly buffer: StreamBuffer,
    readonly iss: number,
    private readonly emit: Emit,
  ) {
    this.una = iss;
    this.nxt = add(iss, 1);
    this.max = this.nxt;
    this.tail = this.nxt;
    this.mss = 536;
    this.#recover = iss;
  }

  /** The SYN is acknowledged: data may flow. window: in bytes. */
  start(segment: Segment, window: number, mss: number): void {
    this.una = segment.ack;
    this.mss = mss;
    this.#congestion = INITIAL_SEGMENTS * mss;
    this.#setWindow(segment, window);
    this.deadline = NEVER;
    this.#retries = 0;
  }

  /** Bytes that the buffer has room for. */
  get room(): number {
    return this.fin ? 0 : this.buffer.capacity - distance(this.tail, add(this.una, this.una === this.iss ? 1 : 0));
  }

  /** The FIN, and so everything, is acknowledged. */
  get finished(): boolean {
    return this.fin && this.una === add(this.tail, 1);
  }

  /** Takes an acknowledgement that is not beyond what was sent. window: in bytes. */
  acknowledge(segment: Segment, window: number, now: number): void {
    const acked = distance(segment.ack, this.una);
    if (acked > 0) this.#advance(segment.ack, acked, now);
    else if (acked === 0 && segment.length === 0 && window === this.#window && this.una !== this.max) this.#duplicate();
    const newer = distance(segment.seq, this.#windowSeq);
    if (newer > 0 || (newer === 0 && distance(segment.ack, this.#windowAck) >= 0)) {
      if (this.#window === 0 && window > 0) this.#reopened(now);
      this.#setWindow(segment, window);
    }
    // Whoever answers is there, even if it takes nothing (3.8.6.1).
    this.#retries = 0;
  }

  /** Sends what the windows allow. */
  output(now: number): void {
    this.blocked = false;
    if (this.#firstLost) this.#resendFirst();
    while (this.#sendNext(now)) {}
    const waiting = distance(this.max, this.una) > 0 || this.#unsent > 0 || (this.fin && !this.finished);
    if (this.deadline === NEVER && waiting) this.deadline = now + this.timeout.value;
  }

  /** The deadline has passed. False: the peer is given up. */
  expire(now: number): boolean {
    if (++this.#retries > RETRIES_MAX) return false;
    const lost = this.una !== this.max;
    this.timeout.backOff();
    this.deadline = now + this.timeout.value;
    this.#timedEnd = undefined;
    if (this.#window === 0) {
      this.#probe();
      return true;
    }
    if (lost) {
      this.counters.timeouts++;
      this.#threshold = this.#half();
      this.#congestion = this.mss;
      this.#recovering = false;
      this.#recover = this.max;
      this.#duplicates = 0;
      this.nxt = this.una;
    }
    this.output(now);
    return true;
  }

  get #unsent(): number {
    return distance(this.tail, this.nxt);
  }

  #sendNext(now: number): boolean {
    const inFlight = distance(this.nxt, this.una);
    const unsent = this.#unsent;
    const allowed = Math.min(this.#window, this.#congestion) - inFlight;
    const bytes = Math.max(0, Math.min(unsent, this.mss, allowed));
    const fin = this.fin && bytes === unsent;
    if (bytes === 0 && !fin) return false;
    // Silly window avoidance (3.8.6.2.1): a short piece in the middle of the data waits for room.
    if (bytes < this.mss && bytes < unsent && inFlight > 0) return false;
    if (!this.emit(this.nxt, bytes, fin, bytes === unsent)) {
      this.blocked = true;
      return false;
    }
    this.#sent(add(this.nxt, bytes + (fin ? 1 : 0)), now);
    return !fin;
  }

  #sent(end: number, now: number): void {
    if (distance(end, this.max) <= 0) this.counters.retransmitted++;
    else if (this.#timedEnd === undefined && this.nxt === this.max) {
      this.#timedEnd = end;
      this.#timedAt = now;
    }
    this.nxt = end;
    if (distance(end, this.max) > 0) this.max = end;
    if (this.deadline === NEVER) this.deadline = now + this.timeout.value;
  }

  /** One byte (or the FIN) into a closed window, so that its opening cannot be missed (3.8.6.1). */
  #probe(): void {
    const data = distance(this.tail, this.una) > 0;
    const fin = !data && this.fin;
    if (!data && !fin) return;
    if (!this.emit(this.una, data ? 1 : 0, fin, true)) return;
    const end = add(this.una, 1);
    if (distance(end, this.max) > 0) this.max = end;
    if (distance(end, this.nxt) > 0) this.nxt = end;
  }

  /** A closed window has opened: the probe's byte goes again, with more. */
  #reopened(now: number): void {
    this.nxt = this.una;
    this.deadline = now + this.timeout.value;
  }

  #advance(ack: number, acked: number, now: number): void {
    this.una = ack;
    if (distance(this.nxt, ack) < 0) this.nxt = ack;
    if (this.#timedEnd !== undefined && distance(ack, this.#timedEnd) >= 0) {
      this.timeout.sample(now - this.#timedAt);
      this.#timedEnd = undefined;
    }
    this.#duplicates = 0;
    if (this.#recovering) this.#recovered(ack, acked);
    else if (this.#congestion < this.#threshold) this.#congestion += acked;
    else this.#congestion += Math.max(1, Math.floor((this.mss * Math.min(acked, this.#congestion)) / this.#congestion));
    this.#congestion = Math.min(this.#congestion, 2 * this.buffer.capacity);
    this.deadline = this.una === this.max ? NEVER : now + this.timeout.value;
  }

  /** RFC 6582, 3.2, step 3. */
  #recovered(ack: number, acked: number): void {
    if (distance(ack, this.#recover) >= 0) {
      this.#recovering = false;
      this.#congestion = this.#threshold;
      return;
    }
    this.#congestion = Math.max(this.mss, this.#congestion - acked + this.mss);
    this.#firstLost = true;
  }

  /** RFC 5681, 3.2. */
  #duplicate(): void {
    this.#duplicates++;
    if (this.#recovering) {
      this.#congestion += this.mss;
      return;
    }
    if (this.#duplicates !== DUPLICATES || distance(this.una, this.#recover) <= 0) return;
    this.#threshold = this.#half();
    this.#congestion = this.#threshold + DUPLICATES * this.mss;
    this.#recovering = true;
    this.#recover = this.max;
    this.#timedEnd = undefined;
    this.#firstLost = true;
  }

  #resendFirst(): void {
    this.#firstLost = false;
    if (this.una === this.max) return;
    const bytes = Math.min(this.mss, distance(this.tail, this.una), distance(this.max, this.una));
    const fin = this.fin && add(this.una, Math.max(0, bytes)) === this.tail && distance(this.max, this.tail) > 0;
    this.counters.retransmitted++;
    // What the wire does not take now comes again with the timer.
    this.emit(this.una, Math.max(0, bytes), fin, true);
  }

  /** Half of what is in flight, at least two segments. */
  #half(): number {
    return Math.max(distance(this.max, this.una) / 2, 2 * this.mss);
  }

  #setWindow(segment: Segment, window: number): void {
    this.#window = window;
    this.#windowSeq = segment.seq;
    this.#windowAck = segment.ack;
  }
}
