/**
 * A UDP socket on loopback whose datagrams the kernel stamps as they arrive: socket(7), SO_TIMESTAMPNS.
 *
 * On loopback a datagram arrives within the sender's own system call, on the sender's CPU, so the stamp is taken in QEMU's
 * vCPU thread while the guest's store to the serial port is being executed. However late the reader gets a processor, the
 * stamp does not move: the reader of a pipe on busy cores comes up to 5 ms late.
 */
import { type Libc, NativeMemory } from '../backends/libc.js';
import { putAddress } from '../backends/ring.js';

const AF_INET = 2;
const SOCK_DGRAM_NONBLOCK_CLOEXEC = 2 | 0o4000 | 0o2000000;
const SOCKADDR_IN_BYTES = 16;
const SOL_SOCKET = 1;
const SO_RCVBUF = 8;
const SO_TIMESTAMPNS = 35;
const SO_RXQ_OVFL = 40;
const MSG_TRUNC = 0x20;
const MSG_DONTWAIT = 0x40;
const SYS_GETSOCKNAME: Record<string, number> = { x64: 51, arm64: 204 };
const CLOCK_REALTIME = 0;
const CLOCK_MONOTONIC = 1;
/** A datagram of one byte takes 768 bytes of it. The kernel grants at most net.core.rmem_max. */
const RECEIVE_BUFFER_BYTES = 4 << 20;
/** A stamp this much older than its reading is none: the host's clock was set between the two. */
const OLDEST_NS = 10_000_000_000n;

const CLOCK_TRIES = 32;

/** Batch of recvmmsg(2), and where its parts lie in native memory. */
const SLOTS = 64;
const PAYLOAD_BYTES = 4096;
const CONTROL_BYTES = 128;
/** struct mmsghdr: name 0, its length 8, iov 16, iov count 24, control 32, its length 40, flags 48; bytes received 56. */
const HEADER_BYTES = 64;
const IOVEC_BYTES = 16;
const PAYLOADS_AT = 0;
const CONTROLS_AT = PAYLOADS_AT + SLOTS * PAYLOAD_BYTES;
const HEADERS_AT = CONTROLS_AT + SLOTS * CONTROL_BYTES;
const IOVECS_AT = HEADERS_AT + SLOTS * HEADER_BYTES;
const NAMES_AT = IOVECS_AT + SLOTS * IOVEC_BYTES;
const SCRATCH_AT = NAMES_AT + SLOTS * SOCKADDR_IN_BYTES;
const TOTAL_BYTES = SCRATCH_AT + 4096;

/** A stamping socket on a free port of 127.0.0.1. Any thread may use the descriptor. @throws Error */
export function openStampedSocket(c: Libc): { fd: number; port: number } {
  const fd = c.socket(AF_INET, SOCK_DGRAM_NONBLOCK_CLOEXEC, 0);
  if (fd < 0) throw new Error(`no UDP socket to be had (errno ${-fd})`);
  const scratch = new NativeMemory(c, 4096);
  try {
    const words = new Uint32Array(scratch.buffer);
    const view = new DataView(scratch.buffer);
    const option = (name: number, value: number) => {
      words[16] = value;
      return c.setsockopt(fd, SOL_SOCKET, name, scratch.address + 64, 4);
    };
    option(SO_RCVBUF, RECEIVE_BUFFER_BYTES);
    option(SO_RXQ_OVFL, 1);
    option(SO_TIMESTAMPNS, 1); // without it receive() stamps, and says so
    new Uint16Array(scratch.buffer)[0] = AF_INET;
    view.setUint16(2, 0);
    view.setUint32(4, 0x7f000001);
    const bound = c.bind(fd, scratch.address, SOCKADDR_IN_BYTES);
    if (bound < 0) throw new Error(`no UDP port on 127.0.0.1 to be had (errno ${-bound})`);
    words[16] = SOCKADDR_IN_BYTES;
    const named = c.syscall(SYS_GETSOCKNAME[process.arch] ?? 0, fd, scratch.address, scratch.address + 64, 0, 0, 0);
    if (named < 0) throw new Error(`the console's UDP port cannot be read (errno ${-named})`);
    return { fd, port: view.getUint16(2) };
  } catch (error) {
    c.close(fd);
    throw error;
  } finally {
    scratch.free();
  }
}

export interface Datagram {
  /** Valid until the next receive(). */
  bytes: Uint8Array;
  /** CLOCK_MONOTONIC at its arrival. */
  ns: bigint;
  /** The kernel stamped it; false: receive() did. */
  byKernel: boolean;
  /** Datagrams lost before it, since the socket was opened. */
  lost: number;
  /** It was longer than anyone sends, and has been cut. */
  cut: boolean;
}

/** The receiving end, for one thread. */
export class StampedReader {
  readonly #memory: NativeMemory;
  readonly #words: Uint32Array;
  readonly #bigs: BigInt64Array;
  readonly #bytes: Uint8Array;
  #connected = false;
  #best: { offset: bigint; bracket: bigint } | undefined;

  constructor(
    private readonly c: Libc,
    private readonly fd: number,
  ) {
    this.#memory = new NativeMemory(c, TOTAL_BYTES);
    this.#words = new Uint32Array(this.#memory.buffer);
    this.#bigs = new BigInt64Array(this.#memory.buffer);
    this.#bytes = new Uint8Array(this.#memory.buffer);
    for (let slot = 0; slot < SLOTS; slot++) this.#arm(slot);
    for (let i = 0; i < CLOCK_TRIES; i++) this.#clockOffset();
  }

  /** What has arrived, oldest first; does not wait. The first sender becomes the only one that is listened to. */
  receive(): Datagram[] {
    const count = this.c.recvmmsg(this.fd, this.#memory.address + HEADERS_AT, SLOTS, MSG_DONTWAIT);
    if (count <= 0) return [];
    if (!this.#connected) this.#connected = this.#answerTo(0);
    const offset = this.#clockOffset();
    return Array.from({ length: count }, (_, slot) => {
      const datagram = this.#datagram(slot, offset);
      this.#arm(slot); // the kernel wrote lengths where the room was said
      return datagram;
    });
  }

  dispose(): void {
    this.#memory.free();
  }

  #arm(slot: number): void {
    const { address } = this.#memory;
    const header = (HEADERS_AT + slot * HEADER_BYTES) / 4;
    const iovec = (IOVECS_AT + slot * IOVEC_BYTES) / 4;
    putAddress(this.#words, header, address + NAMES_AT + slot * SOCKADDR_IN_BYTES);
    this.#words[header + 2] = SOCKADDR_IN_BYTES;
    putAddress(this.#words, header + 4, address + IOVECS_AT + slot * IOVEC_BYTES);
    putAddress(this.#words, header + 6, 1);
    putAddress(this.#words, header + 8, address + CONTROLS_AT + slot * CONTROL_BYTES);
    putAddress(this.#words, header + 10, CONTROL_BYTES);
    putAddress(this.#words, iovec, address + PAYLOADS_AT + slot * PAYLOAD_BYTES);
    putAddress(this.#words, iovec + 2, PAYLOAD_BYTES);
  }

  #answerTo(slot: number): boolean {
    const name = this.#memory.address + NAMES_AT + slot * SOCKADDR_IN_BYTES;
    return this.c.connect(this.fd, name, SOCKADDR_IN_BYTES) === 0;
  }

  #datagram(slot: number, offset: bigint): Datagram {
    const header = (HEADERS_AT + slot * HEADER_BYTES) / 4;
    const at = PAYLOADS_AT + slot * PAYLOAD_BYTES;
    const { realtime, lost } = this.#control(slot, this.#words[header + 10]);
    const now = process.hrtime.bigint();
    const stamp = realtime === undefined ? undefined : realtime + offset;
    const byKernel = stamp !== undefined && stamp <= now && now - stamp < OLDEST_NS;
    return {
      bytes: this.#bytes.subarray(at, at + Math.min(this.#words[header + 14], PAYLOAD_BYTES)),
      ns: byKernel ? stamp : now,
      byKernel,
      lost,
      cut: (this.#words[header + 12] & MSG_TRUNC) !== 0,
    };
  }

  /** Ancillary data, cmsg(3): length, level, type, then the value; each padded to 8 bytes. */
  #control(slot: number, length: number): { realtime: bigint | undefined; lost: number } {
    const begin = CONTROLS_AT + slot * CONTROL_BYTES;
    const end = begin + Math.min(length, CONTROL_BYTES);
    let realtime: bigint | undefined;
    let lost = 0;
    for (let at = begin; at + 16 <= end; ) {
      const bytes = this.#words[at / 4];
      const type = this.#words[at / 4 + 3];
      if (type === SO_TIMESTAMPNS) realtime = this.#bigs[at / 8 + 2] * 1_000_000_000n + this.#bigs[at / 8 + 3];
      if (type === SO_RXQ_OVFL) lost = this.#words[at / 4 + 4];
      if (bytes < 16) break;
      at += Math.ceil(bytes / 8) * 8;
    }
    return { realtime, lost };
  }

  /**
   * CLOCK_MONOTONIC minus CLOCK_REALTIME: the stamps are the latter's. Both run at one rate, so the offset stays until
   * someone sets the clock: the reading with the closest brackets counts, until one contradicts it. (A reader that loses
   * its processor between two readings would else be wrong by as much.)
   */
  #clockOffset(): bigint {
    const before = this.#clock(CLOCK_MONOTONIC);
    const real = this.#clock(CLOCK_REALTIME);
    const after = this.#clock(CLOCK_MONOTONIC);
    const found = { offset: (before + after) / 2n - real, bracket: after - before };
    const best = this.#best;
    const apart = best === undefined ? 0n : found.offset - best.offset;
    const wasSet = best !== undefined && (apart < 0n ? -apart : apart) > found.bracket + best.bracket;
    if (best === undefined || wasSet || found.bracket < best.bracket) this.#best = found;
    return this.#best?.offset ?? found.offset;
  }

  #clock(clock: number): bigint {
    this.c.clockGettime(clock, this.#memory.address + SCRATCH_AT);
    return this.#bigs[SCRATCH_AT / 8] * 1_000_000_000n + this.#bigs[SCRATCH_AT / 8 + 1];
  }
}
