/**
 * The memory balloon (virtio 1.2, 5.5). Which pages the driver has given up is kept in a bitmap and counted; their memory stays with
 * the machine, since a WebAssembly memory cannot give pages back.
 */
import { Chain } from './chain.js';
import { type VirtioContext, VirtioCore, type VirtioHooks, type VirtioModel, virtioStateBytes } from './core.js';
import { type Burst, chains, serveQueue } from './serve.js';
import { TYPE } from './spec.js';
import type { Virtqueue } from './virtqueue.js';

const QUEUE = { INFLATE: 0, DEFLATE: 1, STATS: 2 } as const;
const QUEUE_SIZE = 128;
const BALLOON_F = { STATS_VQ: 1, DEFLATE_ON_OOM: 2 } as const;
const CONFIG = { NUM_PAGES: 0, ACTUAL: 4, BYTES: 8 } as const;
/** Of the balloon, whatever the guest's pages are. */
const PAGE = 4096;
/** Page numbers read at a time; and of one doorbell, before the guest runs again. */
const PIECE = 1024;
const CHAINS_MAX = 64;
const PAGES_MAX = 65_536;

/** Tags of the statistics (5.5.6.3), in their order. */
export const BALLOON_STATS = [
  ...['swap_in', 'swap_out', 'major_faults', 'minor_faults', 'free_memory', 'total_memory', 'available_memory'],
  ...['disk_caches', 'hugetlb_allocations', 'hugetlb_failures'],
];
/** Tag and value, packed. */
const STAT_BYTES = 10;

/* Own state: words, statistics as floats (-1: not told), then the bitmap. */
/** Head + 1 of the chain of statistics that we keep (5.5.6.3). */
const STATS_HEAD = 0;
const COUNT = 1;
const STATS_AT = 64;
const BITMAP_AT = 192;

export const virtioBalloonStateBytes = (ramBytes: number): number =>
  virtioStateBytes(3, BITMAP_AT + Math.ceil(ramBytes / PAGE / 32) * 4);

export class VirtioBalloon implements VirtioModel, VirtioHooks {
  readonly name = 'virtio-balloon';
  readonly core: VirtioCore;
  readonly #chain: Chain;
  readonly #words: Int32Array;
  readonly #stats: Float64Array;
  readonly #bitmap: Int32Array;
  readonly #numbers = new Uint32Array(PIECE);
  readonly #bytes = new Uint8Array(this.#numbers.buffer);

  constructor(private readonly context: VirtioContext) {
    const traits = {
      type: TYPE.BALLOON,
      features: (1 << BALLOON_F.STATS_VQ) | (1 << BALLOON_F.DEFLATE_ON_OOM),
      queueSizes: [QUEUE_SIZE, QUEUE_SIZE, QUEUE_SIZE],
      configBytes: CONFIG.BYTES,
    };
    this.core = new VirtioCore(this.name, context, traits, this);
    this.#chain = new Chain(context.ram);
    const { own } = this.core;
    this.#words = own.i32;
    this.#stats = new Float64Array(own.buffer, own.offset + STATS_AT, BALLOON_STATS.length);
    this.#bitmap = own.i32.subarray(BITMAP_AT / 4);
  }

  counters(): Record<string, number> {
    return { ...this.core.counters(), [`${this.name}.pages`]: this.pages };
  }

  /** The target is the host's wish and outlives the driver; a reset takes all pages out of the balloon. */
  initialize(): void {
    this.core.config.setUint32(CONFIG.ACTUAL, 0, true);
    this.#words[STATS_HEAD] = 0;
    this.#words[COUNT] = 0;
    this.#stats.fill(-1);
    this.#bitmap.fill(0);
  }

  configWritten(offset: number, size: number, value: number): void {
    if (offset === CONFIG.ACTUAL && size === 4) this.core.config.setUint32(CONFIG.ACTUAL, value, true);
  }

  /* ---- for the host ---- */

  /** Pages of 4 KiB that the guest has given up. */
  get pages(): number {
    return Atomics.load(this.#words, COUNT);
  }

  /** Asks the guest to give up so many pages of 4 KiB in all. Any thread. */
  setTarget(pages: number): void {
    this.core.config.setUint32(CONFIG.NUM_PAGES, pages, true);
    this.core.configChanged();
  }

  /** What the guest told last, by BALLOON_STATS; bytes, or events since it booted. */
  statistics(): Record<string, number> {
    const known = BALLOON_STATS.map((name, tag) => [name, this.#stats[tag]] as const);
    return Object.fromEntries(known.filter(([, value]) => value >= 0));
  }

  /** Lets the guest measure again: the buffer goes back to it, and comes again with new figures. Any thread. */
  requestStatistics(): void {
    const queue = this.core.queues[QUEUE.STATS];
    queue.taking.acquire();
    const head = this.#words[STATS_HEAD] - 1;
    this.#words[STATS_HEAD] = 0;
    if (head >= 0 && this.core.live) queue.complete(head, 0, queue.epoch);
    queue.taking.release();
  }

  /* ---- queues ---- */

  notified(n: number): void {
    const queue = this.core.queues[n];
    const server = { core: this.core, context: this.context, chain: this.#chain };
    serveQueue(server, queue, () => this.#burst(n, queue));
  }

  #burst(n: number, queue: Virtqueue): Burst {
    let pages = 0;
    const burst = chains(CHAINS_MAX, (head) => {
      if (n === QUEUE.STATS) {
        this.#readStatistics(queue, head);
      } else {
        pages += this.#move(n === QUEUE.INFLATE);
        queue.complete(head, 0, queue.epoch);
      }
      return true;
    });
    return { ...burst, room: () => pages < PAGES_MAX && burst.room() };
  }

  /** Page numbers, 32 bits each. Those of pages that do not exist are passed over. How many there were. */
  #move(inflate: boolean): number {
    const total = Math.min(Math.floor(this.#chain.readableBytes / 4), PAGES_MAX);
    const first = this.context.ram.base / PAGE;
    const pages = Math.floor(this.context.ram.bytes / PAGE);
    for (let done = 0; done < total; done += PIECE) {
      const count = Math.min(PIECE, total - done);
      this.#chain.copyOut(done * 4, this.#bytes.subarray(0, count * 4));
      for (let i = 0; i < count; i++) {
        const page = this.#numbers[i] - first;
        if (page >= 0 && page < pages) this.#mark(page, inflate);
      }
    }
    return total;
  }

  #mark(page: number, inflate: boolean): void {
    const bit = 1 << (page & 31);
    const word = page >> 5;
    const before = inflate ? Atomics.or(this.#bitmap, word, bit) : Atomics.and(this.#bitmap, word, ~bit);
    if (((before & bit) !== 0) !== inflate) Atomics.add(this.#words, COUNT, inflate ? 1 : -1);
  }

  /** The chain stays with us until the host wants new figures. One that is there already goes back. */
  #readStatistics(queue: Virtqueue, head: number): void {
    const entry = new DataView(new ArrayBuffer(STAT_BYTES));
    const bytes = new Uint8Array(entry.buffer);
    const count = Math.min(Math.floor(this.#chain.readableBytes / STAT_BYTES), 2 * BALLOON_STATS.length);
    for (let i = 0; i < count; i++) {
      this.#chain.copyOut(i * STAT_BYTES, bytes);
      const tag = entry.getUint16(0, true);
      if (tag < BALLOON_STATS.length) this.#stats[tag] = Number(entry.getBigUint64(2, true));
    }
    const kept = this.#words[STATS_HEAD] - 1;
    if (kept >= 0) queue.complete(kept, 0, queue.epoch);
    this.#words[STATS_HEAD] = head + 1;
  }
}
