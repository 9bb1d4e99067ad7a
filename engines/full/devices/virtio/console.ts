/**
 * The console device (virtio 1.2, 5.3) with its one port. Output goes to the machine's console as far as that has room; the rest
 * stays in the driver's buffer. Input waits in the machine's ring until the driver has buffers for it.
 */
import type { AccessSize } from '../device.js';
import type { SerialPort } from '../uart.js';
import { Chain } from './chain.js';
import { type VirtioContext, VirtioCore, type VirtioHooks, type VirtioModel, virtioStateBytes } from './core.js';
import { TYPE } from './spec.js';
import { BROKEN, EMPTY, type Virtqueue } from './virtqueue.js';

const QUEUE = { INPUT: 0, OUTPUT: 1 } as const;
const QUEUE_SIZE = 64;
const EMERG_WRITE = 2;
const CONFIG = { EMERG_WR: 8, BYTES: 12 } as const;
/** Chains that one doorbell takes before the guest runs again. */
const BURST = 256;
const INPUT_MAX = 256;

/* Words of the own state. */
/** Bytes of the first available chain that have been written already. */
const WRITTEN = 0;
/** Output waits for the machine's console. */
const STALLED = 1;
const OUT_BYTES = 2;
const IN_BYTES = 3;
export const VIRTIO_CONSOLE_STATE_BYTES = virtioStateBytes(2, 64);

export type ConsolePort = Pick<SerialPort, 'room' | 'put' | 'take'>;

export class VirtioConsole implements VirtioModel, VirtioHooks {
  readonly name = 'virtio-console';
  readonly core: VirtioCore;
  readonly #chain: Chain;
  readonly #words: Int32Array;
  readonly #input = new Uint8Array(INPUT_MAX);

  constructor(
    private readonly context: VirtioContext,
    private readonly port: ConsolePort,
  ) {
    const queueSizes = [QUEUE_SIZE, QUEUE_SIZE];
    const traits = { type: TYPE.CONSOLE, features: 1 << EMERG_WRITE, queueSizes, configBytes: CONFIG.BYTES };
    this.core = new VirtioCore(this.name, context, traits, this);
    this.#chain = new Chain(context.ram);
    this.#words = this.core.own.i32;
  }

  counters(): Record<string, number> {
    const bytes = { sent: this.#words[OUT_BYTES] >>> 0, received: this.#words[IN_BYTES] >>> 0 };
    return { ...this.core.counters(), [`${this.name}.sent`]: bytes.sent, [`${this.name}.received`]: bytes.received };
  }

  initialize(): void {
    this.#words[WRITTEN] = 0;
    Atomics.store(this.#words, STALLED, 0);
  }

  /** 5.3.4: a character that must come out whatever state the device is in. */
  configWritten(offset: number, _size: AccessSize, value: number): void {
    if (offset === CONFIG.EMERG_WR && this.port.room() > 0) this.port.put(value & 0xff);
  }

  /** A driver is there: the machine's input is for it. */
  get takesInput(): boolean {
    return this.core.live && this.core.queues[QUEUE.INPUT].enabled;
  }

  /** The console holds input, or has room for output again. Any thread. */
  consoleChanged(): void {
    if (!this.core.live) return;
    this.#receive(this.core.queues[QUEUE.INPUT]);
    if (Atomics.exchange(this.#words, STALLED, 0) === 0) return;
    if (this.#transmit(this.core.queues[QUEUE.OUTPUT])) Atomics.store(this.#words, STALLED, 1);
  }

  notified(n: number): void {
    const queue = this.core.queues[n];
    if (n === QUEUE.INPUT) this.#receive(queue);
    else if (this.#transmit(queue)) this.context.defer(() => this.notified(n));
  }

  /* ---- output ---- */

  /** True: there is more to do, and nobody else will. */
  #transmit(queue: Virtqueue): boolean {
    for (let look = 0; look < BURST; look++) {
      if (!queue.taking.tryAcquire()) return false;
      const left = this.#transmitAll(queue);
      queue.taking.release();
      if (left !== 'nothing') return left === 'more';
      if (!queue.waiting) return false;
    }
    return true;
  }

  #transmitAll(queue: Virtqueue): 'nothing' | 'stalled' | 'more' {
    for (let burst = 0; burst < BURST; burst++) {
      if (!this.core.live) return 'stalled';
      const head = queue.peek(this.#chain);
      if (head === EMPTY) {
        if (!queue.rearm()) return 'nothing';
      } else if (head === BROKEN) {
        this.core.needsReset();
        return 'stalled';
      } else if (this.#put()) {
        queue.skip();
        queue.complete(head, 0, queue.epoch);
      } else {
        // Between the last look at the room and this mark the console may have been emptied: then nobody would come back.
        Atomics.store(this.#words, STALLED, 1);
        if (this.port.room() === 0) return 'stalled';
      }
    }
    return 'more';
  }

  /** Writes what the console takes of the chain. True when all of it has been written. */
  #put(): boolean {
    const chain = this.#chain;
    let skip = this.#words[WRITTEN];
    let room = this.port.room();
    for (let i = 0; i < chain.readable; i++) {
      const bytes = Math.min(Math.max(0, chain.length[i] - skip), room);
      for (let at = 0; at < bytes; at++) this.port.put(chain.all[chain.offset[i] + skip + at]);
      room -= bytes;
      this.#words[WRITTEN] += bytes;
      this.#words[OUT_BYTES] += bytes;
      skip = Math.max(0, skip - chain.length[i]);
    }
    if (this.#words[WRITTEN] < chain.readableBytes) return false;
    this.#words[WRITTEN] = 0;
    return true;
  }

  /* ---- input ---- */

  #receive(queue: Virtqueue): void {
    queue.taking.acquire();
    let more = this.core.live;
    for (let burst = 0; more && burst < BURST; burst++) {
      const head = queue.peek(this.#chain);
      if (head === BROKEN) this.core.needsReset();
      if (head >= 0) more = this.#deliver(queue, head);
      else more = head === EMPTY && queue.rearm();
    }
    queue.taking.release();
  }

  /** False when there is no input left. */
  #deliver(queue: Virtqueue, head: number): boolean {
    const most = Math.min(INPUT_MAX, this.#chain.writableBytes);
    let count = 0;
    for (let byte = 0; count < most; this.#input[count++] = byte) {
      byte = this.port.take();
      if (byte < 0) break;
    }
    if (count === 0 && most > 0) return false;
    this.#chain.copyIn(0, this.#input.subarray(0, count));
    this.#words[IN_BYTES] += count;
    queue.skip();
    queue.complete(head, count, queue.epoch);
    return true;
  }
}
