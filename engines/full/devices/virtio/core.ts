/**
 * What all virtio devices do alike, whatever they are and however they are reached (virtio 1.2, chapters 2 and 3): status,
 * features, configuration space, interrupt status, queues. A transport (pci.ts, mmio.ts) shows it as registers, a model
 * (blk.ts, net.ts, …) gives it its meaning.
 *
 * Locks, outermost first: control (registers), a queue's `taking`, its used ring's, interrupt status.
 */
import { type AccessSize, type GuestRam, Lock, type Resettable, type StateSlice } from '../device.js';
import type { PciDeviceContext } from '../pci/pci-function.js';
import { FEATURE, ISR, STATUS } from './spec.js';
import { VIRTQUEUE_STATE_BYTES, Virtqueue } from './virtqueue.js';

/** What virtio devices are constructed with: as PciDeviceContext; the transport connects the interrupt. */
export type VirtioContext = PciDeviceContext;

/** What a device type gives to the transport. Constructed over VirtioCore, which it shows as `core`. */
export interface VirtioModel extends Pick<Resettable, 'counters' | 'consoleChanged' | 'takesInput'> {
  readonly name: string;
  readonly core: VirtioCore;
}

/** What the core asks of the device type. */
export interface VirtioHooks {
  /** The driver has rung for a queue, or was let in (DRIVER_OK) with the queue filled already. No lock is held. */
  notified(queue: number): void;
  /** Power-on and every reset, with nothing running: configuration space and the model's own state. */
  initialize(): void;
  /** The driver has written to the configuration space. */
  configWritten?(offset: number, size: AccessSize, value: number): void;
}

export interface VirtioTraits {
  /** One of TYPE. */
  type: number;
  /** Feature bits 23:0 and 127:50 are the device's own; here those below 32. */
  features: number;
  /** Largest size of each queue; a power of two, at most 1024. */
  queueSizes: readonly number[];
  /** Of the configuration space, at most 128. */
  configBytes: number;
  /** Requests look the same to a driver that has not accepted VERSION_1 (xv6 does not): it may go on (6.1 leaves that open). */
  versionOneOptional?: boolean;
}

/* Words of the state; then the configuration space, the queues, and what the model keeps. */
const CONTROL = 0;
const DEVICE_STATUS = 1;
const DEVICE_FEATURES_SELECT = 2;
const DRIVER_FEATURES_SELECT = 3;
const DRIVER_FEATURES = 4; // two words
const QUEUE_SELECT = 6;
const CONFIG_GENERATION = 7;
const IN_FLIGHT = 8;
const ISR_LOCK = 16;
const ISR_BITS = 17;
const RESETS_WANTED = 18;
const CONFIG_AT = 128;
export const CONFIG_SPACE_BYTES = 128;
const QUEUES_AT = CONFIG_AT + CONFIG_SPACE_BYTES;

/** Bytes of a device's state with so many queues and so many bytes of its own. */
export const virtioStateBytes = (queues: number, own = 0): number => QUEUES_AT + queues * VIRTQUEUE_STATE_BYTES + own;

const RING_FEATURES = ((1 << FEATURE.INDIRECT_DESC) | (1 << FEATURE.EVENT_IDX)) >>> 0;
const VERSION_1 = 1 << (FEATURE.VERSION_1 - 32);

export class VirtioCore {
  readonly queues: readonly Virtqueue[];
  /** Configuration space. The model keeps it; the driver's reads come from here. */
  readonly config: DataView;
  /** The model's own bytes. */
  readonly own: StateSlice;
  readonly ram: GuestRam;
  readonly offered: readonly [number, number];
  readonly #w: Int32Array;
  readonly #control: Lock;
  readonly #isrLock: Lock;
  #irq: (level: boolean) => void = () => {};
  #mayDma: () => boolean = () => true;

  constructor(
    readonly name: string,
    context: VirtioContext,
    readonly traits: VirtioTraits,
    private readonly hooks: VirtioHooks,
  ) {
    const { state, ram } = context;
    this.ram = ram;
    this.#w = state.i32;
    this.#control = new Lock(state.i32, CONTROL);
    this.#isrLock = new Lock(state.i32, ISR_LOCK);
    this.config = new DataView(state.buffer, state.offset + CONFIG_AT, CONFIG_SPACE_BYTES);
    this.offered = [(traits.features | RING_FEATURES) >>> 0, VERSION_1];
    const interrupt = () => this.#raise(ISR.QUEUE);
    this.queues = traits.queueSizes.map((size, n) => {
      const part = state.part(QUEUES_AT + n * VIRTQUEUE_STATE_BYTES, VIRTQUEUE_STATE_BYTES);
      return new Virtqueue(part, ram, size, interrupt);
    });
    const ownAt = virtioStateBytes(this.queues.length);
    this.own = state.part(ownAt, state.bytes - ownAt);
  }

  /** By the transport, once. mayDma: PCI's bus master bit. */
  connect(irq: (level: boolean) => void, mayDma?: () => boolean): void {
    this.#irq = irq;
    if (mayDma) this.#mayDma = mayDma;
  }

  /** Power-on state. */
  reset(): void {
    this.#w.fill(0);
    this.#initialize();
  }

  counters(): Record<string, number> {
    const totals: Record<string, number> = { requests: 0, interrupts: 0, notifications: 0, resets_wanted: 0 };
    for (const queue of this.queues) {
      const { completed, interrupts, notifications } = queue.counts();
      totals.requests += completed;
      totals.interrupts += interrupts;
      totals.notifications += notifications;
    }
    totals.resets_wanted = this.#w[RESETS_WANTED];
    return Object.fromEntries(Object.entries(totals).map(([key, value]) => [`${this.name}.${key}`, value]));
  }

  /* ---- for the model ---- */

  /** A feature bit below 32 has been negotiated. */
  has(bit: number): boolean {
    return (this.#w[DRIVER_FEATURES] & (1 << bit)) !== 0;
  }

  /** The driver is there, nothing is broken, and the device may reach memory: queues may be worked on. */
  get live(): boolean {
    const status = this.#w[DEVICE_STATUS];
    return (status & (STATUS.DRIVER_OK | STATUS.NEEDS_RESET)) === STATUS.DRIVER_OK && this.#mayDma();
  }

  /** The driver has done what leaves no way on (2.1.2): it hears of it by a configuration change, and must reset the device. */
  needsReset(): void {
    const before = Atomics.or(this.#w, DEVICE_STATUS, STATUS.NEEDS_RESET);
    if (before & STATUS.NEEDS_RESET) return;
    Atomics.add(this.#w, RESETS_WANTED, 1);
    if (before & STATUS.DRIVER_OK) this.#raise(ISR.CONFIG);
  }

  /** The configuration space has changed by itself (2.5): tells the driver. */
  configChanged(): void {
    Atomics.add(this.#w, CONFIG_GENERATION, 1);
    if (this.live) this.#raise(ISR.CONFIG);
  }

  /** Something of the guest's memory is with the host, or no longer: the device is not reset before it all came back. */
  began(): void {
    Atomics.add(this.#w, IN_FLIGHT, 1);
  }

  ended(): void {
    Atomics.sub(this.#w, IN_FLIGHT, 1);
  }

  /* ---- for the transports: registers ---- */

  /**
   * Device status. After a reset it shows 0 only when the host is done with the guest's memory, which a driver waits for (4.1.4.3.2).
   */
  get status(): number {
    const status = this.#w[DEVICE_STATUS];
    if (status === 0 && Atomics.load(this.#w, IN_FLIGHT) > 0) return STATUS.NEEDS_RESET;
    return status;
  }

  /** A driver only adds bits (2.1.1), or writes 0: reset. */
  set status(value: number) {
    if (value === 0) {
      this.#locked(() => this.#initialize());
      return;
    }
    const before = this.#w[DEVICE_STATUS];
    let added = value & 0xff & ~STATUS.NEEDS_RESET & ~before;
    if (added & STATUS.FEATURES_OK && !this.#featuresFit()) added &= ~STATUS.FEATURES_OK;
    if (!((before | added) & STATUS.FEATURES_OK)) added &= ~STATUS.DRIVER_OK;
    Atomics.or(this.#w, DEVICE_STATUS, added);
    if (!(added & STATUS.DRIVER_OK)) return;
    for (let queue = 0; queue < this.queues.length; queue++) this.hooks.notified(queue);
  }

  get deviceFeaturesSelect(): number {
    return this.#w[DEVICE_FEATURES_SELECT] >>> 0;
  }

  set deviceFeaturesSelect(value: number) {
    this.#w[DEVICE_FEATURES_SELECT] = value;
  }

  get driverFeaturesSelect(): number {
    return this.#w[DRIVER_FEATURES_SELECT] >>> 0;
  }

  set driverFeaturesSelect(value: number) {
    this.#w[DRIVER_FEATURES_SELECT] = value;
  }

  get deviceFeatures(): number {
    return this.offered[this.deviceFeaturesSelect] ?? 0;
  }

  get driverFeatures(): number {
    const select = this.driverFeaturesSelect;
    return select < 2 ? this.#w[DRIVER_FEATURES + select] >>> 0 : 0;
  }

  /** Not any more once they were accepted (2.2.1). A bit beyond 63 that is set makes FEATURES_OK fail. */
  set driverFeatures(value: number) {
    const select = this.driverFeaturesSelect;
    if (this.#w[DEVICE_STATUS] & STATUS.FEATURES_OK) return;
    if (select < 2) this.#w[DRIVER_FEATURES + select] = value;
  }

  get queueSelect(): number {
    return this.#w[QUEUE_SELECT];
  }

  set queueSelect(value: number) {
    this.#w[QUEUE_SELECT] = value & 0xffff;
  }

  /** The queue that is selected; undefined when there is none of that number. */
  get selected(): Virtqueue | undefined {
    return this.queues[this.queueSelect];
  }

  /** A queue that cannot be used as it stands leaves the device in need of a reset. */
  enableSelected(): void {
    const queue = this.selected;
    if (queue === undefined || !(this.#w[DEVICE_STATUS] & STATUS.FEATURES_OK)) return;
    this.#locked(() => {
      if (!queue.enable(this.#w[DRIVER_FEATURES])) this.needsReset();
    });
  }

  /** MMIO's QueueReady = 0. */
  disableSelected(): void {
    this.#locked(() => this.selected?.reset());
  }

  get configGeneration(): number {
    return Atomics.load(this.#w, CONFIG_GENERATION);
  }

  /** offset: anything; what lies behind the configuration space reads 0. */
  readConfig(offset: number, size: AccessSize): number {
    if (offset + size > this.traits.configBytes) return 0;
    if (size === 1) return this.config.getUint8(offset);
    return size === 2 ? this.config.getUint16(offset, true) : this.config.getUint32(offset, true);
  }

  writeConfig(offset: number, size: AccessSize, value: number): void {
    if (offset + size <= this.traits.configBytes) this.hooks.configWritten?.(offset, size, value);
  }

  notify(queue: number): void {
    if (queue >= this.queues.length || !this.live) return;
    this.queues[queue].countNotification();
    this.hooks.notified(queue);
  }

  /** PCI: reading the interrupt status clears it and takes the interrupt away (4.1.4.5). */
  takeInterrupts(): number {
    this.#isrLock.acquire();
    const bits = Atomics.exchange(this.#w, ISR_BITS, 0);
    this.#irq(false);
    this.#isrLock.release();
    return bits;
  }

  get interrupts(): number {
    return Atomics.load(this.#w, ISR_BITS);
  }

  /** MMIO: InterruptACK. */
  acknowledge(bits: number): void {
    this.#isrLock.acquire();
    const left = Atomics.and(this.#w, ISR_BITS, ~bits) & ~bits;
    this.#irq(left !== 0);
    this.#isrLock.release();
  }

  /* ---- inside ---- */

  /**
   * Without the lock when the driver has not looked since: whatever it is told of was in memory before the bit is read here, so a
   * driver that takes the bit afterwards sees it.
   */
  #raise(bits: number): void {
    if ((Atomics.load(this.#w, ISR_BITS) & bits) === bits) return;
    this.#isrLock.acquire();
    Atomics.or(this.#w, ISR_BITS, bits);
    this.#irq(true);
    this.#isrLock.release();
  }

  #featuresFit(): boolean {
    const low = this.#w[DRIVER_FEATURES];
    const high = this.#w[DRIVER_FEATURES + 1];
    if ((low & ~this.offered[0]) !== 0 || (high & ~this.offered[1]) !== 0) return false;
    return this.traits.versionOneOptional === true || (high & VERSION_1) !== 0;
  }

  /** Under `control`, or before anything runs. The status goes first, so that nobody begins anew; the queues wait for who has begun. */
  #initialize(): void {
    Atomics.store(this.#w, DEVICE_STATUS, 0);
    for (const queue of this.queues) queue.reset();
    this.takeInterrupts();
    this.#w.fill(0, DEVICE_FEATURES_SELECT, CONFIG_GENERATION);
    this.hooks.initialize();
  }

  #locked(task: () => void): void {
    this.#control.acquire();
    task();
    this.#control.release();
  }
}
