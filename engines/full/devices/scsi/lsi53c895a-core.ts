/**
 * What all parts of the 53C895A share: its view of the bus (memory by DMA), its interrupts, and the SCSI bus.
 * Everything here runs under the chip's lock.
 */
import { BUS_ERROR, type GuestRam, guestAddress, type StateSlice } from '../device.js';
import type { PciPort } from '../pci/pci-function.js';
import { CHIP_RAM_BYTES, DSTAT, ISTAT0, LsiState, REG, REGISTER_BYTES, RUN, SIST0, SIST1 } from './lsi53c895a-state.js';
import type { ScsiBus } from './scsi-bus.js';
import type { Piece } from './scsi-transfers.js';

export const BAR_REGISTERS = 1;
export const BAR_RAM = 2;

/** Bits of SIST0 and SIST1 that do not stop the program when they are masked. */
const NOT_FATAL0 = SIST0.CMP | SIST0.SEL | SIST0.RSL;
const NOT_FATAL1 = SIST1.GEN | SIST1.HTH;

/** Reads and writes registers with their side effects: lsi53c895a-registers.ts. */
export interface RegisterFile {
  read(register: number): number;
  write(register: number, value: number): void;
}

export class LsiCore {
  readonly state: LsiState;
  /** Set by the device once all parts exist. */
  registers: RegisterFile = { read: () => 0, write: () => {} };
  pci: PciPort = { irq: () => {}, busMaster: () => false, memoryAt: () => -1 };
  readonly #piece: Piece;
  readonly #ramBuffer: Uint8Array;
  readonly #chipBuffer: Uint8Array;
  #chipRamAt = -1;
  #registersAt = -1;
  #master = false;

  constructor(
    private readonly slice: StateSlice,
    private readonly ram: GuestRam,
    makeBus: (state: StateSlice) => ScsiBus,
  ) {
    this.state = new LsiState(slice);
    this.#ramBuffer = new Uint8Array(ram.buffer);
    this.#chipBuffer = slice.buffer === ram.buffer ? this.#ramBuffer : new Uint8Array(slice.buffer);
    this.#piece = { memory: ram.memory, buffer: this.#ramBuffer, offset: 0 };
    this.target = makeBus(this.state.bus);
  }

  /** The bus, and on it the target that is connected. */
  readonly target: ScsiBus;

  /* ---- memory, as the chip reaches it ---- */

  /** Looks up where the guest has put our BARs. Called before each run of the program. */
  refresh(): void {
    this.#chipRamAt = this.pci.memoryAt(BAR_RAM);
    this.#registersAt = this.pci.memoryAt(BAR_REGISTERS);
    this.#master = this.pci.busMaster();
  }

  /** The memory behind a bus address: guest RAM or the chip's own. undefined: none, or not wholly. One object, filled anew. */
  locate(address: number, bytes: number): Piece | undefined {
    const piece = this.#piece;
    const inChip = address - this.#chipRamAt;
    if (this.#chipRamAt >= 0 && inChip >= 0 && inChip + bytes <= CHIP_RAM_BYTES) {
      piece.memory = this.slice.memory;
      piece.buffer = this.#chipBuffer;
      piece.offset = this.state.ram.byteOffset + inChip;
      return piece;
    }
    const at = this.#master ? this.ram.offsetOf(guestAddress(address), bytes) : BUS_ERROR;
    if (at === BUS_ERROR) return undefined;
    piece.memory = this.ram.memory;
    piece.buffer = this.#ramBuffer;
    piece.offset = at;
    return piece;
  }

  /** Little-endian; BUS_ERROR where there is no memory. On the path of every instruction. */
  read32(address: number): number {
    const inChip = address - this.#chipRamAt;
    if (this.#chipRamAt >= 0 && inChip >= 0 && inChip + 4 <= CHIP_RAM_BYTES) {
      return this.state.ramView.getUint32(inChip, true);
    }
    return this.#master ? this.ram.read32(guestAddress(address)) : BUS_ERROR;
  }

  /** One byte of memory or of our own registers, which SCRIPTS may also reach by their bus address. */
  readByte(address: number): number {
    const register = this.#registerAt(address);
    if (register >= 0) return this.registers.read(register);
    const piece = this.locate(address, 1);
    return piece ? piece.buffer[piece.offset] : BUS_ERROR;
  }

  writeByte(address: number, value: number): boolean {
    const register = this.#registerAt(address);
    if (register >= 0) {
      this.registers.write(register, value);
      return true;
    }
    const piece = this.locate(address, 1);
    if (piece) piece.buffer[piece.offset] = value;
    return piece !== undefined;
  }

  #registerAt(address: number): number {
    const at = address - this.#registersAt;
    return this.#registersAt >= 0 && at >= 0 && at < REGISTER_BYTES ? at : -1;
  }

  /* ---- interrupts ---- */

  stop(): void {
    this.state.run = RUN.STOPPED;
  }

  dmaInterrupt(bits: number): void {
    this.state.u8[REG.DSTAT] |= bits;
    this.stop();
  }

  /** A bus fault: the chip was sent to where there is no memory. */
  busFault(): void {
    this.dmaInterrupt(DSTAT.BF);
  }

  scsiInterrupt(sist0: number, sist1: number): void {
    const { u8 } = this.state;
    u8[REG.SIST0] |= sist0;
    u8[REG.SIST1] |= sist1;
    const stops0 = u8[REG.SIEN0] | (~NOT_FATAL0 & 0xff);
    const stops1 = u8[REG.SIEN1] | (~NOT_FATAL1 & 0xff);
    if (sist0 & stops0 || sist1 & stops1) this.stop();
  }

  /** DIP and SIP follow DSTAT and SIST; the pin is high while an enabled cause is there. INTF cannot be masked. */
  updateIrq(): void {
    const { u8 } = this.state;
    const dstat = u8[REG.DSTAT];
    const sist = u8[REG.SIST0] | (u8[REG.SIST1] << 8);
    let istat = u8[REG.ISTAT0] & ~(ISTAT0.DIP | ISTAT0.SIP);
    if (dstat) istat |= ISTAT0.DIP;
    if (sist) istat |= ISTAT0.SIP;
    u8[REG.ISTAT0] = istat;
    const enabled = (dstat & u8[REG.DIEN]) | (sist & (u8[REG.SIEN0] | (u8[REG.SIEN1] << 8)));
    this.pci.irq(enabled !== 0 || (istat & ISTAT0.INTF) !== 0);
  }
}

/** Bits 23:0 of a word as a signed number. */
export const signed24 = (value: number): number => (value << 8) >> 8;
