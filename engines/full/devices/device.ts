/**
 * What every device of the emulated machine is, and everything that it is given.
 *
 * One *instance* of a device class exists per vCPU thread; the device's *state* exists once, in shared memory (StateSlice).
 * So whichever thread traps on a register runs the device's code itself, under the device's lock, and no other thread is
 * asked. Instances therefore keep nothing but views, constants and scratch space in JavaScript fields.
 *
 * Order of locks: a device's own lock, then the PCI host's, then the interrupt controller's. No lock is held across a wait.
 * Asynchronous completions run on the thread that submitted them, from IoContext.poll() or wait(), with no lock held.
 */
import type { BlockInfo, HandleId, IoContext, MemoryId } from '../../backends/io.js';

export { Lock } from '../../backends/lock.js';

export type AccessSize = 1 | 2 | 4;

/** A device's window on the bus. 8-byte accesses arrive as two of 4, the lower address first. */
export interface Device {
  readonly name: string;
  /** offset: bytes from the start of the device's window, inside it. Answers an unsigned number of `size` bytes. */
  read(offset: number, size: AccessSize): number;
  /** value: unsigned, less than 2 ** (8 * size). */
  write(offset: number, size: AccessSize, value: number): void;
}

/** A guest-physical address, 0 to 2 ** 53 - 1. Not an offset into any buffer: only GuestRam turns it into one. */
export type GuestAddress = number & { readonly __guestPhysical: unique symbol };
export const guestAddress = (value: number): GuestAddress => value as GuestAddress;

/** Answer of the readers of GuestRam for an address outside RAM: no unsigned value equals it. */
export const BUS_ERROR = -1;

export interface GuestRamConfig {
  /** The shared WebAssembly memory's buffer that RAM lies in. It must not grow any more. */
  buffer: SharedArrayBuffer;
  /** That memory as registered with this thread's IoContext. */
  memory: MemoryId;
  /** First byte of RAM inside the buffer; a multiple of 8. */
  offset: number;
  /** Guest-physical address of RAM. */
  base: number;
  bytes: number;
}

/** The one checked way from a device to guest memory (DMA). Never throws, whatever the address: an error is an answer. */
export class GuestRam {
  readonly memory: MemoryId;
  readonly base: number;
  readonly bytes: number;
  /** The whole shared memory, for ranges that offsetOf() has checked. */
  readonly buffer: SharedArrayBuffer;
  readonly #offset: number;
  readonly #all: Uint8Array;
  readonly #view: DataView;

  constructor(config: GuestRamConfig) {
    this.memory = config.memory;
    this.buffer = config.buffer;
    this.base = config.base;
    this.bytes = config.bytes;
    this.#offset = config.offset;
    this.#all = new Uint8Array(config.buffer, config.offset, config.bytes);
    this.#view = new DataView(config.buffer, config.offset, config.bytes);
  }

  /** Byte offset inside the shared memory (what IoContext takes) of a range that lies wholly in RAM, else BUS_ERROR. */
  offsetOf(address: GuestAddress, bytes: number): number {
    const at = this.#index(address, bytes);
    return at < 0 ? BUS_ERROR : this.#offset + at;
  }

  read8(address: GuestAddress): number {
    const at = this.#index(address, 1);
    return at < 0 ? BUS_ERROR : this.#view.getUint8(at);
  }

  /** Little-endian, any alignment; the same for the others. */
  read16(address: GuestAddress): number {
    const at = this.#index(address, 2);
    return at < 0 ? BUS_ERROR : this.#view.getUint16(at, true);
  }

  read32(address: GuestAddress): number {
    const at = this.#index(address, 4);
    return at < 0 ? BUS_ERROR : this.#view.getUint32(at, true);
  }

  /** The writers answer false, and change nothing, when any byte lies outside RAM. */
  write8(address: GuestAddress, value: number): boolean {
    const at = this.#index(address, 1);
    if (at >= 0) this.#view.setUint8(at, value);
    return at >= 0;
  }

  write16(address: GuestAddress, value: number): boolean {
    const at = this.#index(address, 2);
    if (at >= 0) this.#view.setUint16(at, value, true);
    return at >= 0;
  }

  write32(address: GuestAddress, value: number): boolean {
    const at = this.#index(address, 4);
    if (at >= 0) this.#view.setUint32(at, value, true);
    return at >= 0;
  }

  /** A view on guest memory, which other threads may change at any time: read each byte of it once. */
  view(address: GuestAddress, bytes: number): Uint8Array | undefined {
    const at = this.#index(address, bytes);
    return at < 0 ? undefined : this.#all.subarray(at, at + bytes);
  }

  /** Copies host bytes into guest memory: all of them, or none and false. */
  write(address: GuestAddress, source: Uint8Array): boolean {
    const at = this.#index(address, source.length);
    if (at >= 0) this.#all.set(source, at);
    return at >= 0;
  }

  /** Fills `target` from guest memory: wholly, or not at all and false. */
  read(address: GuestAddress, target: Uint8Array): boolean {
    const at = this.#index(address, target.length);
    if (at >= 0) target.set(this.#all.subarray(at, at + target.length));
    return at >= 0;
  }

  /** Written so that NaN, fractions' remainders, negative lengths and overflow all end outside. */
  #index(address: GuestAddress, bytes: number): number {
    const at = address - this.base;
    return at >= 0 && bytes >= 0 && at + bytes <= this.bytes ? at : BUS_ERROR;
  }
}

/** A device's part of the shared state memory, all zero before reset(). */
export class StateSlice {
  readonly u8: Uint8Array;
  /** For registers and for Atomics. */
  readonly i32: Int32Array;

  /** memory: the slice's WebAssembly memory as registered with this thread's IoContext (staging buffers lie in slices too). */
  constructor(
    readonly buffer: SharedArrayBuffer,
    readonly memory: MemoryId,
    /** First byte of the slice inside the buffer; a multiple of STATE_ALIGNMENT. */
    readonly offset: number,
    readonly bytes: number,
  ) {
    if (offset % STATE_ALIGNMENT !== 0)
      throw new RangeError(`state slice at ${offset}: not aligned to ${STATE_ALIGNMENT}`);
    this.u8 = new Uint8Array(buffer, offset, bytes);
    this.i32 = new Int32Array(buffer, offset, Math.floor(bytes / 4));
  }

  /** A part of this slice, for a part of the device. */
  part(offset: number, bytes: number): StateSlice {
    if (offset < 0 || bytes < 0 || offset + bytes > this.bytes)
      throw new RangeError(`part ${offset}+${bytes} of ${this.bytes} bytes`);
    return new StateSlice(this.buffer, this.memory, this.offset + offset, bytes);
  }
}

/** Parts of devices (locks, counters) fall on cache lines of their own. */
export const STATE_ALIGNMENT = 64;

/** What each device is constructed with, on each vCPU thread. */
export interface DeviceContext {
  readonly state: StateSlice;
  readonly ram: GuestRam;
  /** Sets the level of the device's interrupt line. Idempotent, cheap when nothing changes, callable under the device's lock. */
  irq(level: boolean): void;
  /**
   * Runs the task on this thread soon, from the vCPU's loop with no lock held, and before the thread sleeps: for work that
   * a device must cut into bounded pieces. A task may defer itself again; the guest runs in between.
   */
  defer(task: () => void): void;
}

/** The disk behind a controller, as this thread reaches it. */
export interface BlockPort {
  readonly io: IoContext;
  readonly handle: HandleId;
  readonly info: BlockInfo;
}

/** Devices that can be put into their power-on state, and that count. reset() runs on one thread before any vCPU starts. */
export interface Resettable {
  reset(): void;
  /** Totals since reset, over all threads, under names like `lsi.commands`. */
  counters(): Record<string, number>;
  /** Devices that are a console: it holds input, or has room for output again. Any thread. */
  consoleChanged?(): void;
  /** Such a device has a driver: the console's input is for it, not for the UART. */
  readonly takesInput?: boolean;
}
