/**
 * One function on the PCI bus: its configuration space, and what the bus gives to the device behind it.
 * PCI Local Bus Specification 3.0, chapter 6 (type 0 header). No BAR has an address after reset: the guest assigns them.
 */
import type { AccessSize, Device, DeviceContext, StateSlice } from '../device.js';

export interface PciIdentity {
  vendor: number;
  device: number;
  revision: number;
  /** 24 bits: base class, sub-class, programming interface. */
  classCode: number;
  subsystemVendor: number;
  subsystem: number;
  /** 1 to 4 for INTA to INTD, 0 for none. */
  interruptPin: 0 | 1 | 2 | 3 | 4;
  /** MIN_GNT and MAX_LAT, in units of 250 ns. */
  minGrant?: number;
  maxLatency?: number;
}

/** A window of the device that the guest places. bytes: a power of two, at least 16 (memory) or 4 (I/O). */
export interface PciBar {
  kind: 'memory' | 'io';
  bytes: number;
  window: Device;
}

/** What the device behind a function gets of the bus. */
export interface PciPort {
  /** Level of the function's interrupt pin; the same as DeviceContext.irq. */
  irq(level: boolean): void;
  /** The guest lets the device do DMA (command register, bit 2). */
  busMaster(): boolean;
  /** Bus address of a memory BAR, or -1 while it is not decoded. */
  memoryAt(bar: number): number;
}

/** What devices on PCI are constructed with: their interrupt comes from the slot that they are put into. */
export type PciDeviceContext = Omit<DeviceContext, 'irq'>;

/** An entry of the list of capabilities (PCI 3.0, 6.7). */
export interface PciCapability {
  id: number;
  /** What follows the id and the pointer to the next one, as after reset. */
  body: readonly number[];
  /** Bytes of the body that the guest may write: from, and up to but not including. */
  writable?: readonly [number, number];
  /** Four bytes of the body, from `at` on, that are a register of the device. Gets the body as it stands. */
  port?: { at: number; read(body: Uint8Array): number; write(body: Uint8Array, value: number): void };
}

export interface PciDevice {
  readonly name: string;
  readonly identity: PciIdentity;
  /** By number of BAR. */
  readonly bars: readonly (PciBar | undefined)[];
  /** In their order; absent: none. */
  readonly capabilities?: readonly PciCapability[];
  /** Called once, when the device is put into its slot. */
  connect(port: PciPort): void;
}

const CONFIG = {
  id: 0x00,
  command: 0x04,
  status: 0x06,
  revisionAndClass: 0x08,
  bar0: 0x10,
  subsystem: 0x2c,
  capabilities: 0x34,
  interruptLine: 0x3c,
} as const;
const BARS = 6;
export const CONFIG_BYTES = 256;

const COMMAND = { io: 1 << 0, memory: 1 << 1, master: 1 << 2, interruptOff: 1 << 10 } as const;
/** Bits of the command register that we keep: I/O, memory, master, parity response, SERR, interrupt off. */
const COMMAND_WRITABLE = 0x0547;
const STATUS_INTERRUPT = 1 << 3;
const STATUS_CAPABILITIES = 1 << 4;
/** Where the header ends. Capabilities start on words (PCI 3.0, 6.7). */
const FIRST_CAPABILITY = 0x40;

/** Bytes that are written as they come, beside the command register and the BARs: cache line size, latency timer, interrupt line. */
const PLAIN_WRITABLE: ReadonlySet<number> = new Set([0x0c, 0x0d, CONFIG.interruptLine]);

export class PciFunction {
  readonly #u8: Uint8Array;
  readonly #u32: Uint32Array;
  readonly #capabilities: readonly PlacedCapability[];

  /** state: CONFIG_BYTES. changed() is called after the guest has written to the command register. */
  constructor(
    readonly device: Pick<PciDevice, 'name' | 'identity' | 'bars' | 'capabilities'>,
    state: StateSlice,
    private readonly changed: () => void,
  ) {
    this.#u8 = state.u8;
    this.#u32 = new Uint32Array(state.buffer, state.offset, CONFIG_BYTES / 4);
    this.#capabilities = place(device.capabilities ?? [], this.#u8);
    for (const bar of device.bars) {
      const least = bar?.kind === 'io' ? 4 : 16;
      if (bar && (bar.bytes < least || (bar.bytes & (bar.bytes - 1)) !== 0)) {
        throw new RangeError(`${device.name}: BAR of ${bar.bytes} bytes`);
      }
    }
  }

  reset(): void {
    const { identity, bars } = this.device;
    this.#u8.fill(0);
    this.#u32[CONFIG.id >> 2] = (identity.device << 16) | identity.vendor;
    this.#u32[CONFIG.revisionAndClass >> 2] = (identity.classCode << 8) | identity.revision;
    this.#u32[CONFIG.subsystem >> 2] = (identity.subsystem << 16) | identity.subsystemVendor;
    this.#u8[CONFIG.interruptLine + 1] = identity.interruptPin;
    this.#u8[CONFIG.interruptLine + 2] = identity.minGrant ?? 0;
    this.#u8[CONFIG.interruptLine + 3] = identity.maxLatency ?? 0;
    bars.forEach((bar, n) => {
      if (bar?.kind === 'io') this.#u32[(CONFIG.bar0 >> 2) + n] = 1;
    });
    let link: number = CONFIG.capabilities;
    for (const { at, body, capability } of this.#capabilities) {
      this.#u8[CONFIG.status] |= STATUS_CAPABILITIES;
      this.#u8[link] = at;
      this.#u8[at] = capability.id;
      body.set(capability.body);
      link = at + 1;
    }
  }

  get command(): number {
    return this.#u32[CONFIG.command >> 2] & 0xffff;
  }

  get busMaster(): boolean {
    return (this.command & COMMAND.master) !== 0;
  }

  get interruptEnabled(): boolean {
    return (this.command & COMMAND.interruptOff) === 0;
  }

  /** Bit 3 of the status register: the pin is asserted, whether or not interrupts are on (PCI 3.0, 6.2.3). */
  showInterrupt(level: boolean): void {
    if (level) this.#u8[CONFIG.status] |= STATUS_INTERRUPT;
    else this.#u8[CONFIG.status] &= ~STATUS_INTERRUPT;
  }

  /** Bus address of a BAR, or -1 while its kind is not decoded or it has never been placed. */
  addressOf(n: number): number {
    const bar = this.device.bars[n];
    if (bar === undefined) return -1;
    const enabled = this.command & (bar.kind === 'io' ? COMMAND.io : COMMAND.memory);
    if (!enabled) return -1;
    const address = (this.#u32[(CONFIG.bar0 >> 2) + n] & -bar.bytes) >>> 0;
    return address === 0 ? -1 : address;
  }

  /** offset: within CONFIG_BYTES, aligned to size. */
  readConfig(offset: number, size: AccessSize): number {
    const placed = this.#capabilityAt(offset);
    const port = placed && portAt(placed, offset);
    const value = placed && port ? port.read(placed.body) : this.#u32[offset >> 2];
    const word = value >>> ((offset & 3) * 8);
    return size === 4 ? word >>> 0 : word & ((1 << (size * 8)) - 1);
  }

  writeConfig(offset: number, size: AccessSize, value: number): void {
    if (offset >= CONFIG.bar0 && offset < CONFIG.bar0 + BARS * 4) {
      this.#writeBar((offset - CONFIG.bar0) >> 2, offset & 3, size, value);
      return;
    }
    const placed = this.#capabilityAt(offset);
    if (placed) {
      const port = portAt(placed, offset);
      if (port)
        port.write(placed.body, value); // whatever the width: the register says itself how much of it counts
      else writeBody(placed, offset, size, value);
      return;
    }
    for (let i = 0; i < size; i++) this.#writeByte(offset + i, (value >>> (i * 8)) & 0xff);
    if (offset <= CONFIG.command + 1 && offset + size > CONFIG.command) this.changed();
  }

  #capabilityAt(offset: number): PlacedCapability | undefined {
    if (offset < FIRST_CAPABILITY) return undefined;
    return this.#capabilities.find(({ at, body }) => offset >= at && offset < at + 2 + body.length);
  }

  #writeByte(offset: number, value: number): void {
    if (offset === CONFIG.command || offset === CONFIG.command + 1) {
      this.#u8[offset] = value & (COMMAND_WRITABLE >> ((offset - CONFIG.command) * 8));
    } else if (PLAIN_WRITABLE.has(offset)) {
      this.#u8[offset] = value;
    }
  }

  /** The low bits of a BAR are its kind, the address bits below its size stay zero: so the guest learns the size. */
  #writeBar(n: number, byte: number, size: AccessSize, value: number): void {
    const bar = this.device.bars[n];
    if (bar === undefined) return;
    const at = (CONFIG.bar0 >> 2) + n;
    const mask = size === 4 ? -1 : ((1 << (size * 8)) - 1) << (byte * 8);
    const written = (this.#u32[at] & ~mask) | ((value << (byte * 8)) & mask);
    this.#u32[at] = (written & -bar.bytes) | (bar.kind === 'io' ? 1 : 0);
  }
}

interface PlacedCapability {
  /** Of its first byte in the configuration space. */
  at: number;
  body: Uint8Array;
  capability: PciCapability;
}

function place(capabilities: readonly PciCapability[], config: Uint8Array): PlacedCapability[] {
  let at = FIRST_CAPABILITY;
  return capabilities.map((capability) => {
    const bytes = 2 + capability.body.length;
    const placed = { at, body: config.subarray(at + 2, at + bytes), capability };
    at += (bytes + 3) & ~3;
    if (at > CONFIG_BYTES) throw new RangeError(`PCI capabilities of ${at} bytes`);
    return placed;
  });
}

function portAt({ at, capability }: PlacedCapability, offset: number): PciCapability['port'] {
  const { port } = capability;
  return port && (offset & ~3) === at + 2 + port.at ? port : undefined;
}

function writeBody({ at, body, capability }: PlacedCapability, offset: number, size: number, value: number): void {
  const [from, to] = capability.writable ?? [0, 0];
  for (let i = 0; i < size; i++) {
    const index = offset + i - at - 2;
    if (index >= from && index < to) body[index] = (value >>> (i * 8)) & 0xff;
  }
}
