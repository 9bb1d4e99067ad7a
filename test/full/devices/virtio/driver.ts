/** A guest's virtio driver for tests: brings a device up over either transport, fills rings, reads them. By virtio 1.2 alone. */
import { type GuestRam, guestAddress as g } from '#engines/full/devices/device.js';
import type { VirtioModel } from '#engines/full/devices/virtio/core.js';
import { VirtioMmio } from '#engines/full/devices/virtio/mmio.js';
import { VirtioPci } from '#engines/full/devices/virtio/pci.js';
import { PciBench, RAM_BASE } from '../pci/pci-bench.js';

export const BAR = 0x4000_0000;
export const VERSION_1 = 1n << 32n;
export const EVENT_IDX = 1n << 29n;
export const INDIRECT = 1n << 28n;
export const S = { ACKNOWLEDGE: 1, DRIVER: 2, DRIVER_OK: 4, FEATURES_OK: 8, NEEDS_RESET: 64, FAILED: 128 } as const;

/** What a driver does with a transport. */
export interface Transport {
  status(): number;
  setStatus(value: number): void;
  features(): bigint;
  accept(features: bigint): void;
  queueMax(n: number): number;
  queue(n: number, size: number, at: RingPlaces): void;
  queueEnabled(n: number): boolean;
  notify(n: number): void;
  /** Interrupt status, taken. */
  isr(): number;
  config(offset: number, size: 1 | 2 | 4): number;
  setConfig(offset: number, size: 1 | 2 | 4, value: number): void;
  generation(): number;
  readonly interrupt: boolean;
}

export interface RingPlaces {
  table: number;
  available: number;
  used: number;
}

/** Offsets in the common configuration (4.1.4.3); the rest of the BAR as the device's capabilities say (pci.test.ts). */
export class PciTransport implements Transport {
  constructor(private readonly bench: PciBench) {}
  #w(offset: number, size: 1 | 2 | 4, value: number): void {
    this.bench.write(BAR + offset, value, size);
  }
  #r(offset: number, size: 1 | 2 | 4): number {
    return this.bench.read(BAR + offset, size);
  }
  status = (): number => this.#r(20, 1);
  setStatus = (value: number): void => this.#w(20, 1, value);
  features(): bigint {
    const half = (n: number): bigint => {
      this.#w(0, 4, n);
      return BigInt(this.#r(4, 4));
    };
    return half(0) | (half(1) << 32n);
  }
  accept(features: bigint): void {
    for (const n of [0, 1]) {
      this.#w(8, 4, n);
      this.#w(12, 4, Number((features >> BigInt(32 * n)) & 0xffff_ffffn));
    }
  }
  #select(n: number): void {
    this.#w(22, 2, n);
  }
  queueMax(n: number): number {
    this.#select(n);
    return this.#r(24, 2);
  }
  queue(n: number, size: number, at: RingPlaces): void {
    this.#select(n);
    this.#w(24, 2, size);
    for (const [i, address] of [at.table, at.available, at.used].entries()) {
      this.#w(32 + 8 * i, 4, address);
      this.#w(36 + 8 * i, 4, Math.floor(address / 2 ** 32));
    }
    this.#w(28, 2, 1);
  }
  queueEnabled(n: number): boolean {
    this.#select(n);
    return this.#r(28, 2) === 1;
  }
  notify = (n: number): void => this.#w(0x3000 + 4 * n, 2, n);
  isr = (): number => this.#r(0x1000, 1);
  config = (offset: number, size: 1 | 2 | 4): number => this.#r(0x2000 + offset, size);
  setConfig = (offset: number, size: 1 | 2 | 4, value: number): void => this.#w(0x2000 + offset, size, value);
  generation = (): number => this.#r(21, 1);
  get interrupt(): boolean {
    return this.bench.interrupt;
  }
}

/** Offsets of 4.2.2. */
export class MmioTransport implements Transport {
  interrupt = false;
  readonly device: VirtioMmio;
  constructor(model: VirtioModel) {
    this.device = new VirtioMmio(model, (level) => {
      this.interrupt = level;
    });
    this.device.reset();
  }
  #w(offset: number, value: number): void {
    this.device.write(offset, 4, value);
  }
  #r(offset: number): number {
    return this.device.read(offset, 4);
  }
  status = (): number => this.#r(0x70);
  setStatus = (value: number): void => this.#w(0x70, value);
  features(): bigint {
    const half = (n: number): bigint => {
      this.#w(0x14, n);
      return BigInt(this.#r(0x10));
    };
    return half(0) | (half(1) << 32n);
  }
  accept(features: bigint): void {
    for (const n of [0, 1]) {
      this.#w(0x24, n);
      this.#w(0x20, Number((features >> BigInt(32 * n)) & 0xffff_ffffn));
    }
  }
  queueMax(n: number): number {
    this.#w(0x30, n);
    return this.#r(0x34);
  }
  queue(n: number, size: number, at: RingPlaces): void {
    this.#w(0x30, n);
    this.#w(0x38, size);
    for (const [i, address] of [at.table, at.available, at.used].entries()) {
      this.#w(0x80 + 16 * i, address % 2 ** 32);
      this.#w(0x84 + 16 * i, Math.floor(address / 2 ** 32));
    }
    this.#w(0x44, 1);
  }
  queueEnabled(n: number): boolean {
    this.#w(0x30, n);
    return this.#r(0x44) === 1;
  }
  notify = (n: number): void => this.#w(0x50, n);
  isr(): number {
    const bits = this.#r(0x60);
    this.#w(0x64, bits);
    return bits;
  }
  config = (offset: number, size: 1 | 2 | 4): number => this.device.read(0x100 + offset, size);
  setConfig = (offset: number, size: 1 | 2 | 4, value: number): void => this.device.write(0x100 + offset, size, value);
  generation = (): number => this.#r(0xfc);
}

export interface Piece {
  at: number;
  bytes: number;
  write?: boolean;
}

/** One split queue in guest memory, 8 KiB from `base`. */
export class Ring {
  readonly places: RingPlaces;
  #next = 0;
  #available = 0;
  #seen = 0;

  constructor(
    private readonly ram: GuestRam,
    base: number,
    readonly size: number,
  ) {
    this.places = { table: base, available: base + 16 * size, used: Math.ceil((base + 18 * size + 6) / 4) * 4 };
    this.ram.view(g(base), 8192)?.fill(0);
  }

  /** One descriptor, as raw as a test wants it. */
  descriptor(i: number, address: number, bytes: number, flags = 0, next = 0, table = this.places.table): void {
    const at = table + 16 * i;
    this.ram.write32(g(at), address % 2 ** 32);
    this.ram.write32(g(at + 4), Math.floor(address / 2 ** 32));
    this.ram.write32(g(at + 8), bytes);
    this.ram.write32(g(at + 12), flags | (next << 16));
  }

  /** Puts a chain into the table, and into the available ring: its head. */
  add(...pieces: Piece[]): number {
    const head = this.#next;
    this.chain(head, pieces);
    this.#next = (this.#next + pieces.length) % (this.size - 16);
    this.offer(head);
    return head;
  }

  chain(first: number, pieces: Piece[], table?: number): void {
    for (const [i, { at, bytes, write }] of pieces.entries()) {
      const more = i + 1 < pieces.length;
      this.descriptor(first + i, at, bytes, (more ? 1 : 0) | (write ? 2 : 0), more ? first + i + 1 : 0, table);
    }
  }

  offer(head: number): void {
    this.ram.write16(g(this.places.available + 4 + 2 * (this.#available % this.size)), head);
    this.#available = (this.#available + 1) & 0xffff;
    this.ram.write16(g(this.places.available + 2), this.#available);
  }

  setAvailable(index: number): void {
    this.ram.write16(g(this.places.available + 2), index);
  }

  set noInterrupt(on: boolean) {
    this.ram.write16(g(this.places.available), on ? 1 : 0);
  }

  /** The driver wants to hear when the used index passes this. */
  set usedEvent(index: number) {
    this.ram.write16(g(this.places.available + 4 + 2 * this.size), index);
  }

  get availableEvent(): number {
    return this.ram.read16(g(this.places.used + 4 + 8 * this.size));
  }

  get usedFlags(): number {
    return this.ram.read16(g(this.places.used));
  }

  get usedIndex(): number {
    return this.ram.read16(g(this.places.used + 2));
  }

  /** What has come back since the last call. */
  used(): { head: number; written: number }[] {
    const all: { head: number; written: number }[] = [];
    for (; this.#seen !== this.usedIndex; this.#seen = (this.#seen + 1) & 0xffff) {
      const at = this.places.used + 4 + 8 * (this.#seen % this.size);
      all.push({ head: this.ram.read32(g(at)), written: this.ram.read32(g(at + 4)) });
    }
    return all;
  }
}

export const RINGS_AT = RAM_BASE + 0x1000;
export const BUFFERS = RAM_BASE + 0x1_0000;

/** A device in a machine of its own, and its driver. */
export class VirtioBench extends PciBench {
  rings: Ring[] = [];
  transport!: Transport;

  /** Puts the device on a bus. */
  attach(model: VirtioModel, over: 'pci' | 'mmio'): Transport {
    if (over === 'pci') {
      this.plug(new VirtioPci(model), { 4: BAR });
      this.transport = new PciTransport(this);
    } else {
      this.transport = new MmioTransport(model);
    }
    return this.transport;
  }

  /** Chapter 3.1.1, with queues of `size`. features: beside VERSION_1. */
  start(queues: number, features = 0n, size = 32): void {
    const t = this.transport;
    t.setStatus(0);
    t.setStatus(S.ACKNOWLEDGE);
    t.setStatus(S.ACKNOWLEDGE | S.DRIVER);
    t.accept(features | VERSION_1);
    t.setStatus(S.ACKNOWLEDGE | S.DRIVER | S.FEATURES_OK);
    this.rings = Array.from({ length: queues }, (_, n) => new Ring(this.ram, RINGS_AT + 0x2000 * n, size));
    for (const [n, ring] of this.rings.entries()) t.queue(n, size, ring.places);
    t.setStatus(t.status() | S.DRIVER_OK);
  }

  get broken(): boolean {
    return (this.transport.status() & S.NEEDS_RESET) !== 0;
  }

  runDeferred(): void {
    for (const task of this.deferred.splice(0)) task();
  }
}
