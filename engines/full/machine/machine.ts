/**
 * The machine as one thread has it: an instance of every device over the shared state, on a bus. Each hart's thread
 * builds one, and so does the main thread, which serves the console.
 */
import type { Kicker } from '../../backends/io.js';
import { BootRom } from '../boot/boot-rom.js';
import type { Loaded } from '../boot/loader.js';
import type { VmConfig } from '../config.js';
import { EVENT } from '../cpu/layout.js';
import { HartState } from '../cpu/state.js';
import { AddressMap, Bus } from '../devices/bus.js';
import { Clint } from '../devices/clint.js';
import { GuestRam, type Resettable } from '../devices/device.js';
import { Finisher, type GuestEnd } from '../devices/finisher.js';
import { PciHost } from '../devices/pci/pci-host.js';
import { Plic } from '../devices/plic.js';
import { Rtc } from '../devices/rtc.js';
import { Uart } from '../devices/uart.js';
import { VirtioMmioBank } from '../devices/virtio/mmio-bank.js';
import { RAM_BASE, REGION, SOURCE } from '../memory-map.js';
import { attachDevices } from './attach-devices.js';
import { ByteRing } from './byte-ring.js';
import { Clock } from './clock.js';
import { EVENT_NAMES } from './counter-names.js';
import { Doorbells } from './doorbells.js';
import { type HostPorts, hostSide } from './host-side.js';
import { RunState } from './run-state.js';
import { SharedLines } from './shared-lines.js';
import type { Part, StateLayout } from './shared-state.js';
import { ThreadCounters } from './thread-counters.js';
import type { Tracer } from './trace.js';

export const MAIN_THREAD = -1;

export interface MachineParts {
  config: VmConfig;
  memory: WebAssembly.Memory;
  layout: StateLayout;
  /** Where the images have gone. */
  loaded: Loaded;
  /** process.hrtime() at reset. */
  zero: [number, number];
  /** The hart whose thread this is, or MAIN_THREAD. */
  self: number;
  /** The memory as registered with the thread's IoContext; 0 on the main thread, whose devices do no I/O. */
  memoryId: number;
  kicker: Kicker;
  /** The host side of this thread's devices. */
  ports: HostPorts;
  /** Runs a task of a device soon, on this thread, with no lock held. */
  defer(task: () => void): void;
  /** This thread's counters are about to be read by itself. */
  beforeCounters(): void;
  /** Absent: nothing is traced. */
  tracer?: Tracer;
  /** The main thread has something to look at: console output, a doorbell, the end. */
  callMain(): void;
}

export class Machine {
  readonly lines: SharedLines;
  readonly clock: Clock;
  readonly plic: Plic;
  readonly clint: Clint;
  readonly uart: Uart;
  readonly pci: PciHost;
  readonly virtioMmio: VirtioMmioBank;
  readonly consoleOut: ByteRing;
  readonly consoleIn: ByteRing;
  readonly doorbells: Doorbells;
  readonly run: RunState;
  readonly bus: Bus;
  readonly threads: ThreadCounters;
  readonly map = new AddressMap();
  readonly #devices: Resettable[] = [];
  readonly #harts: HartState[];

  constructor(private readonly parts: MachineParts) {
    const { memory, layout, self } = parts;
    const buffer = memory.buffer as SharedArrayBuffer;
    const slice = (part: Part) => layout.slice(buffer, part, parts.memoryId);
    this.clock = new Clock(parts.zero);
    this.lines = new SharedLines(memory, layout, self, parts.kicker, parts.tracer);
    this.run = new RunState(slice('run'));
    this.consoleOut = new ByteRing(slice('consoleOut'));
    this.consoleIn = new ByteRing(slice('consoleIn'));
    this.doorbells = new Doorbells(slice('doorbells'), () => {
      parts.beforeCounters();
      return Object.values(this.counters());
    });
    this.threads = new ThreadCounters(slice('threads'), layout.harts, Math.max(self, 0));
    this.#harts = Array.from({ length: layout.harts }, (_, hart) => new HartState(memory, layout.hartBase(hart)));

    this.map.add(REGION.bootRom.base, REGION.bootRom.bytes, new BootRom(parts.loaded));
    this.plic = this.#add(REGION.plic, new Plic(slice('plic'), layout.harts, this.lines, [SOURCE.uart]));
    this.clint = this.#add(REGION.clint, new Clint(slice('clint'), layout.harts, this.clock, this.lines));
    const irq = (level: boolean) => this.#source('uart', SOURCE.uart, level);
    this.uart = this.#add(REGION.uart, new Uart({ state: slice('uart'), irq }, this.#serialPort()));
    this.#add(REGION.rtc, new Rtc(slice('rtc'), wallClockNs));
    const finisher = new Finisher((how) => this.end(how));
    this.map.add(REGION.finisher.base, REGION.finisher.bytes, finisher);
    this.pci = new PciHost(slice('pci'), (wire, level) =>
      this.#source(`pci int${'abcd'[wire]}`, SOURCE.pciIntA + wire, level),
    );
    this.#devices.push(this.pci);
    this.virtioMmio = new VirtioMmioBank((window, level) =>
      this.#source(`virtio-mmio ${window}`, SOURCE.virtioMmio + window, level),
    );
    this.#devices.push(
      ...attachDevices(this.pci, this.virtioMmio, {
        host: hostSide(
          parts.config,
          parts.ports,
          this.#consolePort(() => true),
        ),
        ram: this.#ram(),
        slice: (name) => layout.deviceSlice(buffer, name, parts.memoryId),
        defer: parts.defer,
      }),
    );
    this.map.add(REGION.virtioMmio.base, REGION.virtioMmio.bytes, this.virtioMmio);
    this.map.add(REGION.pciEcam.base, REGION.pciEcam.bytes, this.pci.ecam);
    this.map.add(REGION.pciMmio.base, REGION.pciMmio.bytes, this.pci.mmio);
    this.map.add(REGION.pciPio.base, REGION.pciPio.bytes, this.pci.pio);
    this.bus = new Bus(this.map, this.threads.bus);
  }

  /** Power-on state of all devices; by one thread, before any hart runs. */
  reset(): void {
    for (const device of this.#devices) device.reset();
  }

  /** The guest ends its machine: all harts stop. */
  end(how: GuestEnd): void {
    if (!this.run.end(how)) return;
    this.lines.stopAll();
    this.parts.callMain();
  }

  /** Totals since reset, over all threads, always the same names in the same order. */
  counters(): Record<string, number> {
    const totals: Record<string, number> = {};
    const sum = (count: (hart: HartState) => number) => this.#harts.reduce((total, hart) => total + count(hart), 0);
    totals.instructions = sum((hart) => hart.instret);
    for (const name of Object.keys(EVENT) as (keyof typeof EVENT)[]) {
      totals[EVENT_NAMES[name]] = sum((hart) => hart.count(EVENT[name]));
    }
    const windows = this.map.windows.map((window) => window.device.name);
    Object.assign(totals, this.threads.totals(windows), ...this.#devices.map((device) => device.counters()));
    return totals;
  }

  #add<T extends Resettable & Parameters<AddressMap['add']>[2]>(region: { base: number; bytes: number }, device: T): T {
    this.map.add(region.base, region.bytes, device);
    this.#devices.push(device);
    return device;
  }

  /** A device drives its wire to the interrupt controller. */
  #source(name: string, source: number, level: boolean): void {
    this.parts.tracer?.source(name, source, level);
    this.plic.setLevel(source, level);
  }

  #ram(): GuestRam {
    const { memory, layout, memoryId } = this.parts;
    const buffer = memory.buffer as SharedArrayBuffer;
    return new GuestRam({ buffer, memory: memoryId, offset: layout.ramOffset, base: RAM_BASE, bytes: layout.ramBytes });
  }

  #serialPort() {
    const unclaimed = () => !this.#devices.some((device) => device.takesInput);
    const rings = this.parts.config.doorbells === true;
    return { ...this.#consolePort(unclaimed), doorbell: (byte: number) => rings && this.doorbells.ring(byte) };
  }

  /** hasInput: the console's input is for the one who asks. */
  #consolePort(hasInput: () => boolean) {
    const { consoleOut, consoleIn } = this;
    return {
      room: () => consoleOut.room,
      put: (byte: number) => {
        consoleOut.put(byte);
        // One wake-up of the main thread a line, not one a byte; idle harts send what is left (flushConsole).
        if (byte === 0x0a || consoleOut.room < consoleOut.capacity / 2) this.parts.callMain();
      },
      take: () => (hasInput() ? consoleIn.take() : -1),
    };
  }

  /** There is input for the guest, or room for output again. */
  consoleChanged(): void {
    this.uart.serve();
    for (const device of this.#devices) device.consoleChanged?.();
  }

  /** Before a hart sleeps, and now and then: an unfinished line (a prompt) must reach the console too. */
  flushConsole(): void {
    if (this.consoleOut.length > 0) this.parts.callMain();
  }
}

const wallClockNs = (): bigint => BigInt(Date.now()) * 1_000_000n;
