/** SCRIPTS: I/O instructions (select, wait, set, clear) and register arithmetic. Technical Manual, 5.4 and 5.5. */
import { BUS_ERROR } from '../device.js';
import { type LsiCore, signed24 } from './lsi53c895a-core.js';
import { COUNT, DCNTL, ISTAT0, REG, RUN, SBCL, WORD } from './lsi53c895a-state.js';

const RELATIVE = 1 << 26;
const TABLE = 1 << 25;
const WITH_ATN = 1 << 24;
const FLAG = { ATN: 1 << 3, ACK: 1 << 6, CARRY: 1 << 10 } as const;
const SSTAT0_WON_ARBITRATION = 0x04;
const RESELECTED = 0x80;

export function inputOutput(core: LsiCore, insn: number, argument: number): void {
  const { state } = core;
  const relative = (insn & RELATIVE) !== 0;
  const elsewhere = (relative ? state.get(REG.DSP) + signed24(argument) : argument) >>> 0;
  switch ((insn >>> 27) & 7) {
    case 0:
      select(core, insn, elsewhere);
      return;
    case 1:
      waitDisconnect(core);
      return;
    case 2:
      waitReselect(core, elsewhere);
      return;
    case 3:
      setFlags(core, insn, true);
      return;
    default:
      setFlags(core, insn, false);
      return;
  }
}

/** SELECT. If a target has come first (we are connected already), the program goes to the alternate address instead. */
function select(core: LsiCore, insn: number, elsewhere: number): void {
  const { state, target } = core;
  let word = insn;
  if (insn & TABLE) {
    word = core.read32((state.get(REG.DSA) + signed24(insn)) >>> 0);
    if (word === BUS_ERROR) {
      core.busFault();
      return;
    }
    state.u8[REG.SCNTL3] = word >>> 24;
    state.u8[REG.SXFER] = word >>> 8;
  }
  const id = (word >>> 16) & 0x0f;
  state.u8[REG.SDID] = id;
  if (target.connected) {
    state.set(REG.DSP, elsewhere);
    return;
  }
  state.u8[REG.SSTAT0] |= SSTAT0_WON_ARBITRATION;
  if (!target.select(id, (insn & WITH_ATN) !== 0)) state.words[WORD.NOBODY] = 1;
}

/** The bus is free as soon as the target's last message has been taken; while it is not, there is something left to wait for. */
function waitDisconnect(core: LsiCore): void {
  const { state, target } = core;
  if (!target.connected) return;
  state.set(REG.DSP, state.get(REG.DSP) - 8);
  state.run = RUN.WAIT_PHASE;
}

function waitReselect(core: LsiCore, elsewhere: number): void {
  const { state, target } = core;
  if (state.u8[REG.ISTAT0] & ISTAT0.SIGP) {
    state.set(REG.DSP, elsewhere);
    return;
  }
  if (target.connected || reselected(core)) return;
  state.words[WORD.ALTERNATE] = elsewhere;
  state.run = RUN.WAIT_RESELECT;
}

/** Lets a target that is ready come back. True when one did. */
export function reselected(core: LsiCore): boolean {
  const { state, target } = core;
  const id = target.reselect();
  if (id < 0) return false;
  state.u8[REG.SSID] = RESELECTED | id;
  if (!(state.u8[REG.DCNTL] & DCNTL.COM)) state.u8[REG.SFBR] = 1 << id; // as the 53C700 did
  state.count[COUNT.RESELECTIONS]++;
  return true;
}

function setFlags(core: LsiCore, insn: number, on: boolean): void {
  const { state, target } = core;
  const lines = (insn & FLAG.ATN ? SBCL.ATN : 0) | (insn & FLAG.ACK ? SBCL.ACK : 0);
  if (on) state.u8[REG.SOCL] |= lines;
  else state.u8[REG.SOCL] &= ~lines;
  if (insn & FLAG.CARRY) state.words[WORD.CARRY] = on ? 1 : 0;
  if (on && insn & FLAG.ATN) target.attention();
}

const FROM_SFBR = 5;
const TO_SFBR = 6;
const USE_SFBR = 1 << 23;

/** Operations between a register, SFBR and eight bits of data. */
export function registerOperation(core: LsiCore, insn: number): void {
  const { state, registers } = core;
  const opcode = (insn >>> 27) & 7;
  const operator = (insn >>> 24) & 7;
  const register = ((insn >>> 16) & 0x7f) | (insn & 0x80);
  const data = (insn >>> 8) & 0xff;
  const sfbr = state.u8[REG.SFBR];
  const right = opcode !== FROM_SFBR && opcode !== TO_SFBR && insn & USE_SFBR ? sfbr : data;
  const needsLeft = operator !== 0 && opcode !== FROM_SFBR;
  const left = needsLeft ? registers.read(register) : sfbr;
  const result = operate(core, operator, left, right);
  if (opcode === TO_SFBR) state.u8[REG.SFBR] = result;
  else registers.write(register, result);
}

function operate(core: LsiCore, operator: number, left: number, right: number): number {
  const { words } = core.state;
  const carry = words[WORD.CARRY];
  switch (operator) {
    case 0:
      return right;
    case 1:
      words[WORD.CARRY] = left >> 7;
      return ((left << 1) | carry) & 0xff;
    case 2:
      return left | right;
    case 3:
      return left ^ right;
    case 4:
      return left & right;
    case 5:
      words[WORD.CARRY] = left & 1;
      return (left >> 1) | (carry << 7);
    default: {
      const sum = left + right + (operator === 7 ? carry : 0);
      words[WORD.CARRY] = sum >> 8;
      return sum & 0xff;
    }
  }
}
