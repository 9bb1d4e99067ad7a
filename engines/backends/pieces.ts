/** Requests whose memory lies in pieces: the iovecs that the kernel reads, and the way without them. */
import type { Completion, Pieces } from './io.js';
import { type Libc, NativeMemory } from './libc.js';
import { putAddress } from './ring.js';

/** IOV_MAX of Linux. */
export const PIECES_MAX = 1024;
const IOVEC_BYTES = 16;
const WORDS = IOVEC_BYTES / 4;

/** An array of struct iovec, for one request at a time. */
export class Vector {
  /** Of the first iovec that is not done. */
  address = 0;
  count = 0;
  readonly #memory: NativeMemory;
  readonly #words: Uint32Array;

  constructor(c: Libc) {
    this.#memory = new NativeMemory(c, PIECES_MAX * IOVEC_BYTES);
    this.#words = new Uint32Array(this.#memory.buffer);
  }

  /** base: host address of the memory that the pieces lie in. At most PIECES_MAX. */
  fill(base: number, pieces: Pieces): void {
    for (let i = 0; i < pieces.count; i++) {
      putAddress(this.#words, i * WORDS, base + pieces.address[i]);
      putAddress(this.#words, i * WORDS + 2, pieces.bytes[i]);
    }
    this.address = this.#memory.address;
    this.count = pieces.count;
  }

  /** So many bytes have been moved, fewer than all: what is left begins behind them. */
  advance(bytes: number): void {
    let at = (this.address - this.#memory.address) / 4;
    let left = bytes;
    for (; left >= this.#words[at + 2]; at += WORDS) {
      left -= this.#words[at + 2];
      this.count--;
    }
    const address = this.#words[at] + this.#words[at + 1] * 4294967296;
    putAddress(this.#words, at, address + left);
    this.#words[at + 2] -= left;
    this.address = this.#memory.address + at * 4;
  }

  free(): void {
    this.#memory.free();
  }
}

/** Does each piece by itself; `done` hears of them all at once: of the first error, or of all bytes. */
export function onePieceAtATime(
  pieces: Pieces,
  offset: number,
  done: Completion,
  start: (address: number, bytes: number, offset: number, done: Completion) => void,
): void {
  let pending = pieces.count;
  let moved = 0;
  let error = 0;
  const ended = (result: number): void => {
    if (result >= 0) moved += result;
    else if (error === 0) error = result;
    if (--pending === 0) done(error || moved);
  };
  const { count } = pieces;
  for (let i = 0, at = offset; i < count; at += pieces.bytes[i++]) start(pieces.address[i], pieces.bytes[i], at, ended);
}

/** Bytes of all pieces together. */
export function bytesOf({ bytes, count }: Pieces): number {
  let all = 0;
  for (let i = 0; i < count; i++) all += bytes[i];
  return all;
}
