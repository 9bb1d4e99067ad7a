/**
 * The block device (virtio 1.2, 5.2), one queue a hart. Data never passes through JavaScript: each piece of a request is read or
 * written by the host straight in guest memory. A request belongs to the thread that took it from its queue; there it completes.
 *
 *      doorbell ─► take() all that is available ─► IoContext ─► … ─► poll() ─► status byte, used ring, interrupt
 */
import { type BlockPort, type Resettable } from '../device.js';
import { BlkRequest } from './blk-request.js';
import { BLK_CONFIG, BLK_F, BLK_S, BLK_T, HEADER_BYTES, ID_BYTES, RANGE_BYTES, RANGE_F_UNMAP, SECTOR_BYTES } from './blk-spec.js';
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
/** Entries that the kernel gets at a time: of more it makes one batch and starts none before all are prepared (IO_PLUG_THRESHOLD). */
const SUBMIT_AT = 2;
const PAGE = 4096;

export const virtioBlkStateBytes = (queues: number): number => virtioStateBytes(queues);

export interface VirtioBlkOptions {
  /** One a hart; at least 1. */
  queues: number;
  readonly: boolean;
  /** What GET_ID answers, at most 20 bytes of ASCII. */
  serial: string;
}

export class VirtioBlk implements VirtioModel, VirtioHooks, Pick<Resettable, 'counters'> {
  readonly name: string;
  readonly core: VirtioCore;
  readonly #chain: Chain;
  readonly #header = new Uint8Array(HEADER_BYTES);
  readonly #headerWords = new DataView(this.#header.buffer);
  readonly #id = new Uint8Array(ID_BYTES);
  /* Of this thread: requests at the host, and queues that wait for one of them to end. */
  readonly #spare: BlkRequest[] = [];
  readonly #stalled: boolean[];
  #pieces = 0;
  #unsubmitted = 0;

  /** name: distinguishes the machine's disks, in counters. */
  constructor(
    context: VirtioContext,
    private readonly disk: BlockPort,
    private readonly options: VirtioBlkOptions,
    name = 'virtio-blk',
  ) {
    this.name = name;
    this.#id.set(Buffer.from(options.serial, 'latin1').subarray(0, ID_BYTES));
    this.#chain = new Chain(context.ram);
    this.#stalled = new Array<boolean>(options.queues).fill(false);
    const traits = {
      type: TYPE.BLOCK,
      features: features(options),
      queueSizes: new Array<number>(options.queues).fill(QUEUE_SIZE),
      configBytes: BLK_CONFIG.BYTES,
    };
    this.core = new VirtioCore(name, context, traits, this);
    this.defer = context.defer;
  }

  private readonly defer: (task: () => void) => void;

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
  }

  /** Work on a queue: until it is empty, the host has enough, or the guest shall run again. */
  notified(n: number): void {
    const queue = this.core.queues[n];
    let more = true;
    while (more) {
      // Who holds it looks at the queue again when it lets go.
      if (!queue.taking.tryAcquire()) return;
      const left = this.#takeAll(n, queue);
      queue.taking.release();
      this.#submit();
      if (left === 'stop') return;
      more = left === 'look again' || queue.rearm();
    }
  }

  /** Holding `taking`. */
  #takeAll(n: number, queue: Virtqueue): 'stop' | 'empty' | 'look again' {
    for (let burst = 0; burst < BURST; burst++) {
      if (this.#pieces >= PIECES_MAX) {
        this.#stalled[n] = true;
        return 'stop';
      }
      if (!this.core.live) return 'stop';
      const head = queue.take(this.#chain);
      if (head === EMPTY) return queue.rearm() ? 'look again' : 'empty';
      if (head === BROKEN || !this.#start(queue, head)) {
        this.core.needsReset();
        return 'stop';
      }
    }
    this.defer(() => this.notified(n));
    return 'stop';
  }
}
