/**
 * LSI 53C895A: names of its registers, and its state in shared memory. LSI53C895A Technical Manual 2.2, chapter 4.
 *
 * The slice holds the words below, the 256 bytes of registers as the guest sees them, the chip's 8 KiB of SCRIPTS RAM, and the
 * state of the SCSI bus (scsi-bus.ts). 32-bit registers lie in the register file as they do in the chip, so that the
 * SCRIPTS processor uses them in place.
 */
import { STATE_ALIGNMENT, type StateSlice } from '../device.js';
import { scsiBusStateBytes } from './scsi-bus.js';

export { PHASE } from './scsi-messages.js';

export const REG = {
  SCNTL0: 0x00,
  SCNTL1: 0x01,
  SCNTL2: 0x02,
  SCNTL3: 0x03,
  SCID: 0x04,
  SXFER: 0x05,
  SDID: 0x06,
  GPREG: 0x07,
  SFBR: 0x08,
  SOCL: 0x09,
  SSID: 0x0a,
  SBCL: 0x0b,
  DSTAT: 0x0c,
  SSTAT0: 0x0d,
  SSTAT1: 0x0e,
  SSTAT2: 0x0f,
  DSA: 0x10,
  ISTAT0: 0x14,
  ISTAT1: 0x15,
  MBOX0: 0x16,
  MBOX1: 0x17,
  CTEST0: 0x18,
  CTEST1: 0x19,
  CTEST2: 0x1a,
  CTEST3: 0x1b,
  TEMP: 0x1c,
  DFIFO: 0x20,
  CTEST4: 0x21,
  CTEST5: 0x22,
  CTEST6: 0x23,
  DBC: 0x24,
  DCMD: 0x27,
  DNAD: 0x28,
  DSP: 0x2c,
  DSPS: 0x30,
  SCRATCHA: 0x34,
  DMODE: 0x38,
  DIEN: 0x39,
  SBR: 0x3a,
  DCNTL: 0x3b,
  ADDER: 0x3c,
  SIEN0: 0x40,
  SIEN1: 0x41,
  SIST0: 0x42,
  SIST1: 0x43,
  MACNTL: 0x46,
  GPCNTL: 0x47,
  STIME0: 0x48,
  STIME1: 0x49,
  RESPID0: 0x4a,
  STEST0: 0x4c,
  STEST4: 0x52,
  SIDL: 0x50,
  CCNTL0: 0x56,
  CCNTL1: 0x57,
  SBDL: 0x58,
  SCRATCHB: 0x5c,
  SCRATCHC: 0x60,
  MMRS: 0xa0,
  MMWS: 0xa4,
  SFS: 0xa8,
  DRS: 0xac,
  SBMS: 0xb0,
  DBMS: 0xb4,
  DNAD64: 0xb8,
  PMJAD1: 0xc0,
  PMJAD2: 0xc4,
  RBC: 0xc8,
  UA: 0xcc,
  ESA: 0xd0,
  IA: 0xd4,
  SBC: 0xd8,
  CSBC: 0xdc,
} as const;

export const ISTAT0 = {
  DIP: 0x01,
  SIP: 0x02,
  INTF: 0x04,
  CON: 0x08,
  SEM: 0x10,
  SIGP: 0x20,
  SRST: 0x40,
  ABRT: 0x80,
} as const;
export const ISTAT1_SRUN = 0x02;
export const DSTAT = { IID: 0x01, SIR: 0x04, SSI: 0x08, ABRT: 0x10, BF: 0x20, DFE: 0x80 } as const;
export const SIST0 = { RST: 0x02, UDC: 0x04, SGE: 0x08, RSL: 0x10, SEL: 0x20, CMP: 0x40, MA: 0x80 } as const;
export const SIST1 = { HTH: 0x01, GEN: 0x02, STO: 0x04 } as const;
export const SCNTL1 = { RST: 0x08, CON: 0x10, IARB: 0x02 } as const;
export const SCNTL2_WSR = 0x01;
export const SBCL = { ACK: 0x40, BSY: 0x20, ATN: 0x08, REQ: 0x80 } as const;
export const DMODE_MAN = 0x01;
export const DCNTL = { COM: 0x01, STD: 0x04, SSM: 0x10 } as const;
export const CCNTL0 = { ENPMJ: 0x80, PMJCTL: 0x40 } as const;
export const CCNTL1 = { EN64DBMV: 0x01, EN64TIBMV: 0x02, TIMOD64: 0x04 } as const;

/** What the SCRIPTS processor is doing. */
export const RUN = {
  STOPPED: 0,
  RUNNING: 1,
  /** In WAIT RESELECT: a ready target or SIGP ends it. */
  WAIT_RESELECT: 2,
  /** At an instruction that needs the target to ask for a phase (REQ). */
  WAIT_PHASE: 3,
  /** Has used up its instructions; a deferred task goes on. */
  SUSPENDED: 4,
} as const;

/** Words of the slice, from its start. */
export const WORD = {
  LOCK: 0,
  RUN: 1,
  CARRY: 2,
  /** Where WAIT RESELECT goes when SIGP ends it. */
  ALTERNATE: 3,
  /** A deferred task, of whichever thread, will let a suspended program go on. */
  DEFERRED: 4,
  /** A target was selected that is not there: the time runs, and the program goes on until it needs the bus. */
  NOBODY: 5,
} as const;
/** Totals, in 64-bit floats from byte COUNTERS_AT on. */
export const COUNT = {
  COMMANDS: 0,
  INSTRUCTIONS: 1,
  RESELECTIONS: 2,
  INTERRUPTS: 3,
  SUSPENSIONS: 4,
  DOORBELLS: 5,
} as const;
const COUNTERS_AT = STATE_ALIGNMENT;
const REGISTERS_AT = 2 * STATE_ALIGNMENT;
export const REGISTER_BYTES = 256;
const RAM_AT = REGISTERS_AT + REGISTER_BYTES;
export const CHIP_RAM_BYTES = 8192;
const BUS_AT = RAM_AT + CHIP_RAM_BYTES;
/** Of a controller with so many disks. */
export const lsiStateBytes = (units: number): number => BUS_AT + scsiBusStateBytes(units);

export class LsiState {
  readonly words: Int32Array;
  readonly count: Float64Array;
  readonly u8: Uint8Array;
  readonly u32: Uint32Array;
  readonly ram: Uint8Array;
  readonly ramView: DataView;
  readonly bus: StateSlice;

  constructor(slice: StateSlice) {
    this.words = slice.i32;
    this.count = new Float64Array(slice.buffer, slice.offset + COUNTERS_AT, STATE_ALIGNMENT / 8);
    const at = slice.offset + REGISTERS_AT;
    this.u8 = new Uint8Array(slice.buffer, at, REGISTER_BYTES);
    this.u32 = new Uint32Array(slice.buffer, at, REGISTER_BYTES / 4);
    this.ram = new Uint8Array(slice.buffer, slice.offset + RAM_AT, CHIP_RAM_BYTES);
    this.ramView = new DataView(slice.buffer, slice.offset + RAM_AT, CHIP_RAM_BYTES);
    this.bus = slice.part(BUS_AT, slice.bytes - BUS_AT);
  }

  /** A 32-bit register, unsigned. */
  get(register: number): number {
    return this.u32[register >> 2];
  }

  set(register: number, value: number): void {
    this.u32[register >> 2] = value;
  }

  get run(): number {
    return this.words[WORD.RUN];
  }

  /** ISTAT1.SRUN shows a running program. */
  set run(value: number) {
    this.words[WORD.RUN] = value;
    if (value === RUN.STOPPED) this.u8[REG.ISTAT1] &= ~ISTAT1_SRUN;
    else this.u8[REG.ISTAT1] |= ISTAT1_SRUN;
  }

  /** Byte counter, 24 bits. */
  get dbc(): number {
    return this.u32[REG.DBC >> 2] & 0xff_ffff;
  }

  set dbc(value: number) {
    this.u32[REG.DBC >> 2] = (this.u32[REG.DBC >> 2] & 0xff00_0000) | (value & 0xff_ffff);
  }
}
