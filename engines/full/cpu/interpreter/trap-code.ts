import { MODE, MSTATUS, STATUS_CSR } from '../host/status.js';
import { EVENT, JUMP, OFFSET, TLB } from '../layout.js';
import type { Body, FunctionRef, Local } from '../wasm/body.js';
import type { ModuleBuilder } from '../wasm/module.js';
import { type I32, type I64, i32, i64, select, type ValueType } from '../wasm/value.js';
import { defineChangeInterrupts, defineReadInterrupts, takeableInterrupts, urgentInterrupt } from './interrupt-code.js';
import { countEvent } from './region-support.js';

/**
 * The frequent part of ../host/traps.ts and ../host/csr-status.ts as WebAssembly: operating systems live on system calls,
 * returns from traps and sstatus, and a call of JavaScript costs more than what it does. Whatever is rare is left to the
 * host: the functions give 0 then, and have changed nothing.
 */
const SIGNATURES = {
  /** selectTlbs(stateBase): see TlbControl.select. */
  selectTlbs: { parameters: ['i32'], results: [] },
  /**
   * environmentCall(stateBase): takes the exception of the ecall at OFFSET.pc. The caller subtracts 1 from its count: the
   * slice pays for what is not retired.
   */
  environmentCall: { parameters: ['i32'], results: [] },
  /** supervisorReturn(stateBase), machineReturn(stateBase): 1 when OFFSET.pc is where execution goes on. */
  supervisorReturn: { parameters: ['i32'], results: ['i32'] },
  machineReturn: { parameters: ['i32'], results: ['i32'] },
  /** readStatus(stateBase, privilege): sstatus (1) or mstatus (3). */
  readStatus: { parameters: ['i32', 'i32'], results: ['i64'] },
  /** writeStatus(stateBase, privilege, low word): 1 when it is written, 2 when an interrupt is possible then as well. */
  writeStatus: { parameters: ['i32', 'i32', 'i32'], results: ['i32'] },
  /** readInterrupts(stateBase, number): one of INTERRUPT_CSR. */
  readInterrupts: { parameters: ['i32', 'i32'], results: ['i64'] },
  /** changeInterrupts(stateBase, number, keep, or): old value & keep | or; 1 when an interrupt is possible then. */
  changeInterrupts: { parameters: ['i32', 'i32', 'i32', 'i32'], results: ['i32'] },
  /** takeInterrupt(stateBase): the most urgent interrupt that is possible now, at OFFSET.pc; 0: there is none. */
  takeInterrupt: { parameters: ['i32'], results: ['i32'] },
} as const satisfies Record<string, { parameters: readonly ValueType[]; results: readonly ValueType[] }>;

export type TrapFunctions = Record<keyof typeof SIGNATURES, FunctionRef>;
/** What the module exports. */
export type TrapExports = Record<keyof typeof SIGNATURES, WebAssembly.ExportValue>;

/** Imports the functions into another module, from `cpu`. */
export function importTraps(module: ModuleBuilder): TrapFunctions {
  return mapSignatures(([name, signature]) => module.importIfUsed('cpu', name, signature));
}

/** Defines and exports them. */
export function exportTraps(module: ModuleBuilder): TrapFunctions {
  const declared = mapSignatures(([, { parameters, results }]) => module.declare(parameters, results));
  const build: Record<keyof typeof SIGNATURES, (body: Body) => void> = {
    selectTlbs: defineSelect,
    environmentCall: (body) => defineEnvironmentCall(body, declared.selectTlbs),
    supervisorReturn: (body) => defineReturn(body, SUPERVISOR, declared),
    machineReturn: (body) => defineReturn(body, MACHINE, declared),
    readStatus: defineReadStatus,
    writeStatus: (body) => defineWriteStatus(body, declared.selectTlbs),
    readInterrupts: defineReadInterrupts,
    changeInterrupts: defineChangeInterrupts,
    takeInterrupt: (body) => defineTakeInterrupt(body, declared.selectTlbs),
  };
  for (const name of Object.keys(SIGNATURES) as (keyof typeof SIGNATURES)[]) {
    module.define(declared[name], build[name]);
    module.export(name, declared[name]);
  }
  return declared;
}

function mapSignatures<T>(
  make: (entry: [string, (typeof SIGNATURES)[keyof typeof SIGNATURES]]) => T,
): Record<keyof typeof SIGNATURES, T> {
  const entries = Object.entries(SIGNATURES).map((entry) => [entry[0], make(entry)]);
  return Object.fromEntries(entries) as Record<keyof typeof SIGNATURES, T>;
}

/** Registers and bits of a trap to one mode, and of the return from it. */
interface Target {
  readonly mode: number;
  readonly epc: number;
  readonly cause: number;
  readonly tval: number;
  readonly tvec: number;
  /** Interrupt enable; the previous one lies 4 bits above. */
  readonly enable: number;
  readonly previousMode: number;
  readonly previousModeShift: number;
}

const SUPERVISOR: Target = {
  mode: MODE.S,
  epc: OFFSET.sepc,
  cause: OFFSET.scause,
  tval: OFFSET.stval,
  tvec: OFFSET.stvec,
  enable: MSTATUS.SIE,
  previousMode: MSTATUS.SPP,
  previousModeShift: 8,
};

const MACHINE: Target = {
  mode: MODE.M,
  epc: OFFSET.mepc,
  cause: OFFSET.mcause,
  tval: OFFSET.mtval,
  tvec: OFFSET.mtvec,
  enable: MSTATUS.MIE,
  previousMode: MSTATUS.MPP,
  previousModeShift: 11,
};

const masked = (value: I32, mask: number): I32 => i32.and(value, i32.const(mask));

function defineSelect(body: Body): void {
  const base = body.parameter(0, 'i32');
  const { user, supervisor, machine, supervisorUserMemory } = TLB.contexts;
  const privilege = body.keep(i32.load(base, OFFSET.privilege));
  const status = body.keep(i32.load(base, OFFSET.mstatus));
  const isMachine = body.keep(i32.eq(privilege, i32.const(MODE.M)));
  const mode = body.local('i32', privilege);
  body.if(i32.and(isMachine, i32.ne(masked(status, MSTATUS.MPRV), i32.const(0))), () =>
    body.set(mode, i32.shrU(masked(status, MSTATUS.MPP), i32.const(MACHINE.previousModeShift))),
  );
  const data = body.local('i32', i32.const(user));
  body.if(i32.eq(mode, i32.const(MODE.M)), () => body.set(data, i32.const(machine)));
  body.if(i32.eq(mode, i32.const(MODE.S)), () => {
    const sum = masked(status, MSTATUS.SUM);
    body.set(data, select(sum, i32.const(supervisorUserMemory), i32.const(supervisor)));
  });
  const fetches = body.keep(select(isMachine, i32.const(machine), privilege));
  const chosen = (table: (context: number) => number, context: I32): I32 => {
    const offset = i32.mul(context, i32.const(table(1) - table(0)));
    return i32.add(i32.add(base, i32.const(table(0))), offset);
  };
  body.store('i32', base, chosen(TLB.readTable, data), OFFSET.tlbRead);
  body.store('i32', base, chosen(TLB.writeTable, data), OFFSET.tlbWrite);
  body.store('i32', base, chosen(TLB.executeTable, fetches), OFFSET.tlbExecute);
  body.store('i32', base, chosen(JUMP.table, fetches), OFFSET.jumps);
}

/** The mode changes: as Traps.switchTo. */
function switchTo(body: Body, base: I32, mode: I32, selectTlbs: FunctionRef): void {
  body.store('i32', base, mode, OFFSET.privilege);
  body.store('i32', base, i32.const(0), OFFSET.reservation);
  body.callVoid(selectTlbs, base);
}

function defineEnvironmentCall(body: Body, selectTlbs: FunctionRef): void {
  const base = body.parameter(0, 'i32');
  countEvent(body, base, EVENT.exceptions);
  for (const each of [OFFSET.sliceLength, OFFSET.budget]) {
    body.store('i32', base, i32.sub(i32.load(base, each), i32.const(1)), each);
  }
  const privilege = body.keep(i32.load(base, OFFSET.privilege));
  // Environment calls are exceptions 8, 9 and 11: 8 and the mode.
  const cause = body.keep(i32.add(privilege, i32.const(8)));
  const delegated = masked(i32.shrU(i32.load(base, OFFSET.medeleg), cause), 1);
  const toSupervisor = i32.and(delegated, i32.ne(privilege, i32.const(MODE.M)));
  const enter = (target: Target): void => {
    enterTrap(body, base, target, i64.extendU(cause));
    body.store('i64', base, i64.and(i64.load(base, target.tvec), i64.const(-4)), OFFSET.pc);
    switchTo(body, base, i32.const(target.mode), selectTlbs);
  };
  body.if(
    toSupervisor,
    () => enter(SUPERVISOR),
    () => enter(MACHINE),
  );
}

/** What a trap at OFFSET.pc leaves in the registers of its target, but for where it goes on. */
function enterTrap(body: Body, base: I32, target: Target, cause: I64): void {
  const status = body.keep(i32.load(base, OFFSET.mstatus));
  body.store('i64', base, i64.load(base, OFFSET.pc), target.epc);
  body.store('i64', base, cause, target.cause);
  body.store('i64', base, i64.const(0), target.tval);
  const kept = masked(status, ~(target.enable | (target.enable << 4) | target.previousMode));
  const enabled = i32.shl(masked(status, target.enable), i32.const(4));
  const from = i32.shl(i32.load(base, OFFSET.privilege), i32.const(target.previousModeShift));
  body.store('i32', base, i32.or(i32.or(kept, enabled), from), OFFSET.mstatus);
}

const INTERRUPT = -(2n ** 63n);

function defineTakeInterrupt(body: Body, selectTlbs: FunctionRef): void {
  const base = body.parameter(0, 'i32');
  const taken = takeableInterrupts(body, base);
  body.if(i32.eqz(taken), () => body.return(i32.const(0)));
  const cause = urgentInterrupt(body, base, taken);
  const enter = (target: Target): void => {
    enterTrap(body, base, target, i64.or(i64.extendU(cause), i64.const(INTERRUPT)));
    const tvec = body.keep(i64.load(base, target.tvec));
    // Vectored mode, bit 0, sends interrupts to base + 4 * cause.
    const further = i32.mul(i32.shl(cause, i32.const(2)), i32.and(i32.wrap(tvec), i32.const(1)));
    body.store('i64', base, i64.add(i64.and(tvec, i64.const(-4)), i64.extendU(further)), OFFSET.pc);
    switchTo(body, base, i32.const(target.mode), selectTlbs);
  };
  // All that are taken are bound for one mode.
  body.if(
    i32.and(taken, i32.load(base, OFFSET.mideleg)),
    () => enter(SUPERVISOR),
    () => enter(MACHINE),
  );
  body.return(i32.const(1));
  body.unreachable();
}

function defineReturn(body: Body, target: Target, { selectTlbs, takeInterrupt }: TrapFunctions): void {
  const base = body.parameter(0, 'i32');
  const status = body.keep(i32.load(base, OFFSET.mstatus));
  const giveUpIf = (condition: I32): void => body.if(condition, () => body.return(i32.const(0)));
  const privilege = body.keep(i32.load(base, OFFSET.privilege));
  giveUpIf(i32.ne(privilege, i32.const(target.mode)));
  if (target.mode === MODE.S) giveUpIf(masked(status, MSTATUS.TSR));
  const mode = body.keep(i32.shrU(masked(status, target.previousMode), i32.const(target.previousModeShift)));
  const enabled = i32.shrU(masked(status, target.enable << 4), i32.const(4));
  const lends = select(i32.eq(mode, i32.const(MODE.M)), i32.const(MSTATUS.MPRV), i32.const(0));
  const keeps = i32.or(i32.const(~(target.enable | target.previousMode | MSTATUS.MPRV)), lends);
  const now = i32.or(i32.or(i32.and(status, keeps), enabled), i32.const(target.enable << 4));
  body.store('i32', base, now, OFFSET.mstatus);
  body.store('i64', base, i64.load(base, target.epc), OFFSET.pc);
  switchTo(body, base, mode, selectTlbs);
  body.keep(body.call('i32', takeInterrupt, base));
  body.return(i32.const(1));
  body.unreachable();
}

/** mstatus with FS as it is: see currentStatus in ../host/csr-status.ts. */
function currentStatus(body: Body, base: I32): Local<'i32'> {
  const dirty = select(i32.load(base, OFFSET.fpDirty), i32.const(MSTATUS.FS), i32.const(0));
  return body.keep(i32.or(i32.load(base, OFFSET.mstatus), dirty));
}

const { machine: M_CSR, supervisor: S_CSR } = STATUS_CSR;

function defineReadStatus(body: Body): void {
  const base = body.parameter(0, 'i32');
  const machine = body.keep(i32.eq(body.parameter(1, 'i32'), i32.const(MODE.M)));
  const status = currentStatus(body, base);
  const choose = (ofMachine: number, ofSupervisor: number): I32 =>
    select(machine, i32.const(ofMachine), i32.const(ofSupervisor));
  const dirty = i32.eq(masked(status, MSTATUS.FS), i32.const(MSTATUS.FS));
  const high = i32.or(choose(M_CSR.xl, S_CSR.xl), i32.shl(dirty, i32.const(31)));
  const low = i32.and(status, choose(M_CSR.writable, S_CSR.writable));
  body.return(i64.or(i64.shl(i64.extendU(high), i64.const(32)), i64.extendU(low)));
  body.unreachable();
}

/** Bits whose change has no consequences but those that writeStatus sees to. */
const SIMPLE = MSTATUS.SIE | MSTATUS.MIE | MSTATUS.SPIE | MSTATUS.MPIE | MSTATUS.SPP | MSTATUS.FS | MSTATUS.SUM;

function defineWriteStatus(body: Body, selectTlbs: FunctionRef): void {
  const base = body.parameter(0, 'i32');
  const machine = i32.eq(body.parameter(1, 'i32'), i32.const(MODE.M));
  const mask = body.keep(select(machine, i32.const(M_CSR.writable), i32.const(S_CSR.writable)));
  const status = currentStatus(body, base);
  const kept = i32.and(status, i32.xor(mask, i32.const(-1)));
  const wanted = body.keep(i32.or(kept, i32.and(body.parameter(2, 'i32'), mask)));
  const changed = body.keep(i32.xor(status, wanted));
  body.if(masked(changed, ~SIMPLE), () => body.return(i32.const(0)));
  body.store('i32', base, wanted, OFFSET.mstatus);
  body.store('i32', base, i32.const(0), OFFSET.fpDirty);
  body.store('i32', base, i32.ne(masked(wanted, MSTATUS.FS), i32.const(0)), OFFSET.fpEnabled);
  body.if(masked(changed, MSTATUS.SUM), () => body.callVoid(selectTlbs, base));
  body.if(i32.and(changed, masked(wanted, MSTATUS.SIE | MSTATUS.MIE)), () =>
    body.if(takeableInterrupts(body, base), () => body.return(i32.const(2))),
  );
  body.return(i32.const(1));
  body.unreachable();
}
