/**
 * One thread of a machine does all that has state of its own towards the guest: TCP, DHCP, pings, forwarded ports. It is
 * the first that is asked to; the others hand it their frames through a ring in shared memory, and wake it by an eventfd.
 *
 * One thread and not "whoever opened it", as for UDP: a TCP connection is written to from both sides all the time, and a
 * guest's stack sends acknowledgements from whichever vCPU took the interrupt. With one owner its state needs no locks;
 * a frame of another vCPU costs a copy and, when the home sleeps, a wake-up.
 *
 *   other thread: lock ─► copy into slot ─► tail++ ─► SIGNALLED 0 -> 1: write(eventfd) ─► unlock
 *   home:         watch ─► SIGNALLED = 0 ─► takes slots until head = tail
 */
import type { HandleId, IoContext } from '../io.js';
import { type Libc, NativeMemory } from '../libc.js';
import { Lock } from '../lock.js';
import { FrameBuffer } from '../packet.js';
import { POLLIN } from '../uring-abi.js';

const SLOTS = 64;
const SLOT_BYTES = 2048;
const HEADER_BYTES = 64;
export const INBOX_BYTES = HEADER_BYTES + SLOTS * SLOT_BYTES;
/** Words of the header. */
const LOCK = 0;
/** Descriptor of the home's eventfd plus one; 0: there is no home. */
const OWNER = 1;
const HEAD = 2;
const TAIL = 3;
const SIGNALLED = 4;
const EFD_CLOEXEC_NONBLOCK = 0o2004000;

export type FrameTaker = (frame: FrameBuffer, bytes: number) => void;

export class Home {
  readonly counters = { handedOver: 0, inboxFull: 0 };
  readonly #words: Int32Array;
  readonly #lock: Lock;
  readonly #ring: Uint8Array;
  readonly #ringAddress: number;
  readonly #memory: NativeMemory;
  readonly #frame: FrameBuffer;
  #handle: HandleId | undefined;
  #fd = -1;
  #watch = -1;

  /**
   * inbox: INBOX_BYTES of the machine's shared memory at `offset`. take: gets the frames that other threads hand over.
   * started: this thread has become the home.
   */
  constructor(
    private readonly c: Libc,
    private readonly io: IoContext,
    inbox: SharedArrayBuffer,
    offset: number,
    private readonly take: FrameTaker,
    private readonly started: () => void,
  ) {
    this.#words = new Int32Array(inbox, offset, HEADER_BYTES / 4);
    this.#lock = new Lock(this.#words, LOCK);
    this.#ring = new Uint8Array(inbox, offset + HEADER_BYTES, SLOTS * SLOT_BYTES);
    this.#ringAddress = c.address(this.#ring);
    this.#memory = new NativeMemory(c, 4096);
    this.#frame = new FrameBuffer(this.#memory.buffer, 0, SLOT_BYTES);
    new Uint32Array(this.#memory.buffer, SLOT_BYTES, 2)[0] = 1;
  }

  /** This thread is the home; it becomes it when there is none. False also when the host has no descriptor left. */
  isHere(): boolean {
    if (this.#handle !== undefined) return true;
    return Atomics.load(this.#words, OWNER) === 0 && this.#claim();
  }

  /** Hands a checked frame to the home; false when its ring is full: the frame is lost, as on any wire. */
  give(address: number, bytes: number): boolean {
    return this.#lock.hold(() => {
      const words = this.#words;
      const used = (words[TAIL] - words[HEAD]) | 0;
      if (words[OWNER] === 0 || used >= SLOTS || bytes > SLOT_BYTES - 4) {
        this.counters.inboxFull++;
        return false;
      }
      const slot = this.#ringAddress + (words[TAIL] & (SLOTS - 1)) * SLOT_BYTES;
      new Uint32Array(this.#ring.buffer, this.#ring.byteOffset + (words[TAIL] & (SLOTS - 1)) * SLOT_BYTES, 1)[0] =
        bytes;
      this.c.memcpy(slot + 4, address, bytes);
      Atomics.store(words, TAIL, (words[TAIL] + 1) | 0);
      this.counters.handedOver++;
      // Under the lock, so that the home cannot have closed it.
      if (Atomics.exchange(words, SIGNALLED, 1) === 0) {
        this.c.write(words[OWNER] - 1, this.#memory.address + SLOT_BYTES, 8);
      }
      return true;
    });
  }

  /** Another thread may become the home; connections end with this one. */
  dispose(): void {
    if (this.#handle !== undefined) {
      this.io.unwatch(this.#watch);
      this.#lock.hold(() => {
        Atomics.store(this.#words, OWNER, 0);
        Atomics.store(this.#words, HEAD, this.#words[TAIL]);
        Atomics.store(this.#words, SIGNALLED, 0);
      });
      this.io.close(this.#handle);
      this.#handle = undefined;
    }
    this.#memory.free();
  }

  #claim(): boolean {
    const fd = this.c.eventfd(0, EFD_CLOEXEC_NONBLOCK);
    if (fd < 0) return false;
    if (Atomics.compareExchange(this.#words, OWNER, 0, fd + 1) !== 0) {
      this.c.close(fd);
      return false;
    }
    this.#fd = fd;
    this.#handle = this.io.adopt(fd);
    this.#listen();
    this.started();
    return true;
  }

  #listen(): void {
    this.#watch = this.io.watch(this.#fd, POLLIN, () => this.#drain());
  }

  /** Takes what is there now; what comes meanwhile has signalled again. */
  #drain(): void {
    const words = this.#words;
    this.c.read(this.#fd, this.#memory.address + SLOT_BYTES + 8, 8);
    Atomics.store(words, SIGNALLED, 0);
    const end = Atomics.load(words, TAIL);
    while (words[HEAD] !== end) {
      const at = (words[HEAD] & (SLOTS - 1)) * SLOT_BYTES;
      const bytes = new Uint32Array(this.#ring.buffer, this.#ring.byteOffset + at, 1)[0];
      this.c.memcpy(this.#memory.address + 2, this.#ringAddress + at + 4, bytes);
      Atomics.store(words, HEAD, (words[HEAD] + 1) | 0);
      this.take(this.#frame, bytes);
      if (this.#handle === undefined) return;
    }
    this.#listen();
  }
}
