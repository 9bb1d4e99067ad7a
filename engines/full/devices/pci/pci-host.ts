/**
 * The PCIe host bridge of QEMU's `virt` ("pci-host-ecam-generic"): configuration space by ECAM, one 32-bit memory window and
 * one I/O window, mapped one to one, and four interrupt wires, INTA to INTD, that all functions share.
 *
 * A pin's wire is (slot + pin) mod 4, as the device tree's interrupt-map says; a wire is high while any function asserts it.
 * Where nobody answers, reads give all ones and writes vanish, as on a real bus (master abort).
 */
import { REGION } from '../../memory-map.js';
import { type AccessSize, type Device, Lock, type Resettable, STATE_ALIGNMENT, type StateSlice } from '../device.js';
import { CONFIG_BYTES, type PciBar, type PciDevice, PciFunction } from './pci-function.js';

const SLOTS = 32;
const WIRES = 4;
/** Of one function in the ECAM; what lies behind the first 256 bytes (PCI Express's extended space) is empty. */
const ECAM_FUNCTION_BYTES = 4096;

/* Words of the state, before the functions' configuration spaces. */
const LOCK = 0;
/** A bit a slot: its function asserts its pin. */
const ASSERTED = 1;
/** A bit a wire, as told to the interrupt controller. */
const LEVELS = 2;
const CONFIG_ACCESSES = 3;

export const PCI_HOST_STATE_BYTES = STATE_ALIGNMENT + SLOTS * CONFIG_BYTES;

/** QEMU's Red Hat vendor id and its generic PCI Express host bridge. */
const HOST_BRIDGE: Pick<PciDevice, 'name' | 'identity' | 'bars'> = {
  name: 'pci-host-bridge',
  identity: {
    vendor: 0x1b36,
    device: 0x0008,
    revision: 0,
    classCode: 0x060000,
    subsystemVendor: 0x1af4,
    subsystem: 0x1100,
    interruptPin: 0,
  },
  bars: [],
};

const allOnes = (size: AccessSize): number => (size === 4 ? 0xffff_ffff : (1 << (size * 8)) - 1);

export class PciHost implements Resettable {
  /** For the bus: at REGION.pciEcam, REGION.pciMmio and REGION.pciPio. */
  readonly ecam: Device;
  readonly mmio: Device;
  readonly pio: Device;
  readonly #functions: (PciFunction | undefined)[] = [];
  /** Those of #functions that a guest's accesses may be for, without gaps. */
  readonly #attached: PciFunction[] = [];
  readonly #lock: Lock;
  readonly #words: Int32Array;
  /** Answer of #decode(). */
  readonly #found: { window: Device; base: number };

  /** setWire: level of INTA (0) to INTD (3) at the interrupt controller. */
  constructor(
    private readonly state: StateSlice,
    private readonly setWire: (wire: number, level: boolean) => void,
  ) {
    this.#words = state.i32;
    this.#lock = new Lock(state.i32, LOCK);
    this.#functions[0] = new PciFunction(HOST_BRIDGE, this.#configOf(0), () => {});
    this.ecam = {
      name: 'pci-ecam',
      read: (offset, size) => this.#readConfig(offset, size),
      write: (offset, size, value) => this.#writeConfig(offset, size, value),
    };
    this.mmio = this.#window('pci-mmio', 'memory', REGION.pciMmio.base);
    this.pio = this.#window('pci-pio', 'io', 0);
    this.#found = { window: this.ecam, base: 0 };
  }

  /** Puts a device into a slot, 1 to 31. Every thread must attach the same devices to the same slots. */
  attach(slot: number, device: PciDevice): void {
    if (!(slot > 0 && slot < SLOTS) || this.#functions[slot])
      throw new RangeError(`PCI slot ${slot} for ${device.name}`);
    const fn = new PciFunction(device, this.#configOf(slot), () => this.#updateWires());
    this.#functions[slot] = fn;
    this.#attached.push(fn);
    device.connect({
      irq: (level) => this.#setPin(slot, fn, level),
      busMaster: () => fn.busMaster,
      memoryAt: (bar) => (device.bars[bar]?.kind === 'memory' ? fn.addressOf(bar) : -1),
    });
  }

  reset(): void {
    this.#words.fill(0);
    for (const fn of this.#functions) fn?.reset();
  }

  counters(): Record<string, number> {
    return { 'pci.config_accesses': this.#words[CONFIG_ACCESSES] };
  }

  #configOf(slot: number): StateSlice {
    return this.state.part(STATE_ALIGNMENT + slot * CONFIG_BYTES, CONFIG_BYTES);
  }

  /** ECAM: bits 27:20 bus, 19:15 device, 14:12 function, 11:0 register. */
  #functionAt(offset: number): PciFunction | undefined {
    Atomics.add(this.#words, CONFIG_ACCESSES, 1);
    const function0 = offset % (ECAM_FUNCTION_BYTES * 8) < ECAM_FUNCTION_BYTES;
    return function0 ? this.#functions[offset >> 15] : undefined;
  }

  #readConfig(offset: number, size: AccessSize): number {
    const fn = this.#functionAt(offset);
    if (fn === undefined) return allOnes(size);
    const register = offset % ECAM_FUNCTION_BYTES;
    return register < CONFIG_BYTES ? fn.readConfig(register, size) : 0;
  }

  #writeConfig(offset: number, size: AccessSize, value: number): void {
    const register = offset % ECAM_FUNCTION_BYTES;
    if (register < CONFIG_BYTES) this.#functionAt(offset)?.writeConfig(register, size, value);
  }

  #window(name: string, kind: PciBar['kind'], base: number): Device {
    return {
      name,
      read: (offset, size) => {
        const found = this.#decode(kind, base + offset);
        return found ? found.window.read(base + offset - found.base, size) : allOnes(size);
      },
      write: (offset, size, value) => {
        const found = this.#decode(kind, base + offset);
        found?.window.write(base + offset - found.base, size, value);
      },
    };
  }

  /**
   * On the path of every register access: the answer is one object, filled anew. The BAR is read once, since another hart may
   * move it meanwhile.
   */
  #decode(kind: PciBar['kind'], address: number): { window: Device; base: number } | undefined {
    for (let i = 0; i < this.#attached.length; i++) {
      const fn = this.#attached[i];
      const { bars } = fn.device;
      for (let n = 0; n < bars.length; n++) {
        const bar = bars[n];
        if (bar?.kind !== kind) continue;
        const base = fn.addressOf(n);
        if (base < 0 || address < base || address >= base + bar.bytes) continue;
        this.#found.window = bar.window;
        this.#found.base = base;
        return this.#found;
      }
    }
    return undefined;
  }

  /** For traces: who answers at a bus address of a window. */
  deviceAt(kind: PciBar['kind'], address: number): { device: Device; base: number } | undefined {
    const found = this.#decode(kind, address);
    return found && { device: found.window, base: found.base };
  }

  #setPin(slot: number, fn: PciFunction, level: boolean): void {
    const bit = 1 << slot;
    if (((Atomics.load(this.#words, ASSERTED) & bit) !== 0) === level) return;
    if (level) Atomics.or(this.#words, ASSERTED, bit);
    else Atomics.and(this.#words, ASSERTED, ~bit);
    fn.showInterrupt(level);
    this.#updateWires();
  }

  /** Under the lock, so that the interrupt controller hears of levels in the order in which they came to be. */
  #updateWires(): void {
    this.#lock.acquire();
    const before = this.#words[LEVELS];
    const now = this.#levels();
    this.#words[LEVELS] = now;
    for (let wire = 0; wire < WIRES; wire++) {
      const bit = 1 << wire;
      if ((before ^ now) & bit) this.setWire(wire, (now & bit) !== 0);
    }
    this.#lock.release();
  }

  #levels(): number {
    const asserted = Atomics.load(this.#words, ASSERTED);
    let levels = 0;
    for (let slot = 1; slot < this.#functions.length; slot++) {
      const fn = this.#functions[slot];
      if (fn === undefined || !(asserted & (1 << slot)) || !fn.interruptEnabled) continue;
      const pin = fn.device.identity.interruptPin;
      if (pin > 0) levels |= 1 << ((slot + pin - 1) % WIRES);
    }
    return levels;
  }
}
