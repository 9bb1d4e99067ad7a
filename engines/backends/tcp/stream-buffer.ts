/** Part of a byte stream, in a ring: a byte's place follows from its sequence number, so that nothing is ever moved. */
export class StreamBuffer {
  readonly #mask: number;

  /** bytes: a power of two of them. */
  constructor(readonly bytes: Uint8Array) {
    this.#mask = bytes.length - 1;
    if ((bytes.length & this.#mask) !== 0) throw new RangeError(`a ring of ${bytes.length} bytes: not a power of two`);
  }

  get capacity(): number {
    return this.bytes.length;
  }

  /** Place of the byte with this sequence number. */
  place(seq: number): number {
    return seq & this.#mask;
  }

  /** How many of `count` bytes from `seq` on lie in one piece. */
  contiguous(seq: number, count: number): number {
    return Math.min(count, this.bytes.length - this.place(seq));
  }

  write(seq: number, from: Uint8Array, at: number, count: number): void {
    const first = this.contiguous(seq, count);
    this.bytes.set(from.subarray(at, at + first), this.place(seq));
    if (first < count) this.bytes.set(from.subarray(at + first, at + count), 0);
  }

  read(seq: number, to: Uint8Array, at: number, count: number): void {
    const place = this.place(seq);
    const first = this.contiguous(seq, count);
    to.set(this.bytes.subarray(place, place + first), at);
    if (first < count) to.set(this.bytes.subarray(0, count - first), at + first);
  }
}
