/** SCRIPTS: transfer of control. Technical Manual, 5.6. */
import { type LsiCore, signed24 } from './lsi53c895a-core.js';
import { COUNT, DSTAT, ISTAT0, REG, RUN, WORD } from './lsi53c895a-state.js';

const BIT = {
  RELATIVE: 1 << 23,
  CARRY: 1 << 21,
  FLY: 1 << 20,
  /** Branch if the comparisons are true; else if they are false. */
  TRUE: 1 << 19,
  DATA: 1 << 18,
  PHASE: 1 << 17,
  WAIT: 1 << 16,
} as const;
const OPCODE = { JUMP: 0, CALL: 1, RETURN: 2, INT: 3 } as const;

/** `at` is the address of the instruction. */
export function transferControl(core: LsiCore, insn: number, argument: number, at: number): void {
  const { state, target } = core;
  if (insn & BIT.PHASE && insn & BIT.WAIT && target.connected && !target.asks) {
    state.set(REG.DSP, at);
    state.run = RUN.WAIT_PHASE;
    return;
  }
  if (!holds(core, insn)) return;
  const next = state.get(REG.DSP);
  const to = (insn & BIT.RELATIVE ? next + signed24(argument) : argument) >>> 0;
  switch ((insn >>> 27) & 7) {
    case OPCODE.JUMP:
      state.set(REG.ADDER, to);
      state.set(REG.DSP, to);
      return;
    case OPCODE.CALL:
      state.set(REG.TEMP, next);
      state.set(REG.DSP, to);
      return;
    case OPCODE.RETURN:
      state.set(REG.DSP, state.get(REG.TEMP));
      return;
    case OPCODE.INT:
      interrupt(core, (insn & BIT.FLY) !== 0);
      return;
    default:
      core.dmaInterrupt(DSTAT.IID);
      return;
  }
}

/** With several comparisons, all must be true to branch on true, and all false to branch on false. With none, "true" holds. */
function holds(core: LsiCore, insn: number): boolean {
  const { state, target } = core;
  const wanted = (insn & BIT.TRUE) !== 0;
  if (insn & BIT.CARRY && (state.words[WORD.CARRY] !== 0) !== wanted) return false;
  if (insn & BIT.PHASE && (target.phase === ((insn >>> 24) & 7)) !== wanted) return false;
  if (insn & BIT.DATA) {
    const mask = ~(insn >>> 8) & 0xff;
    if ((((state.u8[REG.SFBR] ^ insn) & mask) === 0) !== wanted) return false;
  }
  return wanted || (insn & (BIT.CARRY | BIT.PHASE | BIT.DATA)) !== 0;
}

/** INTFLY raises the interrupt and goes on; INT stops with its argument in DSPS. */
function interrupt(core: LsiCore, fly: boolean): void {
  const { state } = core;
  if (!fly) {
    core.dmaInterrupt(DSTAT.SIR);
    return;
  }
  if (!(state.u8[REG.ISTAT0] & ISTAT0.INTF)) state.count[COUNT.INTERRUPTS]++;
  state.u8[REG.ISTAT0] |= ISTAT0.INTF;
}
