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
  fd: number;
  deliver: (datagram: Uint8Array) => void;
  /** For kernels without buffer rings: one request at a time into a buffer of its own. */
  own?: { memory: NativeMemory; bytes: Uint8Array };
}

export class UringReceiver {
  readonly #receivers = new Map<number, Receiver>();
  #buffers: ReceiveBuffers | undefined | 'untried' = 'untried';

  constructor(
    private readonly c: Libc,
    private readonly ring: Ring,
    /** High word of user_data of our requests, and of those whose completion nobody reads. */
    private readonly kind: number,
    private readonly ignored: number,
  ) {}

  start(id: number, fd: number, deliver: (datagram: Uint8Array) => void): void {
    const known = this.#receivers.get(id);
    if (known !== undefined) {
      known.deliver = deliver;
      return;
    }
    if (this.#buffers === 'untried') this.#buffers = ReceiveBuffers.register(this.c, this.ring);
    this.#receivers.set(id, { fd, deliver });
    this.#arm(id);
  }

  /** Takes a completion of socket `id`; 1 when a datagram was delivered. */
  complete(id: number, result: number, flags: number): number {
    const receiver = this.#receivers.get(id);
    try {
      if (receiver === undefined || result < 0) return 0;
      receiver.deliver(this.#datagram(receiver, result, flags));
      return 1;
    } finally {
      if ((flags & CQE_FLAG.BUFFER) !== 0) this.#shared()?.giveBack(flags >>> CQE_BUFFER_SHIFT);
      if ((flags & CQE_FLAG.MORE) === 0 && receiver !== undefined) this.#rearm(id, result);
    }
  }

  stop(id: number): void {
    const receiver = this.#receivers.get(id);
    if (receiver === undefined) return;
    this.#receivers.delete(id);
    // ASYNC_CANCEL names its victim by user_data: our id in the low word, our kind in the high one.
    this.ring.push(OP.ASYNC_CANCEL, -1, id + this.kind * 4294967296, 0, 0, CANCEL_FLAG_ALL, 0, this.ignored);
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

  #rearm(id: number, result: number): void {
    // A kernel with buffer rings but without multishot RECV (5.19) says EINVAL once.
    if (result === -EINVAL && this.#shared() !== undefined) this.#buffers = undefined;
    else if (result < 0 && !TRANSIENT.has(-result)) return;
    if (this.#receivers.has(id)) this.#arm(id);
  }

  #arm(id: number): void {
    const receiver = this.#receivers.get(id);
    if (receiver === undefined) return;
    const shared = this.#shared();
    if (shared !== undefined) {
      const op = OP.RECV | (SQE_BUFFER_SELECT << 8) | (RECV_MULTISHOT << 16);
      this.ring.push(op, receiver.fd, 0, 0, 0, 0, id, this.kind, shared.group);
      return;
    }
    receiver.own ??= this.#ownBuffer();
    this.ring.push(OP.RECV, receiver.fd, receiver.own.memory.address, DATAGRAM_MAX, 0, 0, id, this.kind);
  }

  #ownBuffer(): { memory: NativeMemory; bytes: Uint8Array } {
    const memory = new NativeMemory(this.c, 4096);
    return { memory, bytes: new Uint8Array(memory.buffer) };
  }
}
