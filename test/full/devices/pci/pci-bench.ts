/** A PCI host with one device in slot 1, RAM and a disk that completes when told to: for tests of device models. */
import type { BlockPort } from '#engines/full/devices/device.js';
import { GuestRam, guestAddress, StateSlice } from '#engines/full/devices/device.js';
import type { PciDevice, PciDeviceContext } from '#engines/full/devices/pci/pci-function.js';
import { PCI_HOST_STATE_BYTES, PciHost } from '#engines/full/devices/pci/pci-host.js';

export const RAM_BASE = 0x8000_0000;
export const RAM_BYTES = 256 * 1024;
const PAGE = 65_536;
const DEVICE_AT = 8192;
/** Before RAM: the state of host and device. */
const STATE_BYTES = 2 * PAGE;
const DEVICE_BYTES = STATE_BYTES - DEVICE_AT;
const PAGES = (STATE_BYTES + RAM_BYTES) / PAGE + 1;
const MMIO_BASE = 0x4000_0000;
const SLOT = 1 << 15;

export class PciBench {
  readonly memory = new WebAssembly.Memory({
    initial: PAGES,
    maximum: PAGES,
    shared: true,
  });
  readonly buffer = this.memory.buffer as unknown as SharedArrayBuffer;
  readonly ram = new GuestRam({
    buffer: this.buffer,
    memory: 1,
    offset: STATE_BYTES,
    base: RAM_BASE,
    bytes: RAM_BYTES,
  });
  /** What lies around RAM: a device that reaches it has broken out. */
  readonly after = new Uint8Array(this.buffer, STATE_BYTES + RAM_BYTES, PAGE);
  readonly wires = [false, false, false, false];
  readonly deferred: (() => void)[] = [];
  readonly host: PciHost;

  constructor() {
    const state = new StateSlice(this.buffer, 1, 0, PCI_HOST_STATE_BYTES);
    this.host = new PciHost(state, (wire, level) => {
      this.wires[wire] = level;
    });
  }

  context(): PciDeviceContext {
    const state = new StateSlice(this.buffer, 1, DEVICE_AT, DEVICE_BYTES);
    return { state, ram: this.ram, defer: (task) => this.deferred.push(task) };
  }

  /** Into slot 1, reset, BARs placed (memory BAR n at the n-th address), memory and bus master on. */
  plug(device: PciDevice & { reset(): void }, bars: Record<number, number>): void {
    this.host.attach(1, device);
    this.host.reset();
    device.reset();
    for (const [n, address] of Object.entries(bars)) this.config(0x10 + 4 * Number(n), address);
    this.config(0x04, 0x06);
  }

  config(register: number, value: number): void {
    this.host.ecam.write(SLOT + register, 4, value);
  }

  read(address: number, size: 1 | 2 | 4 = 4): number {
    return this.host.mmio.read(address - MMIO_BASE, size);
  }

  write(address: number, value: number, size: 1 | 2 | 4 = 4): void {
    this.host.mmio.write(address - MMIO_BASE, size, value >>> 0);
  }

  /** INTA of slot 1 is wire 1. */
  get interrupt(): boolean {
    return this.wires[1];
  }

  poke(address: number, ...bytes: number[]): void {
    this.ram.write(guestAddress(address), Uint8Array.from(bytes));
  }

  poke32(address: number, ...words: number[]): void {
    words.forEach((word, i) => {
      this.ram.write32(guestAddress(address + 4 * i), word >>> 0);
    });
  }

  peek(address: number, bytes: number): number[] {
    return Array.from(this.ram.view(guestAddress(address), bytes) ?? []);
  }
}

interface Request {
  kind: 'read' | 'write' | 'flush' | 'zero';
  offset: number;
  run(error?: number): void;
}

const PATTERN = Uint8Array.from({ length: 1 << 20 }, (_, i) => (i * 7 + (i >> 9)) & 0xff);

/** A disk in memory (at most 1 MiB) behind an IoContext that keeps requests until complete() is called. */
export class FakeDisk {
  readonly bytes: Uint8Array;
  readonly requests: Request[] = [];
  submits = 0;
  /** So many of the oldest requests end when their IoContext is next polled. */
  arrived = 0;
  flushes = 0;
  /** The thread waits: completions find it so. */
  waiting = false;
  /** Of each scattered request, in how many pieces of memory. */
  readonly pieces: number[] = [];
  readonly zeroed: { offset: number; bytes: number; unmap: boolean }[] = [];
  readonly port: BlockPort;

  constructor(memory: WebAssembly.Memory, size: number) {
    this.bytes = PATTERN.slice(0, size);
    const all = new Uint8Array(memory.buffer);
    const done = (kind: Request['kind'], offset: number, bytes: number, move: () => void, then: (r: number) => void) =>
      this.requests.push({
        kind,
        offset,
        run: (error) => {
          if (error === undefined) move();
          then(error ?? bytes);
        },
      });
    /** Moves what lies in pieces of memory, from or to consecutive bytes of the disk. */
    const scattered =
      (kind: 'read' | 'write'): BlockPort['io']['readv'] =>
      (_h, _m, { address, bytes, count }, offset, then) => {
        // The arrays are the caller's again when the call has returned.
        const pieces = Array.from({ length: count }, (_, i) => [address[i], bytes[i]]);
        const total = pieces.reduce((sum, [, length]) => sum + length, 0);
        this.pieces.push(count);
        done(
          kind,
          offset,
          total,
          () => {
            let at = offset;
            for (const [from, length] of pieces) {
              if (kind === 'read') all.set(this.bytes.subarray(at, at + length), from);
              else this.bytes.set(all.subarray(from, from + length), at);
              at += length;
            }
          },
          then,
        );
      };
    const bench = this;
    const io: Pick<
      BlockPort['io'],
      'read' | 'write' | 'readv' | 'writev' | 'flush' | 'zero' | 'submit' | 'poll' | 'waiting'
    > = {
      readv: scattered('read'),
      writev: scattered('write'),
      get waiting() {
        return bench.waiting;
      },
      read: (_h, _m, address, bytes, offset, then) =>
        done('read', offset, bytes, () => all.set(this.bytes.subarray(offset, offset + bytes), address), then),
      write: (_h, _m, address, bytes, offset, then) =>
        done('write', offset, bytes, () => this.bytes.set(all.subarray(address, address + bytes), offset), then),
      flush: (_h, then) => {
        this.flushes++;
        done('flush', 0, 0, () => {}, then);
      },
      zero: (_h, offset, bytes, unmap, then) => {
        this.zeroed.push({ offset, bytes, unmap });
        done('zero', offset, 0, () => this.bytes.fill(0, offset, offset + bytes), then);
      },
      submit: () => {
        this.submits++;
      },
      poll: () => {
        const { arrived } = this;
        this.arrived = 0;
        for (let i = 0; i < arrived; i++) this.complete();
        return arrived;
      },
    };
    this.port = { io: io as BlockPort['io'], handle: 0, info: { bytes: size, direct: false, alignment: 1 } };
  }

  /** Completes the i-th waiting request, with a negative errno if given. */
  complete(i = 0, error?: number): void {
    const [request] = this.requests.splice(i, 1);
    request?.run(error);
  }

  completeAll(): void {
    while (this.requests.length > 0) this.complete();
  }
}
