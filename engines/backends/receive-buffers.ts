/**
 * Buffers that the kernel picks from for incoming datagrams (a provided buffer ring, Linux 5.19): all sockets of one
 * io_uring share them, and one multishot RECV per socket (Linux 6.0) then delivers datagram after datagram without a
 * request for each.
 */
import { type Libc, NativeMemory } from './libc.js';
import { putAddress, type Ring } from './ring.js';
import { DATAGRAM_MAX } from './udp.js';
import { REGISTER_PBUF_RING } from './uring-abi.js';

/** A power of two; 256 KiB of buffers. */
const BUFFERS = 128;
const RING_BYTES = 4096;
/** struct io_uring_buf: u64 address, u32 length, u16 id, u16 (the ring's tail, in the first one). */
const ENTRY_WORDS = 4;
const TAIL_HALFWORD = 7;

export class ReceiveBuffers {
  readonly group = 0;
  readonly #memory: NativeMemory;
  readonly #words: Uint32Array;
  readonly #halfwords: Uint16Array;
  readonly #all: Uint8Array;
  /** The last view made of each buffer: datagrams of a stream have one length, and so no view is made per datagram. */
  readonly #views: Uint8Array[] = [];
  #tail = 0;

  private constructor(c: Libc) {
    this.#memory = new NativeMemory(c, RING_BYTES + BUFFERS * DATAGRAM_MAX);
    this.#words = new Uint32Array(this.#memory.buffer, 0, RING_BYTES / 4);
    this.#halfwords = new Uint16Array(this.#memory.buffer, 0, RING_BYTES / 2);
    this.#all = new Uint8Array(this.#memory.buffer, RING_BYTES);
  }

  /** undefined where the kernel has no buffer rings. */
  static register(c: Libc, ring: Ring): ReceiveBuffers | undefined {
    const buffers = new ReceiveBuffers(c);
    const argument = new NativeMemory(c, 4096); // struct io_uring_buf_reg: u64 address, u32 entries, u16 group
    const words = new Uint32Array(argument.buffer);
    putAddress(words, 0, buffers.#memory.address);
    words[2] = BUFFERS;
    const result = ring.register(REGISTER_PBUF_RING, argument.address, 1);
    argument.free();
    if (result < 0) {
      buffers.#memory.free();
      return undefined;
    }
    for (let id = 0; id < BUFFERS; id++) buffers.giveBack(id);
    return buffers;
  }

  /** The first `bytes` bytes of a buffer that a completion named; valid until giveBack(). */
  view(id: number, bytes: number): Uint8Array {
    const last = this.#views[id];
    if (last !== undefined && last.length === bytes) return last;
    const view = this.#all.subarray(id * DATAGRAM_MAX, id * DATAGRAM_MAX + bytes);
    this.#views[id] = view;
    return view;
  }

  /** The kernel may fill the buffer again. */
  giveBack(id: number): void {
    const at = (this.#tail & (BUFFERS - 1)) * ENTRY_WORDS;
    putAddress(this.#words, at, this.#memory.address + RING_BYTES + id * DATAGRAM_MAX);
    this.#words[at + 2] = DATAGRAM_MAX;
    this.#halfwords[at * 2 + 6] = id;
    this.#tail = (this.#tail + 1) & 0xffff;
    Atomics.store(this.#halfwords, TAIL_HALFWORD, this.#tail);
  }

  /** After the ring is closed. */
  free(): void {
    this.#memory.free();
  }
}
