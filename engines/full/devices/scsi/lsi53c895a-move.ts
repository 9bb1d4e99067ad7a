/** SCRIPTS: block moves. Technical Manual, 5.3 (instruction) and 4.x (phase mismatch registers). */
import { BUS_ERROR } from '../device.js';
import { type LsiCore, signed24 } from './lsi53c895a-core.js';
import { CCNTL0, CCNTL1, COUNT, DSTAT, PHASE, REG, RUN, SCNTL2_WSR, SIST0 } from './lsi53c895a-state.js';

const INDIRECT = 1 << 29;
const TABLE = 1 << 28;
/** Bytes of one move that a phase other than data can take: longer ones end in a phase mismatch anyway. */
const CONTROL_MAX = 256;

/** Registers that hold bits 39:32 or 63:32 of an address, by the selector in a table entry (CCNTL1.EN64TIBMV without 64TIMOD). */
const HIGH_SELECTORS: readonly number[] = [
  ...Array.from({ length: 16 }, (_, i) => REG.SCRATCHC + 4 * i),
  REG.MMRS,
  REG.MMWS,
  REG.SFS,
  REG.DRS,
  REG.SBMS,
  REG.DBMS,
];

interface Operand {
  count: number;
  address: number;
  /** Upper byte of the word that held the count: RBC shows it. */
  upper: number;
}

/** `at` is the address of the instruction; DSP stands behind its two words. */
export function blockMove(core: LsiCore, insn: number, argument: number, at: number): void {
  const { state, target } = core;
  if (!fetchOperand(core, insn, argument)) {
    core.busFault();
    return;
  }
  const phase = (insn >>> 24) & 7;
  if (!target.connected) {
    core.scsiInterrupt(SIST0.UDC, 0);
    return;
  }
  if (!target.asks) {
    state.set(REG.DSP, at);
    state.run = RUN.WAIT_PHASE;
    return;
  }
  state.set(REG.IA, at);
  if (operand.count === 0) {
    core.dmaInterrupt(DSTAT.IID);
    return;
  }
  const moved = target.phase === phase ? transfer(core, phase) : 0;
  if (moved === BUS_ERROR) {
    core.busFault();
    return;
  }
  finish(core, moved);
  if (moved < operand.count) mismatch(core, phase);
}

/** Answer of fetchOperand(): used up before the next instruction, on this thread. */
const operand: Operand = { count: 0, address: 0, upper: 0 };

/** False: the table or the pointer is nowhere. */
function fetchOperand(core: LsiCore, insn: number, argument: number): boolean {
  const { state } = core;
  operand.count = insn & 0xff_ffff;
  operand.address = argument;
  operand.upper = insn >>> 24;
  if (insn & INDIRECT) {
    operand.address = core.read32(argument);
  } else if (insn & TABLE) {
    const entry = (state.get(REG.DSA) + signed24(argument)) >>> 0;
    const first = core.read32(entry);
    operand.address = core.read32(entry + 4);
    if (first === BUS_ERROR) return false;
    operand.count = first & 0xff_ffff;
    operand.upper = first >>> 24;
    state.set(REG.ESA, entry);
    operand.address = withHigh(operand.address, tableHigh(core, operand.upper));
  } else if (state.u8[REG.CCNTL1] & CCNTL1.EN64DBMV) {
    const high = core.read32(state.get(REG.DSP));
    state.set(REG.DSP, state.get(REG.DSP) + 4);
    operand.address = high === BUS_ERROR ? BUS_ERROR : withHigh(argument, high);
  }
  return operand.address >= 0;
}

const withHigh = (low: number, high: number): number => (low < 0 ? low : low + high * 2 ** 32);

function tableHigh(core: LsiCore, upper: number): number {
  const mode = core.state.u8[REG.CCNTL1];
  if (!(mode & CCNTL1.EN64TIBMV)) return 0;
  if (mode & CCNTL1.TIMOD64) return upper; // 40-bit addresses
  const register = HIGH_SELECTORS[upper & 0x1f];
  return register === undefined ? 0 : core.state.get(register);
}

/** Bytes moved, or BUS_ERROR with nothing moved. */
function transfer(core: LsiCore, phase: number): number {
  const { target } = core;
  if (phase === PHASE.DATA_IN || phase === PHASE.DATA_OUT) {
    const count = Math.min(operand.count, target.remaining);
    const piece = core.locate(operand.address, count);
    if (piece === undefined) return BUS_ERROR;
    const reply = piece.offset;
    const moved = target.data(piece, count);
    if (phase === PHASE.DATA_IN) core.state.u8[REG.SFBR] = piece.buffer[reply];
    return moved;
  }
  return control(core, phase);
}

/** Command, status and messages: a few bytes, copied through the chip. */
function control(core: LsiCore, phase: number): number {
  const { target, state } = core;
  const wanted = phase === PHASE.STATUS ? 1 : Math.min(operand.count, CONTROL_MAX);
  const piece = core.locate(operand.address, wanted);
  if (piece === undefined) return BUS_ERROR;
  const { buffer, offset } = piece;
  switch (phase) {
    case PHASE.COMMAND:
      state.u8[REG.SFBR] = buffer[offset];
      state.count[COUNT.COMMANDS]++;
      return target.command(buffer, offset, wanted);
    case PHASE.MESSAGE_OUT:
      state.u8[REG.SFBR] = buffer[offset + wanted - 1];
      target.messageOut(buffer, offset, wanted);
      return wanted;
    case PHASE.STATUS:
      buffer[offset] = target.status();
      state.u8[REG.SFBR] = buffer[offset];
      return 1;
    case PHASE.MESSAGE_IN:
      return messagesIn(core, buffer, offset, wanted);
    default:
      return 0;
  }
}

function messagesIn(core: LsiCore, buffer: Uint8Array, offset: number, wanted: number): number {
  const { target, state } = core;
  let count = 0;
  while (count < wanted) {
    const byte = target.messageIn();
    if (byte < 0) break;
    if (count === 0) state.u8[REG.SFBR] = byte;
    state.u8[REG.SIDL] = byte; // drivers look for a tag here
    buffer[offset + count++] = byte;
  }
  return count;
}

function finish(core: LsiCore, moved: number): void {
  const { state } = core;
  const left = operand.count - moved;
  const low = operand.address % 2 ** 32;
  state.dbc = left;
  state.set(REG.DNAD, low + moved);
  state.set(REG.DNAD64, Math.floor(operand.address / 2 ** 32));
  state.set(REG.RBC, ((operand.upper << 24) | left) >>> 0);
  state.set(REG.UA, low + moved);
  state.set(REG.SBC, moved);
  state.set(REG.CSBC, state.get(REG.CSBC) + moved);
}

/** The target wants something else than the rest of this move. In a data phase the program may handle that itself (CCNTL0.ENPMJ). */
function mismatch(core: LsiCore, phase: number): void {
  const { state, target } = core;
  if (!target.connected) {
    core.scsiInterrupt(SIST0.UDC, 0);
    return;
  }
  const control = state.u8[REG.CCNTL0];
  const data = phase === PHASE.DATA_IN || phase === PHASE.DATA_OUT;
  if (!data || !(control & CCNTL0.ENPMJ)) {
    core.scsiInterrupt(SIST0.MA, 0);
    return;
  }
  const second = control & CCNTL0.PMJCTL ? phase === PHASE.DATA_IN : (state.u8[REG.SCNTL2] & SCNTL2_WSR) !== 0;
  state.set(REG.DSP, state.get(second ? REG.PMJAD2 : REG.PMJAD1));
}
