/** The receiving half of the sockets of one io_uring: a RECV stays posted for every socket that somebody listens to. */
import { type Libc, NativeMemory } from './libc.js';
import { ReceiveBuffers } from './receive-buffers.js';
import type { Ring } from './ring.js';
import { DATAGRAM_MAX } from './udp.js';
import { CANCEL_FLAG_ALL, CQE_BUFFER_SHIFT, CQE_FLAG, OP, RECV_MULTISHOT, SQE_BUFFER_SELECT } from './uring-abi.js';

const EINVAL = 22;
/** Errors after which a datagram may still come: refused by the peer's host, interrupted, out of buffers for a moment. */
const TRANSIENT = new Set([4, 11, 105, 111, 113]);

interface Receiver {
  /** The handle that it was started for. */
  id: number;
  fd: number;
  deliver: (datagram: Uint8Array) => void;
  /** For kernels without buffer rings: one request at a time into a buffer of its own. */
  own?: { memory: NativeMemory; bytes: Uint8Array };
}

export class UringReceiver {
  /** A receive was posted anew and has not been handed to the kernel. */
  owed = false;
  /** By user_data: numbers that are not used again, so that a late completion never meets another socket's receiver. */
  readonly #receivers = new Map<number, Receiver>();
  #nextKey = 0;
  #buffers: ReceiveBuffers | undefined | 'untried' = 'untried';

  constructor(
    private readonly c: Libc,
    private readonly ring: Ring,
    /** High word of user_data of our requests, and of those whose completion nobody reads. */
    private readonly kind: number,
    private readonly ignored: number,
  ) {}

  /** A datagram may come at any time. */
  get listening(): boolean {
    return this.#receivers.size > 0;
  }

  start(id: number, fd: number, deliver: (datagram: Uint8Array) => void): void {
    const known = this.#keyOf(id);
    const receiver = known === undefined ? undefined : this.#receivers.get(known);
    if (receiver !== undefined) {
      receiver.deliver = deliver;
      return;
    }
    if (this.#buffers === 'untried') this.#buffers = ReceiveBuffers.register(this.c, this.ring);
    const key = this.#nextKey;
    this.#nextKey = (key + 1) >>> 0;
    this.#receivers.set(key, { id, fd, deliver });
    this.#arm(key);
  }

  /** Takes a completion of ours, by its user_data; 1 when a datagram was delivered. */
  complete(key: number, result: number, flags: number): number {
    const receiver = this.#receivers.get(key);
    try {
      if (receiver === undefined || result < 0) return 0;
      receiver.deliver(this.#datagram(receiver, result, flags));
      return 1;
    } finally {
      if ((flags & CQE_FLAG.BUFFER) !== 0) this.#shared()?.giveBack(flags >>> CQE_BUFFER_SHIFT);
      if ((flags & CQE_FLAG.MORE) === 0 && receiver !== undefined) this.#rearm(key, result);
    }
  }

  stop(id: number): void {
    const key = this.#keyOf(id);
    if (key === undefined) return;
    this.#receivers.delete(key);
    // ASYNC_CANCEL names its victim by user_data: the key in the low word, our kind in the high one.
    this.ring.push(OP.ASYNC_CANCEL, -1, key + this.kind * 4294967296, 0, 0, CANCEL_FLAG_ALL, 0, this.ignored);
  }

  #keyOf(id: number): number | undefined {
    for (const [key, receiver] of this.#receivers) if (receiver.id === id) return key;
    return undefined;
  }

  /** After the ring is closed. */
  dispose(): void {
    this.#shared()?.free();
    this.#buffers = undefined;
  }

  #shared(): ReceiveBuffers | undefined {
    return this.#buffers === 'untried' ? undefined : this.#buffers;
  }

  #datagram(receiver: Receiver, bytes: number, flags: number): Uint8Array {
    const shared = this.#shared();
    if ((flags & CQE_FLAG.BUFFER) !== 0 && shared !== undefined) return shared.view(flags >>> CQE_BUFFER_SHIFT, bytes);
    return receiver.own === undefined ? new Uint8Array(0) : receiver.own.bytes.subarray(0, bytes);
  }

  #rearm(key: number, result: number): void {
    // A kernel with buffer rings but without multishot RECV (5.19) says EINVAL once.
    if (result === -EINVAL && this.#shared() !== undefined) this.#buffers = undefined;
    else if (result < 0 && !TRANSIENT.has(-result)) return;
    if (!this.#receivers.has(key)) return;
    this.#arm(key);
    this.owed = true;
  }

  #arm(key: number): void {
    const receiver = this.#receivers.get(key);
    if (receiver === undefined) return;
    const shared = this.#shared();
    if (shared !== undefined) {
      const op = OP.RECV | (SQE_BUFFER_SELECT << 8) | (RECV_MULTISHOT << 16);
      this.ring.push(op, receiver.fd, 0, 0, 0, 0, key, this.kind, shared.group);
      return;
    }
    receiver.own ??= this.#ownBuffer();
    this.ring.push(OP.RECV, receiver.fd, receiver.own.memory.address, DATAGRAM_MAX, 0, 0, key, this.kind);
  }

  #ownBuffer(): { memory: NativeMemory; bytes: Uint8Array } {
    const memory = new NativeMemory(this.c, 4096);
    return { memory, bytes: new Uint8Array(memory.buffer) };
  }
}
