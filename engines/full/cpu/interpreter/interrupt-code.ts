import { MODE, MSTATUS } from '../host/status.js';
import { EVENT, IRQ, OFFSET } from '../layout.js';
import type { Body, Local } from '../wasm/body.js';
import { type I32, type I64, i32, i64, select } from '../wasm/value.js';
import { INTERRUPT_CSR } from './fast-csr.js';
import { countEvent } from './region-support.js';

/** Interrupts as WebAssembly: what ../host/traps.ts and ../host/csr-traps.ts do, for the hart that sleeps and is woken all the time. */

const SUPERVISOR = IRQ.SSIP | IRQ.STIP | IRQ.SEIP;
const IMPLEMENTED = SUPERVISOR | IRQ.MSIP | IRQ.MTIP | IRQ.MEIP;
/** From highest to lowest priority (privileged specification, 3.1.9). */
const PRIORITY = [IRQ.MEIP, IRQ.MSIP, IRQ.MTIP, IRQ.SEIP, IRQ.SSIP, IRQ.STIP];
/** Bit 31 of menvcfg's upper word. */
const STCE = 1 << 31;

const not = (value: I32): I32 => i32.xor(value, i32.const(-1));

function pendingInterrupts(base: I32): I32 {
  return i32.or(i32.atomicLoad(i32.add(base, i32.const(OFFSET.irqLines))), i32.load(base, OFFSET.mipSoft));
}

/** Interrupts that may be taken now, all bound for one mode; 0: none. See Traps.interrupt. */
export function takeableInterrupts(body: Body, base: I32): Local<'i32'> {
  const taken = body.local('i32', i32.const(0));
  const wanted = body.keep(i32.and(pendingInterrupts(base), i32.load(base, OFFSET.mie)));
  body.if(wanted, () => {
    const privilege = body.keep(i32.load(base, OFFSET.privilege));
    const status = body.keep(i32.load(base, OFFSET.mstatus));
    const allows = (mode: number, enable: number): I32 =>
      i32.or(
        i32.ltU(privilege, i32.const(mode)),
        i32.and(i32.eq(privilege, i32.const(mode)), i32.ne(i32.and(status, i32.const(enable)), i32.const(0))),
      );
    const delegated = body.keep(i32.load(base, OFFSET.mideleg));
    body.if(allows(MODE.M, MSTATUS.MIE), () => body.set(taken, i32.and(wanted, not(delegated))));
    body.if(i32.and(i32.eqz(taken), allows(MODE.S, MSTATUS.SIE)), () => body.set(taken, i32.and(wanted, delegated)));
  });
  return taken;
}

/** The number of the most urgent of some interrupts, which it counts as taken. */
export function urgentInterrupt(body: Body, base: Local<'i32'>, taken: Local<'i32'>): Local<'i32'> {
  const cause = body.local('i32', i32.const(0));
  for (const bit of [...PRIORITY].reverse()) {
    body.if(i32.and(taken, i32.const(bit)), () => body.set(cause, i32.const(31 - Math.clz32(bit))));
  }
  countEvent(body, base, EVENT.interrupts);
  const counter = i32.shl(i32.shrU(i32.sub(cause, i32.const(1)), i32.const(1)), i32.const(3));
  countEvent(body, body.keep(i32.add(base, counter)), EVENT.interruptsSsip);
  return cause;
}

const is = (number: I32, ...which: number[]): I32 =>
  which.map((each) => i32.eq(number, i32.const(each))).reduce(i32.or);

/** What is seen in one of INTERRUPT_CSR: all of it, or what is delegated. */
function visible(base: I32, number: Local<'i32'>): I32 {
  const { sip, sie } = INTERRUPT_CSR;
  return select(is(number, sip, sie), i32.load(base, OFFSET.mideleg), i32.const(IMPLEMENTED));
}

/** readInterrupts(stateBase, number). */
export function defineReadInterrupts(body: Body): void {
  const base = body.parameter(0, 'i32');
  const number = body.parameter(1, 'i32');
  const { sie, mie } = INTERRUPT_CSR;
  const all = select(is(number, sie, mie), i32.load(base, OFFSET.mie), pendingInterrupts(base));
  body.return(i64.extendU(i32.and(all, visible(base, number))));
  body.unreachable();
}

/** changeInterrupts(stateBase, number, keep, or): set and clear must not turn what a line says into what software says. */
export function defineChangeInterrupts(body: Body): void {
  const base = body.parameter(0, 'i32');
  const number = body.parameter(1, 'i32');
  const { mip, sie, mie } = INTERRUPT_CSR;
  const write = (offset: number, mask: Local<'i32'>): void => {
    const old = body.keep(i32.load(base, offset));
    const changed = i32.or(i32.and(old, body.parameter(2, 'i32')), body.parameter(3, 'i32'));
    const now = i32.or(i32.and(old, not(mask)), i32.and(changed, mask));
    body.store('i32', base, now, offset);
  };
  body.if(
    is(number, sie, mie),
    () => write(OFFSET.mie, body.keep(visible(base, number))),
    () => {
      const timer = i32.and(i32.load(base, OFFSET.menvcfg + 4), i32.const(STCE));
      const ofMachine = select(timer, i32.const(SUPERVISOR & ~IRQ.STIP), i32.const(SUPERVISOR));
      const ofSupervisor = i32.and(i32.load(base, OFFSET.mideleg), i32.const(IRQ.SSIP));
      write(OFFSET.mipSoft, body.keep(select(is(number, mip), ofMachine, ofSupervisor)));
    },
  );
  body.return(i32.ne(takeableInterrupts(body, base), i32.const(0)));
  body.unreachable();
}

/** What a CSR instruction keeps of the old value, and what it adds. */
export const keptAndAdded = (operation: 'write' | 'set' | 'clear', operand: I64): { keep: I32; or: I32 } => {
  const low = i32.wrap(operand);
  if (operation === 'write') return { keep: i32.const(0), or: low };
  return operation === 'set' ? { keep: i32.const(-1), or: low } : { keep: not(low), or: i32.const(0) };
};
