/** Registers of the 53C895A with their side effects, byte by byte. Technical Manual, chapter 4. Called under the chip's lock. */
import type { LsiCore, RegisterFile } from './lsi53c895a-core.js';
import {
  DSTAT,
  ISTAT0,
  type LsiState,
  PHASE,
  REG,
  REGISTER_BYTES,
  RUN,
  SBCL,
  SCNTL1,
  SIST0,
  SIST1,
  WORD,
} from './lsi53c895a-state.js';

/** Registers that a write does not change, beside those in the switch below. */
const READ_ONLY: ReadonlySet<number> = new Set([
  REG.SSID,
  REG.SBCL,
  REG.DSTAT,
  REG.SSTAT0,
  REG.SSTAT1,
  REG.SSTAT2,
  REG.ISTAT1,
  REG.CTEST0,
  REG.CTEST1,
  REG.DFIFO,
  REG.CTEST6,
  REG.SIST0,
  REG.SIST1,
  REG.MACNTL,
  REG.STEST0,
  REG.SIDL,
  REG.STEST4,
  REG.SBDL,
]);

const CTEST2 = { SIGP: 0x40, CM: 0x10, PCICIE: 0x08, DACK: 0x01 } as const;
const SCNTL2_WSR_WSS = 0x09;
const GENERAL_TIMER = 0x0f;
const SSTAT0_RST = 0x02;
const SSTAT2_LAST_DISCONNECT = 0x02;

/** The values after power-on and software reset that are not 0. */
const RESET: readonly (readonly [register: number, value: number])[] = [
  [REG.SCNTL0, 0xc0],
  [REG.GPREG, 0x7f],
  [REG.CTEST1, 0xf0],
  [REG.MACNTL, 0x0f],
  [REG.GPCNTL, 0x0f],
  [REG.STEST4, 0xe0], // low-voltage differential bus, clock quadrupler locked
];

export function resetRegisters(s: LsiState): void {
  s.u8.fill(0);
  for (const [register, value] of RESET) s.u8[register] = value;
  s.words[WORD.CARRY] = 0;
  s.words[WORD.NOBODY] = 0;
  s.run = RUN.STOPPED;
}

export class LsiRegisters implements RegisterFile {
  constructor(private readonly core: LsiCore) {}

  read(register: number): number {
    const { core } = this;
    const { u8 } = core.state;
    switch (register) {
      case REG.DSTAT:
      case REG.SIST0:
      case REG.SIST1:
        return this.#readAndClear(register);
      case REG.CTEST2:
        return this.#readCtest2();
      case REG.SCNTL1:
        return (u8[register] & ~SCNTL1.CON) | (core.target.connected ? SCNTL1.CON : 0);
      case REG.ISTAT0:
        return (u8[register] & ~ISTAT0.CON) | (core.target.connected ? ISTAT0.CON : 0);
      case REG.SBCL:
        return this.#busControl();
      case REG.SSTAT1:
        return core.target.phase;
      case REG.SSTAT2:
        return core.target.connected ? 0 : SSTAT2_LAST_DISCONNECT;
      case REG.SBDL:
        return core.target.phase === PHASE.MESSAGE_IN ? core.target.nextMessage : 0;
      default:
        return u8[register & (REGISTER_BYTES - 1)];
    }
  }

  write(register: number, value: number): void {
    const { core } = this;
    const { u8 } = core.state;
    switch (register) {
      case REG.ISTAT0:
        this.#writeIstat(value);
        return;
      case REG.SCNTL1:
        this.#writeScntl1(value);
        return;
      case REG.SCNTL2:
        u8[register] = (value & ~SCNTL2_WSR_WSS) | (u8[register] & ~value & SCNTL2_WSR_WSS); // written as 1 to clear
        return;
      case REG.SDID:
        u8[register] = value & 0x0f;
        return;
      case REG.CTEST2:
        u8[register] = value & CTEST2.PCICIE;
        return;
      case REG.CTEST3:
        u8[register] = value & 0x0b; // FLF and CLF act at once: our FIFO is always empty
        return;
      case REG.STIME1:
        u8[register] = value;
        // The general purpose timer expires at once: a driver that measures the chip's clock by it must not wait for nothing.
        if (value & GENERAL_TIMER) core.scsiInterrupt(0, SIST1.GEN);
        return;
      default:
        if (!READ_ONLY.has(register)) u8[register & (REGISTER_BYTES - 1)] = value;
    }
  }

  #readAndClear(register: number): number {
    const { u8 } = this.core.state;
    const value = u8[register];
    u8[register] = 0;
    return register === REG.DSTAT ? value | DSTAT.DFE : value;
  }

  /** Reading CTEST2 takes SIGP away: so a program sees the signal once. */
  #readCtest2(): number {
    const { u8 } = this.core.state;
    const signal = u8[REG.ISTAT0] & ISTAT0.SIGP ? CTEST2.SIGP : 0;
    u8[REG.ISTAT0] &= ~ISTAT0.SIGP;
    return u8[REG.CTEST2] | signal | CTEST2.CM | CTEST2.DACK;
  }

  #busControl(): number {
    const { target, state } = this.core;
    if (!target.connected) return 0;
    return target.phase | SBCL.BSY | (target.asks ? SBCL.REQ : 0) | (state.u8[REG.SOCL] & (SBCL.ATN | SBCL.ACK));
  }

  #writeIstat(value: number): void {
    const { core } = this;
    const { state } = core;
    if (value & ISTAT0.SRST) {
      resetRegisters(state);
      core.target.release();
      state.u8[REG.ISTAT0] = ISTAT0.SRST;
      return;
    }
    const kept = state.u8[REG.ISTAT0] & (ISTAT0.DIP | ISTAT0.SIP | ISTAT0.INTF);
    state.u8[REG.ISTAT0] = (kept & ~(value & ISTAT0.INTF)) | (value & (ISTAT0.SIGP | ISTAT0.SEM));
    if (value & ISTAT0.ABRT) core.dmaInterrupt(DSTAT.ABRT);
  }

  /** Asserting RST resets the bus: the target forgets everything, and we are told like everybody on the bus. */
  #writeScntl1(value: number): void {
    const { core } = this;
    const { u8 } = core.state;
    const rising = value & ~u8[REG.SCNTL1] & SCNTL1.RST;
    u8[REG.SCNTL1] = value & ~(SCNTL1.CON | SCNTL1.IARB);
    if (value & SCNTL1.RST) u8[REG.SSTAT0] |= SSTAT0_RST;
    else u8[REG.SSTAT0] &= ~SSTAT0_RST;
    if (!rising) return;
    core.target.reset();
    core.scsiInterrupt(SIST0.RST, 0);
  }
}
