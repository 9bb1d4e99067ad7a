/**
 * LSI 53C895A PCI to SCSI controller with its disks: the device on the bus. LSI53C895A Technical Manual 2.2.
 *
 * A write that lets the chip's program go on (DSP, SIGP, DCNTL.STD) runs it at once, on the thread of the vCPU that wrote, until
 * it waits; requests to the host start on the way, and when they complete the same thread's IoContext runs the program further,
 * up to the interrupt. No other thread is woken.
 *
 * Not there: target mode, low-level mode, arbitration by hand, parity errors, real timers, synchronous and wide transfers (targets
 * answer that they do neither). Data that the host still reads or writes when the guest resets chip or bus is not stopped.
 */
import type { IoContext } from '../../../backends/io.js';
import { type AccessSize, type Device, Lock, type Resettable, type StateSlice } from '../device.js';
import type { PciBar, PciDevice, PciDeviceContext, PciIdentity, PciPort } from '../pci/pci-function.js';
import { LsiCore } from './lsi53c895a-core.js';
import { reselected } from './lsi53c895a-io.js';
import { LsiRegisters, resetRegisters } from './lsi53c895a-registers.js';
import { runScripts } from './lsi53c895a-scripts.js';
import { CHIP_RAM_BYTES, COUNT, DCNTL, DMODE_MAN, ISTAT0, REG, REGISTER_BYTES, RUN, WORD } from './lsi53c895a-state.js';
import { ScsiBus, type ScsiUnit } from './scsi-bus.js';

export { lsiStateBytes } from './lsi53c895a-state.js';

const REGISTER_WINDOW = 1024;

export class Lsi53c895a implements PciDevice, Resettable {
  readonly name = 'lsi53c895a';
  readonly identity: PciIdentity = {
    vendor: 0x1000,
    device: 0x0012,
    revision: 0,
    classCode: 0x010000,
    subsystemVendor: 0x0000,
    subsystem: 0x1000,
    interruptPin: 1,
    minGrant: 0x11,
    maxLatency: 0x12,
  };
  readonly bars: readonly PciBar[];
  readonly #core: LsiCore;
  readonly #lock: Lock;
  readonly #io: IoContext;

  constructor(
    private readonly context: PciDeviceContext,
    disks: readonly ScsiUnit[],
  ) {
    this.#io = disks[0].port.io; // a thread has one for all of them
    const makeBus = (state: StateSlice) =>
      new ScsiBus(state, disks, (id, nexus, epoch, failed) => this.#completed(id, nexus, epoch, failed));
    this.#core = new LsiCore(context.state, context.ram, makeBus);
    this.#core.registers = new LsiRegisters(this.#core);
    this.#lock = new Lock(context.state.i32, WORD.LOCK);
    const registers: Device = {
      name: this.name,
      read: (offset, size) => this.readRegisters(offset & (REGISTER_BYTES - 1), size),
      write: (offset, size, value) => this.writeRegisters(offset & (REGISTER_BYTES - 1), size, value),
    };
    const ram: Device = {
      name: `${this.name}-ram`,
      read: (offset, size) => readRam(this.#core.state.ramView, offset, size),
      write: (offset, size, value) => writeRam(this.#core.state.ramView, offset, size, value),
    };
    this.bars = [
      { kind: 'io', bytes: REGISTER_BYTES, window: registers },
      { kind: 'memory', bytes: REGISTER_WINDOW, window: registers },
      { kind: 'memory', bytes: CHIP_RAM_BYTES, window: ram },
    ];
  }

  connect(port: PciPort): void {
    this.#core.pci = port;
  }

  reset(): void {
    this.context.state.u8.fill(0);
    resetRegisters(this.#core.state);
    this.#core.target.reset();
  }

  counters(): Record<string, number> {
    const { count } = this.#core.state;
    return {
      'lsi.commands': count[COUNT.COMMANDS],
      'lsi.instructions': count[COUNT.INSTRUCTIONS],
      'lsi.reselections': count[COUNT.RESELECTIONS],
      'lsi.interrupts': count[COUNT.INTERRUPTS],
      'lsi.suspensions': count[COUNT.SUSPENSIONS],
      'lsi.doorbells': count[COUNT.DOORBELLS],
    };
  }

  /** Requests of all disks that are at the host, of all threads. */
  get inFlight(): number {
    return this.#core.target.inFlight;
  }

  readRegisters(offset: number, size: AccessSize): number {
    this.#lock.acquire();
    let value = 0;
    for (let i = 0; i < size; i++) value |= this.#core.registers.read(offset + i) << (8 * i);
    this.#core.updateIrq();
    this.#lock.release();
    return value >>> 0;
  }

  writeRegisters(offset: number, size: AccessSize, value: number): void {
    this.#lock.acquire();
    for (let i = 0; i < size; i++) this.#core.registers.write(offset + i, (value >>> (8 * i)) & 0xff);
    if (this.#wakes(offset, size)) {
      this.#core.state.count[COUNT.DOORBELLS]++;
      this.#run();
    }
    this.#core.updateIrq();
    this.#lock.release();
    this.#submit();
  }

  /** Whether the bytes that were written let the program begin or go on; then it is RUNNING. */
  #wakes(offset: number, size: number): boolean {
    const { state } = this.#core;
    const hit = (register: number) => register >= offset && register < offset + size;
    const byHand = (state.u8[REG.DMODE] & DMODE_MAN) !== 0;
    if ((hit(REG.DSP + 3) && !byHand) || (hit(REG.DCNTL) && state.u8[REG.DCNTL] & DCNTL.STD)) {
      state.u8[REG.DCNTL] &= ~DCNTL.STD;
      state.run = RUN.RUNNING;
      return true;
    }
    if (state.run !== RUN.WAIT_RESELECT || !hit(REG.ISTAT0) || !(state.u8[REG.ISTAT0] & ISTAT0.SIGP)) return false;
    state.set(REG.DSP, state.words[WORD.ALTERNATE]);
    state.run = RUN.RUNNING;
    return true;
  }

  /** Under the lock. */
  #run(): void {
    const { state } = this.#core;
    runScripts(this.#core);
    this.#core.target.startOpen();
    if (state.run !== RUN.SUSPENDED || state.words[WORD.DEFERRED]) return;
    state.words[WORD.DEFERRED] = 1;
    this.context.defer(() => this.#goOn());
  }

  #goOn(): void {
    this.#lock.acquire();
    this.#core.state.words[WORD.DEFERRED] = 0;
    if (this.#core.state.run === RUN.SUSPENDED) {
      this.#core.state.run = RUN.RUNNING;
      this.#run();
      this.#core.updateIrq();
    }
    this.#lock.release();
    this.#submit();
  }

  /** A request of this thread is done. */
  #completed(id: number, nexus: number, epoch: number, failed: boolean): void {
    const core = this.#core;
    this.#lock.acquire();
    core.target.complete(id, nexus, epoch, failed);
    const { run } = core.state;
    const wake =
      (run === RUN.WAIT_PHASE && core.target.asks) ||
      (run === RUN.WAIT_RESELECT && core.target.ready && reselected(core));
    if (wake) {
      core.state.run = RUN.RUNNING;
      this.#run();
      core.updateIrq();
    }
    this.#lock.release();
    this.#submit();
  }

  /** Outside of the lock: it is a system call. */
  #submit(): void {
    if (!this.#core.target.takeQueued()) return;
    this.#io.submit();
  }
}

function readRam(ram: DataView, offset: number, size: AccessSize): number {
  if (size === 4) return ram.getUint32(offset, true);
  return size === 2 ? ram.getUint16(offset, true) : ram.getUint8(offset);
}

function writeRam(ram: DataView, offset: number, size: AccessSize, value: number): void {
  if (size === 4) ram.setUint32(offset, value, true);
  else if (size === 2) ram.setUint16(offset, value, true);
  else ram.setUint8(offset, value);
}
