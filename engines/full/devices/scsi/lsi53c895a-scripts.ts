/**
 * The SCRIPTS processor: fetches, decodes, counts. Technical Manual, chapter 5. The classes of instructions are in the files
 * beside this one.
 */
import { BUS_ERROR } from '../device.js';
import { transferControl } from './lsi53c895a-control.js';
import type { LsiCore } from './lsi53c895a-core.js';
import { inputOutput, registerOperation } from './lsi53c895a-io.js';
import { loadStore, memoryMove } from './lsi53c895a-memory.js';
import { blockMove } from './lsi53c895a-move.js';
import { COUNT, DCNTL, DSTAT, REG, RUN, SIST1, WORD } from './lsi53c895a-state.js';

/**
 * Instructions that the program may run before the guest runs again: a program that spins on a memory word, waiting for the guest,
 * would else wait for ever. A command of our driver takes about 50.
 */
export const INSTRUCTION_BUDGET = 4000;

/** Runs until the program stops, waits, or has used up its budget (then it is SUSPENDED). */
export function runScripts(core: LsiCore): void {
  const { state } = core;
  core.refresh();
  let left = INSTRUCTION_BUDGET;
  while (state.run === RUN.RUNNING) {
    if (left <= 0) {
      state.run = RUN.SUSPENDED;
      state.count[COUNT.SUSPENSIONS]++;
      break;
    }
    left -= step(core);
  }
  if (state.words[WORD.NOBODY]) selectionTimeout(core);
  state.count[COUNT.INSTRUCTIONS] += INSTRUCTION_BUDGET - left;
}

const LOAD_STORE = 1 << 29;
const FIRST_REGISTER_OPERATION = 5;

/** One instruction; what it costs of the budget. */
function step(core: LsiCore): number {
  const { state } = core;
  const at = state.get(REG.DSP);
  const insn = core.read32(at);
  const argument = core.read32(at + 4);
  if (insn === BUS_ERROR || argument === BUS_ERROR) {
    core.busFault();
    return 1;
  }
  state.set(REG.DSPS, argument);
  state.u8[REG.DCMD] = insn >>> 24;
  state.set(REG.DSP, at + 8);
  if (state.words[WORD.NOBODY] && needsBus(insn)) {
    selectionTimeout(core);
    return 1;
  }
  const cost = execute(core, insn, argument, at);
  if (state.u8[REG.DCNTL] & DCNTL.SSM && state.run === RUN.RUNNING) core.dmaInterrupt(DSTAT.SSI);
  return cost;
}

const COMPARES_PHASE = 1 << 17;

/**
 * After SELECT the chip runs on while the target has time to answer (5.4.2). Linux's driver insists on that: it takes a timeout for
 * one only if DSP stands behind the instruction that waits for the target's first phase.
 */
function needsBus(insn: number): boolean {
  switch (insn >>> 30) {
    case 0:
      return true;
    case 1:
      return ((insn >>> 27) & 7) < FIRST_REGISTER_OPERATION;
    case 2:
      return (insn & COMPARES_PHASE) !== 0;
    default:
      return false;
  }
}

/** Our time is up as soon as it matters, or when the program has come to a stop. */
function selectionTimeout(core: LsiCore): void {
  core.state.words[WORD.NOBODY] = 0;
  core.scsiInterrupt(0, SIST1.STO);
}

function execute(core: LsiCore, insn: number, argument: number, at: number): number {
  switch (insn >>> 30) {
    case 0:
      blockMove(core, insn, argument, at);
      return 1;
    case 1:
      if (((insn >>> 27) & 7) < FIRST_REGISTER_OPERATION) inputOutput(core, insn, argument);
      else registerOperation(core, insn);
      return 1;
    case 2:
      transferControl(core, insn, argument, at);
      return 1;
    default:
      if (!(insn & LOAD_STORE)) return memoryMove(core, insn, argument);
      loadStore(core, insn, argument);
      return 1;
  }
}
