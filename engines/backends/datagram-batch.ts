/**
 * Frames copied out of guest memory, and the sendmmsg(2) that sends a burst of their UDP payloads with one system call.
 * A frame is copied once, into a slot; it is checked there, where the guest cannot change it any more, and its payload is
 * sent from there.
 *
 * Datagrams of one length that follow each other are one message to the kernel, which cuts it again as late as it can
 * (UDP_SEGMENT, udp(7)): it goes through the network stack once.
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
const CONTROL_POINTER = 32 / 4;
const CONTROL_LENGTH = 40 / 4;
const IOVECS_AT = HEADERS_AT + SLOTS * MMSGHDR_BYTES;
/** One struct cmsghdr a message: length, level, type, and the 16-bit length of a segment. */
const CONTROLS_AT = IOVECS_AT + SLOTS * IOVEC_BYTES;
const CMSG_BYTES = 24;
const CMSG_LENGTH = 18;
const SOL_UDP = 17;
const UDP_SEGMENT = 103;
const TOTAL_BYTES = CONTROLS_AT + SLOTS * CMSG_BYTES;
const EINTR = 4;
const EIO = 5;
const EINVAL = 22;
const EMSGSIZE = 90;
const ENOPROTOOPT = 92;
const EOPNOTSUPP = 95;
const ECONNREFUSED = 111;
/** No such kernel (before Linux 4.18), no such device on the way, or a smaller MTU there. */
const CANNOT_SEGMENT = new Set([EIO, EINVAL, EMSGSIZE, ENOPROTOOPT, EOPNOTSUPP]);

export class DatagramBatch {
  readonly counters = { sendCalls: 0, sent: 0, unsent: 0 };
  readonly #memory: NativeMemory;
  readonly #words: Uint32Array;
  readonly #slots: FrameBuffer[] = [];
  /** Slots [first, next) hold datagrams for `fd`; slot `next` is the one being looked at. */
  #first = 0;
  #next = 0;
  #fd = -1;
  /** Datagrams may be joined, as far as we know. */
  #segments = true;
  /** Of each message that was composed last: the slot behind its last one. */
  readonly #ends = new Uint8Array(SLOTS);
  /** Guest memory that was copied from last, and its address. */
  #source: Uint8Array | undefined;
  #sourceAddress = 0;

  constructor(private readonly c: Libc) {
    this.#memory = new NativeMemory(c, TOTAL_BYTES);
    this.#words = new Uint32Array(this.#memory.buffer);
    for (let slot = 0; slot < SLOTS; slot++) {
      this.#slots.push(new FrameBuffer(this.#memory.buffer, slot * SLOT_BYTES, SLOT_BYTES));
      const control = (CONTROLS_AT + slot * CMSG_BYTES) / 4;
      this.#words[control] = CMSG_LENGTH;
      this.#words[control + 2] = SOL_UDP;
      this.#words[control + 3] = UDP_SEGMENT;
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
      const messages = this.#compose();
      const result = this.c.sendmmsg(
        this.#fd,
        this.#memory.address + HEADERS_AT,
        messages,
        MSG_DONTWAIT | MSG_NOSIGNAL,
      );
      if (result > 0) {
        const end = this.#ends[result - 1];
        this.counters.sent += end - this.#first;
        this.#first = end;
      } else if (this.#segments && this.#ends[0] > this.#first + 1 && CANNOT_SEGMENT.has(-result)) {
        this.#segments = false;
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

  /** Makes messages of what is queued; how many. All slots together hold less than the largest message (65,507 bytes). */
  #compose(): number {
    let messages = 0;
    for (let slot = this.#first; slot < this.#next; messages++) {
      let end = slot + 1;
      const joins = this.#segments && this.#bytesOf(slot) > 0;
      while (joins && end < this.#next && this.#bytesOf(end) === this.#bytesOf(slot)) end++;
      this.#message(messages, slot, end - slot);
      this.#ends[messages] = end;
      slot = end;
    }
    return messages;
  }

  /** The iovecs of neighbouring slots lie one behind the other. */
  #message(n: number, slot: number, count: number): void {
    const words = this.#words;
    const header = (HEADERS_AT + n * MMSGHDR_BYTES) / 4;
    putAddress(words, header + IOV_POINTER, this.#memory.address + IOVECS_AT + slot * IOVEC_BYTES);
    words[header + IOV_COUNT] = count;
    putAddress(words, header + CONTROL_POINTER, count > 1 ? this.#memory.address + CONTROLS_AT + n * CMSG_BYTES : 0);
    words[header + CONTROL_LENGTH] = count > 1 ? CMSG_BYTES : 0;
    words[(CONTROLS_AT + n * CMSG_BYTES) / 4 + 4] = this.#bytesOf(slot);
  }

  #bytesOf(slot: number): number {
    return this.#words[(IOVECS_AT + slot * IOVEC_BYTES) / 4 + 2];
  }

  dispose(): void {
    this.#first = this.#next;
    this.#memory.free();
  }
}
