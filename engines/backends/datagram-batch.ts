/**
 * Frames copied out of guest memory, and the sendmmsg(2) that sends a burst of their UDP payloads with one system call.
 * A frame is copied once, into a slot; it is checked there, where the guest cannot change it any more, and its payload is
 * sent from there.
 */
import { type Libc, NativeMemory } from './libc.js';
import { FrameBuffer } from './packet.js';
import { putAddress } from './ring.js';
import { MSG_DONTWAIT, MSG_NOSIGNAL } from './udp.js';

const SLOTS = 32;
const SLOT_BYTES = 2048;
/** struct mmsghdr: struct msghdr (iov pointer at 16, iov count at 24) and the number of bytes sent. */
const MMSGHDR_BYTES = 64;
const IOV_POINTER = 16 / 4;
const IOV_COUNT = 24 / 4;
const IOVEC_BYTES = 16;
const HEADERS_AT = SLOTS * SLOT_BYTES;
const IOVECS_AT = HEADERS_AT + SLOTS * MMSGHDR_BYTES;
const TOTAL_BYTES = IOVECS_AT + 4096;
const EINTR = 4;
const ECONNREFUSED = 111;

export class DatagramBatch {
  readonly counters = { sendCalls: 0, sent: 0, unsent: 0 };
  readonly #memory: NativeMemory;
  readonly #words: Uint32Array;
  readonly #slots: FrameBuffer[] = [];
  /** Slots [first, next) hold datagrams for `fd`; slot `next` is the one being looked at. */
  #first = 0;
  #next = 0;
  #fd = -1;
  /** Guest memory that was copied from last, and its address. */
  #source: Uint8Array | undefined;
  #sourceAddress = 0;

  constructor(private readonly c: Libc) {
    this.#memory = new NativeMemory(c, TOTAL_BYTES);
    this.#words = new Uint32Array(this.#memory.buffer);
    for (let slot = 0; slot < SLOTS; slot++) {
      this.#slots.push(new FrameBuffer(this.#memory.buffer, slot * SLOT_BYTES, SLOT_BYTES));
      const header = (HEADERS_AT + slot * MMSGHDR_BYTES) / 4;
      putAddress(this.#words, header + IOV_POINTER, this.#memory.address + IOVECS_AT + slot * IOVEC_BYTES);
      this.#words[header + IOV_COUNT] = 1;
    }
  }

  get isEmpty(): boolean {
    return this.#first === this.#next;
  }

  /** Copies a frame in. It stays until the next call, unless queue() keeps it. */
  load(buffer: Uint8Array, offset: number, bytes: number): FrameBuffer {
    const slot = this.#slots[this.#next];
    if (buffer.buffer instanceof SharedArrayBuffer) {
      // Uint8Array.set() from a shared buffer goes byte by byte, 520 ns for a full frame; memcpy through koffi 120 ns.
      if (this.#source !== buffer) {
        this.#source = buffer;
        this.#sourceAddress = this.c.address(buffer);
      }
      this.c.memcpy(this.#memory.address + this.#next * SLOT_BYTES + 2, this.#sourceAddress + offset, bytes);
    } else {
      slot.bytes.set(buffer.subarray(offset, offset + bytes));
    }
    return slot;
  }

  /** Where the loaded frame lies. */
  get loadedAddress(): number {
    return this.#memory.address + this.#next * SLOT_BYTES + 2;
  }

  /** Keeps the loaded frame, to send `bytes` bytes of it from `offset` on with `fd`. */
  queue(fd: number, offset: number, bytes: number): void {
    if (fd !== this.#fd) {
      this.flush();
      this.#fd = fd;
    }
    const iovec = (IOVECS_AT + this.#next * IOVEC_BYTES) / 4;
    putAddress(this.#words, iovec, this.#memory.address + this.#next * SLOT_BYTES + 2 + offset);
    this.#words[iovec + 2] = bytes;
    this.#next++;
    if (this.#next === SLOTS) this.flush();
  }

  /** Sends what is queued. What the socket does not take now is lost, as datagrams are. */
  flush(): void {
    while (this.#first < this.#next) {
      this.counters.sendCalls++;
      const headers = this.#memory.address + HEADERS_AT + this.#first * MMSGHDR_BYTES;
      const result = this.c.sendmmsg(this.#fd, headers, this.#next - this.#first, MSG_DONTWAIT | MSG_NOSIGNAL);
      if (result > 0) {
        this.counters.sent += result;
        this.#first += result;
      } else if (result !== -ECONNREFUSED && result !== -EINTR) {
        break;
      }
      // ECONNREFUSED tells of an earlier datagram, once; this one has not been tried.
    }
    this.counters.unsent += this.#next - this.#first;
    // The slot that is being looked at stays where it is, unless the last one has been used.
    if (this.#next === SLOTS) this.#next = 0;
    this.#first = this.#next;
  }

  dispose(): void {
    this.#first = this.#next;
    this.#memory.free();
  }
}
