/**
 * The block device (virtio 1.2, 5.2), one queue a hart. Data never passes through JavaScript: each piece of a request is read or
 * written by the host straight in guest memory. A request belongs to the thread that took it from its queue; there it completes.
 *
 *      doorbell ─► take() all that is available ─► IoContext ─► … ─► poll() ─► status byte, used ring, interrupt
 */
import type { Pieces } from '../../../backends/io.js';
import type { BlockPort } from '../device.js';
import { BlkRequest } from './blk-request.js';
import {
  BLK_CONFIG,
  BLK_F,
  BLK_S,
  BLK_T,
  HEADER_BYTES,
  ID_BYTES,
  RANGE_BYTES,
  RANGE_F_UNMAP,
  SECTOR_BYTES,
} from './blk-spec.js';
import { Chain } from './chain.js';
import { type VirtioContext, VirtioCore, type VirtioHooks, type VirtioModel, virtioStateBytes } from './core.js';
import { TYPE } from './spec.js';
import { BROKEN, EMPTY, type Virtqueue } from './virtqueue.js';

const QUEUE_SIZE = 256;
/** Pieces of data of one request: what is left of a full queue's descriptors, as with QEMU. */
const SEG_MAX = QUEUE_SIZE - 2;
/**
 * Pieces with the host, of one thread, from which on it takes no further requests: together with the last one they leave half of an
 * IoContext (backends/requests.ts: 1024) to other devices.
 */
const PIECES_MAX = 256;
/** Chains that one doorbell takes before the guest runs again: other harts may add to the queue for ever. */
const BURST = QUEUE_SIZE;
/**
 * Requests that the kernel gets at a time: of more it makes one batch and starts none before all are prepared (IO_PLUG_THRESHOLD). All
 * pieces of one request go together.
 */
const SUBMIT_AT = 2;
/** Ranges of one DISCARD or WRITE_ZEROES, and sectors of each: 1 GiB, which the host does at once. */
const RANGES_MAX = 16;
const RANGE_SECTORS_MAX = 2 ** 21;
/** In sectors; file systems of the host give back blocks of 4 KiB. */
const DISCARD_ALIGNMENT = 8;
const EOPNOTSUPP = 95;

export const virtioBlkStateBytes = (queues: number): number => virtioStateBytes(queues);

export interface VirtioBlkOptions {
  /** One a hart; at least 1. */
  queues: number;
  readonly: boolean;
  /** What GET_ID answers, at most 20 bytes of ASCII. */
  serial: string;
}

export class VirtioBlk implements VirtioModel, VirtioHooks {
  readonly name: string;
  readonly core: VirtioCore;
  readonly #chain: Chain;
  readonly #header = new Uint8Array(HEADER_BYTES);
  readonly #headerWords = new DataView(this.#header.buffer);
  readonly #ranges = new Uint8Array(RANGES_MAX * RANGE_BYTES);
  readonly #rangeWords = new DataView(this.#ranges.buffer);
  readonly #id = new Uint8Array(ID_BYTES);
  readonly #scattered = { address: new Float64Array(SEG_MAX + 2), bytes: new Float64Array(SEG_MAX + 2), count: 0 };
  /* Of this thread: requests at the host, and queues that wait for one of them to end. */
  readonly #spare: BlkRequest[] = [];
  readonly #stalled: boolean[];
  /** Queues of which it is not settled yet whether the driver wants an interrupt. */
  readonly #unsettled: boolean[];
  #pieces = 0;
  #unsubmitted = 0;

  /** name: distinguishes the machine's disks, in counters. */
  constructor(
    private readonly context: VirtioContext,
    private readonly disk: BlockPort,
    private readonly options: VirtioBlkOptions,
    name = 'virtio-blk',
  ) {
    this.name = name;
    this.#id.set(Buffer.from(options.serial, 'latin1').subarray(0, ID_BYTES));
    this.#chain = new Chain(context.ram);
    this.#stalled = new Array<boolean>(options.queues).fill(false);
    this.#unsettled = new Array<boolean>(options.queues).fill(false);
    const traits = {
      type: TYPE.BLOCK,
      features: features(options),
      queueSizes: new Array<number>(options.queues).fill(QUEUE_SIZE),
      configBytes: BLK_CONFIG.BYTES,
      versionOneOptional: true,
    };
    this.core = new VirtioCore(name, context, traits, this);
  }

  counters(): Record<string, number> {
    return this.core.counters();
  }

  initialize(): void {
    const { config } = this.core;
    const { info } = this.disk;
    const put64 = (at: number, value: number) => config.setBigUint64(at, BigInt(value), true);
    put64(BLK_CONFIG.CAPACITY, Math.floor(info.bytes / SECTOR_BYTES));
    config.setUint32(BLK_CONFIG.SEG_MAX, SEG_MAX, true);
    config.setUint32(BLK_CONFIG.BLK_SIZE, SECTOR_BYTES, true);
    // A physical block is what the host's file wants to be aligned to; smaller requests are done, by way of a copy.
    config.setUint8(BLK_CONFIG.PHYSICAL_BLOCK_EXP, Math.max(0, Math.log2(info.alignment / SECTOR_BYTES)));
    config.setUint16(BLK_CONFIG.MIN_IO_SIZE, 1, true);
    config.setUint16(BLK_CONFIG.NUM_QUEUES, this.options.queues, true);
    config.setUint32(BLK_CONFIG.MAX_DISCARD_SECTORS, RANGE_SECTORS_MAX, true);
    config.setUint32(BLK_CONFIG.MAX_DISCARD_SEG, RANGES_MAX, true);
    config.setUint32(BLK_CONFIG.DISCARD_SECTOR_ALIGNMENT, DISCARD_ALIGNMENT, true);
    config.setUint32(BLK_CONFIG.MAX_WRITE_ZEROES_SECTORS, RANGE_SECTORS_MAX, true);
    config.setUint32(BLK_CONFIG.MAX_WRITE_ZEROES_SEG, RANGES_MAX, true);
    config.setUint8(BLK_CONFIG.WRITE_ZEROES_MAY_UNMAP, 1);
  }

  /**
   * The guest's doorbell. What has completed meanwhile is given back at once: a driver that looks at the used ring before it
   * sleeps then finds it there, and is spared the sleep, the interrupt and the exits that go with it.
   */
  notified(n: number): void {
    this.#work(n);
    this.disk.io.poll();
  }

  /** On a queue: until it is empty, the host has enough, or the guest shall run again. */
  #work(n: number): void {
    const queue = this.core.queues[n];
    // Who has it looks at the queue once more after letting go. Not at once: other harts could keep this one here for ever.
    if (!queue.taking.tryAcquire()) return;
    const empty = this.#takeAll(n, queue);
    queue.taking.release();
    this.#submit();
    if (empty && queue.waiting) this.context.defer(() => this.#work(n));
  }

  /** Holding `taking`. True when nothing is left in the queue; false when someone else will see to what is. */
  #takeAll(n: number, queue: Virtqueue): boolean {
    for (let burst = 0; burst < BURST; burst++) {
      if (!this.core.live) return false;
      if (this.#pieces >= PIECES_MAX) {
        this.#stalled[n] = true;
        return false;
      }
      const head = queue.take(this.#chain);
      if (head === EMPTY) {
        if (!queue.rearm()) return true;
      } else if (head === BROKEN || !this.#start(queue, n, head)) {
        this.core.needsReset();
        return false;
      }
    }
    this.context.defer(() => this.#work(n));
    return false;
  }

  /** False when the chain is no request at all: no header, or no place for the status. */
  #start(queue: Virtqueue, n: number, head: number): boolean {
    const chain = this.#chain;
    if (chain.readableBytes < HEADER_BYTES || chain.writableBytes < 1) return false;
    const request = this.#spare.pop() ?? new BlkRequest((ended) => this.#ended(ended));
    request.begin(queue, n, head, chain.lastWritable);
    this.core.began();
    const status = this.#carryOut(request);
    if (request.pieces === 0) {
      this.#finish(request, status);
      return true;
    }
    this.#pieces += request.pieces;
    if (++this.#unsubmitted === SUBMIT_AT) this.#submit();
    return true;
  }

  /** Starts what the header asks for. The status counts only when nothing was started. */
  #carryOut(request: BlkRequest): number {
    // As a rule the header is one piece, and is read where it lies, each word once.
    const chain = this.#chain;
    const inPlace = chain.length[0] >= HEADER_BYTES;
    if (!inPlace) chain.copyOut(0, this.#header);
    const words = inPlace ? chain.view : this.#headerWords;
    const at = inPlace ? chain.offset[0] : 0;
    const type = words.getUint32(at, true);
    const sector = words.getUint32(at + 8, true) + words.getUint32(at + 12, true) * 4_294_967_296;
    switch (type) {
      case BLK_T.IN:
      case BLK_T.OUT:
        return this.#transfer(request, type === BLK_T.OUT, sector * SECTOR_BYTES);
      case BLK_T.FLUSH:
        this.#flush(request);
        return BLK_S.OK;
      case BLK_T.GET_ID:
        request.written += chain.copyIn(0, this.#id.subarray(0, chain.writableBytes - 1));
        return BLK_S.OK;
      case BLK_T.DISCARD:
        return this.#zeroAll(request, true);
      case BLK_T.WRITE_ZEROES:
        return this.#zeroAll(request, false);
      default:
        return BLK_S.UNSUPP;
    }
  }

  /** Data lies between the header and the status. offset: bytes. */
  #transfer(request: BlkRequest, write: boolean, offset: number): number {
    const chain = this.#chain;
    const bytes = write ? chain.readableBytes - HEADER_BYTES : chain.writableBytes - 1;
    const legal = bytes % SECTOR_BYTES === 0 && chain.count <= SEG_MAX + 2 && offset + bytes <= this.#capacity;
    if (!legal || (write && this.options.readonly)) return BLK_S.IOERR;
    if (write) {
      request.durable = !this.core.has(BLK_F.FLUSH); // no cache that the driver knew of (5.2.6.2)
      this.#move(request, true, 0, HEADER_BYTES, bytes, offset);
    } else {
      request.written += bytes;
      this.#move(request, false, chain.readable, 0, bytes, offset);
    }
    return BLK_S.OK;
  }

  /** `bytes` bytes, from byte `skip` of piece `first` on. The hot path. */
  #move(request: BlkRequest, write: boolean, first: number, skip: number, bytes: number, offset: number): void {
    const { io, handle } = this.disk;
    const { ram, offset: at, length } = this.#chain;
    const { memory } = ram;
    if (bytes > 0 && bytes <= length[first] - skip) {
      request.add(bytes);
      if (write) io.write(handle, memory, at[first] + skip, bytes, offset, request.done);
      else io.read(handle, memory, at[first] + skip, bytes, offset, request.done);
      return;
    }
    const pieces = this.#gather(first, skip, bytes);
    if (pieces.count === 0) return;
    request.add(bytes, pieces.count);
    if (write) io.writev(handle, memory, pieces, offset, request.done);
    else io.readv(handle, memory, pieces, offset, request.done);
  }

  #gather(first: number, skip: number, bytes: number): Pieces {
    const chain = this.#chain;
    const pieces = this.#scattered;
    pieces.count = 0;
    let from = skip;
    for (let i = first, left = bytes; left > 0; i++) {
      const length = Math.min(chain.length[i] - from, left);
      if (length > 0) {
        pieces.address[pieces.count] = chain.offset[i] + from;
        pieces.bytes[pieces.count++] = length;
        left -= length;
      }
      from = Math.max(0, from - chain.length[i]);
    }
    return pieces;
  }

  #flush(request: BlkRequest): void {
    request.add(0);
    this.disk.io.flush(this.disk.handle, request.done);
  }

  /** DISCARD and WRITE_ZEROES: ranges behind the header, all of them checked before the first is begun. */
  #zeroAll(request: BlkRequest, discard: boolean): number {
    const bytes = this.#chain.readableBytes - HEADER_BYTES;
    if (this.options.readonly || bytes === 0 || bytes % RANGE_BYTES !== 0 || bytes > RANGES_MAX * RANGE_BYTES) {
      return BLK_S.IOERR;
    }
    this.#chain.copyOut(HEADER_BYTES, this.#ranges.subarray(0, bytes));
    for (let at = 0; at < bytes; at += RANGE_BYTES) {
      const status = this.#checkRange(at, discard);
      if (status !== BLK_S.OK) return status;
    }
    request.durable = !this.core.has(BLK_F.FLUSH);
    for (let at = 0; at < bytes; at += RANGE_BYTES) this.#zero(request, at, discard);
    return BLK_S.OK;
  }

  #checkRange(at: number, discard: boolean): number {
    const { sector, sectors, flags } = this.#range(at);
    if (flags & ~RANGE_F_UNMAP || (discard && flags !== 0)) return BLK_S.UNSUPP; // 5.2.6.2
    const legal = sectors <= RANGE_SECTORS_MAX && (sector + sectors) * SECTOR_BYTES <= this.#capacity;
    return legal ? BLK_S.OK : BLK_S.IOERR;
  }

  #zero(request: BlkRequest, at: number, discard: boolean): void {
    const { sector, sectors, flags } = this.#range(at);
    if (sectors === 0) return;
    request.add(0);
    const unmap = discard || (flags & RANGE_F_UNMAP) !== 0;
    const { io, handle } = this.disk;
    const [offset, bytes] = [sector * SECTOR_BYTES, sectors * SECTOR_BYTES];
    io.zero(handle, offset, bytes, unmap, (result) => {
      // To discard is a wish; and blocks that cannot be zeroed in place may be given back, since they read as zeros then.
      if (result !== -EOPNOTSUPP) request.done(result);
      else if (discard) request.done(0);
      else io.zero(handle, offset, bytes, true, request.done);
    });
  }

  #range(at: number): { sector: number; sectors: number; flags: number } {
    const view = this.#rangeWords;
    return {
      sector: view.getUint32(at, true) + view.getUint32(at + 4, true) * 4_294_967_296,
      sectors: view.getUint32(at + 8, true),
      flags: view.getUint32(at + 12, true),
    };
  }

  get #capacity(): number {
    return Math.floor(this.disk.info.bytes / SECTOR_BYTES) * SECTOR_BYTES;
  }

  /** The host has done all pieces: on the thread that began them, from poll() or wait(). */
  #ended(request: BlkRequest): void {
    this.#pieces -= request.pieces;
    if (request.good && request.durable) {
      request.durable = false;
      request.pieces = 0;
      this.#flush(request);
      this.#pieces++;
      this.disk.io.submit();
      return;
    }
    this.#finish(request, request.good ? BLK_S.OK : BLK_S.IOERR);
    this.#resume();
  }

  #finish(request: BlkRequest, status: number): void {
    const { queue } = request;
    if (queue?.begin(request.epoch)) {
      this.#chain.all[request.statusAt] = status;
      queue.give(request.head, request.written);
      this.#show(request, queue);
    }
    this.core.ended();
    this.#spare.push(request);
  }

  /**
   * A hart that slept is awake now, whatever comes: as a rule its driver looks at the queue before the thread is here again.
   * Under the used ring's lock, which is released.
   */
  #show({ n, epoch }: BlkRequest, queue: Virtqueue): void {
    if (!this.disk.io.waiting) {
      queue.end();
      return;
    }
    if (!queue.endBeforeLook() || this.#unsettled[n]) return;
    this.#unsettled[n] = true;
    this.context.defer(() => {
      this.#unsettled[n] = false;
      queue.settle(epoch);
    });
  }

  /** Queues that had to wait for this thread's requests. */
  #resume(): void {
    for (let n = 0; n < this.#stalled.length; n++) {
      if (!this.#stalled[n]) continue;
      this.#stalled[n] = false;
      this.#work(n);
    }
  }

  #submit(): void {
    if (this.#unsubmitted === 0) return;
    this.#unsubmitted = 0;
    this.disk.io.submit();
  }
}

function features({ queues, readonly }: VirtioBlkOptions): number {
  const bits: number[] = [BLK_F.SEG_MAX, BLK_F.BLK_SIZE, BLK_F.TOPOLOGY, BLK_F.FLUSH];
  if (queues > 1) bits.push(BLK_F.MQ);
  bits.push(...(readonly ? [BLK_F.RO] : [BLK_F.DISCARD, BLK_F.WRITE_ZEROES]));
  return bits.reduce((all, bit) => all | (1 << bit), 0);
}
