/** The receiving half of a TCP connection: puts segments in order, and says how much more it takes (RFC 9293, 3.4 and 3.8.6). */
import { FLAG, type Segment } from './segment.js';
import { add, distance } from './sequence.js';
import type { StreamBuffer } from './stream-buffer.js';

/** Pieces beyond a gap that are kept; data that would make another one is dropped and comes again. */
const PIECES_MAX = 16;

interface Piece {
  from: number;
  to: number;
}

export type Arrival = 'nothing new' | 'in order' | 'out of order';

export class TcpReceiver {
  /** RCV.NXT: the FIN counts as one. */
  next = 0;
  /** What the host has taken ends here. */
  read = 0;
  /** The peer's FIN and all before it have come. */
  finished = false;
  /** Right edge of the window that the peer knows. */
  #edge = 0;
  #fin: number | undefined;
  readonly #pieces: Piece[] = [];

  constructor(readonly buffer: StreamBuffer) {}

  /** seq: the peer's initial sequence number. */
  start(seq: number): void {
    this.next = add(seq, 1);
    this.read = this.next;
    this.#edge = this.next;
  }

  /** Bytes in order that the host has not taken. */
  get readable(): number {
    return distance(this.next, this.read) - (this.finished ? 1 : 0);
  }

  get free(): number {
    return this.buffer.capacity - distance(this.next, this.read);
  }

  /** RFC 9293, 3.10.7.4, first check. The window's right edge itself is allowed: an ACK of a peer that has filled it. */
  accepts(segment: Segment): boolean {
    const window = Math.max(0, this.free);
    const first = distance(segment.seq, this.next);
    const { length } = segment;
    if (length === 0) return first >= 0 && first <= window;
    const last = first + length - 1;
    return window > 0 && first < window && last >= 0;
  }

  /** Takes an acceptable segment's data and FIN. */
  take(segment: Segment): Arrival {
    if (this.finished) return 'nothing new';
    const before = this.next;
    const kept = this.#takeData(segment);
    if (segment.flags & FLAG.FIN && this.#fin === undefined) this.#noteFin(add(segment.seq, segment.dataBytes));
    if (this.#fin !== undefined && this.#fin === this.next) {
      this.next = add(this.next, 1);
      this.finished = true;
    }
    if (this.next !== before) return this.#pieces.length > 0 ? 'out of order' : 'in order';
    return kept ? 'out of order' : 'nothing new';
  }

  /** The window to be advertised now, bytes: it grows in worthwhile steps only (3.8.6.2.2). Remembers it as known to the peer. */
  advertise(mss: number, scale: number): number {
    if (this.#growth >= this.#step(mss)) this.#edge = add(this.next, Math.max(0, this.free));
    const window = Math.max(0, distance(this.#edge, this.next));
    // As the peer will read it.
    return Math.min(window >>> scale, 0xffff);
  }

  /** The host has taken so much that the peer should hear of the larger window. */
  updateDue(mss: number): boolean {
    return !this.finished && this.#growth >= Math.max(this.#step(mss), this.buffer.capacity / 4);
  }

  get #growth(): number {
    return distance(add(this.next, Math.max(0, this.free)), this.#edge);
  }

  #step(mss: number): number {
    return Math.min(mss, this.buffer.capacity / 2);
  }

  #takeData(segment: Segment): boolean {
    const skipped = Math.max(0, distance(this.next, segment.seq));
    const from = add(segment.seq, skipped);
    const limit = this.#fin ?? add(this.read, this.buffer.capacity);
    const count = Math.min(segment.dataBytes - skipped, distance(limit, from));
    if (count <= 0) return false;
    const to = add(from, count);
    if (from !== this.next && !this.#addPiece(from, to)) return true;
    this.buffer.write(from, segment.bytes, segment.dataAt + skipped, count);
    if (from === this.next) {
      this.next = to;
      this.#join();
    }
    return true;
  }

  /** A FIN beyond the window is not believed yet. */
  #noteFin(at: number): void {
    const inWindow = distance(at, add(this.read, this.buffer.capacity)) <= 0 && distance(at, this.next) >= 0;
    const beyondData = this.#pieces.every((piece) => distance(at, piece.to) >= 0);
    if (inWindow && beyondData) this.#fin = at;
  }

  /** False when there are too many pieces. */
  #addPiece(from: number, to: number): boolean {
    let piece = { from, to };
    const apart = this.#pieces.filter((other) => {
      const touches = distance(other.from, piece.to) <= 0 && distance(piece.from, other.to) <= 0;
      if (touches) {
        piece = {
          from: distance(other.from, piece.from) < 0 ? other.from : piece.from,
          to: distance(other.to, piece.to) > 0 ? other.to : piece.to,
        };
      }
      return !touches;
    });
    if (apart.length >= PIECES_MAX) return false;
    this.#pieces.splice(0, this.#pieces.length, ...apart, piece);
    return true;
  }

  /** What has come beyond the gap that is now closed. */
  #join(): void {
    for (let i = 0; i < this.#pieces.length; ) {
      const piece = this.#pieces[i];
      if (distance(piece.from, this.next) > 0) {
        i++;
        continue;
      }
      if (distance(piece.to, this.next) > 0) this.next = piece.to;
      this.#pieces.splice(i, 1);
      i = 0;
    }
  }
}
