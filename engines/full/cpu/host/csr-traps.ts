import { IRQ, OFFSET } from '../layout.js';
import type { HartContext } from './context.js';
import { type Csr, plain, type Word64, withEffect } from './csr.js';
import { SupervisorTimer } from './supervisor-timer.js';
import type { Traps } from './traps.js';

const SUPERVISOR = IRQ.SSIP | IRQ.STIP | IRQ.SEIP;
const IMPLEMENTED = SUPERVISOR | IRQ.MSIP | IRQ.MTIP | IRQ.MEIP;
/** Exceptions that can be delegated: all but the environment call from M-mode and the reserved ones. */
const DELEGABLE = 0xb3ff;
/** Addresses of instructions have bit 0 clear (IALIGN = 16). */
const EVEN = ~1;

const small = (out: Word64, low: number): void => {
  out.low = low;
  out.high = 0;
};

/** mtvec and stvec: direct and vectored; bit 1 is reserved, as 0. */
const vector = (hart: HartContext, offset: number): Csr => plain(hart, offset, ~2);

/** mip and sip (3.1.9, 4.1.3): lines and software bits together; `visible` by mideleg for sip. */
function pending(hart: HartContext, traps: Traps, visible: () => number, writable: () => number): Csr {
  return {
    read: (out) => small(out, traps.pending() & visible()),
    // Set and clear must not turn what a line says into what software says.
    readForChange: (out) => small(out, hart.get(OFFSET.mipSoft)),
    write: (low) => {
      const mask = writable();
      hart.set(OFFSET.mipSoft, (hart.get(OFFSET.mipSoft) & ~mask) | (low & mask));
      return true;
    },
  };
}

/** mie and sie. */
function enabled(hart: HartContext, visible: () => number): Csr {
  return {
    read: (out) => small(out, hart.get(OFFSET.mie) & visible()),
    write: (low) => {
      const mask = visible();
      hart.set(OFFSET.mie, (hart.get(OFFSET.mie) & ~mask) | (low & mask));
      return true;
    },
  };
}

/** Trap setup and trap handling of M and S (3.1, 4.1). */
export function trapCsrs(hart: HartContext, traps: Traps): [number, Csr][] {
  const all = () => IMPLEMENTED;
  const timer = new SupervisorTimer(hart.i32, hart.at);
  const delegated = () => hart.get(OFFSET.mideleg);
  return [
    [0x302, plain(hart, OFFSET.medeleg, DELEGABLE, 0)],
    [0x303, withEffect(plain(hart, OFFSET.mideleg, SUPERVISOR, 0), () => true)],
    [0x304, enabled(hart, all)],
    [0x104, enabled(hart, delegated)],
    [0x344, pending(hart, traps, all, () => (timer.enabled ? SUPERVISOR & ~IRQ.STIP : SUPERVISOR))],
    [0x144, pending(hart, traps, delegated, () => IRQ.SSIP & delegated())],
    [0x305, vector(hart, OFFSET.mtvec)],
    [0x105, vector(hart, OFFSET.stvec)],
    [0x340, plain(hart, OFFSET.mscratch)],
    [0x140, plain(hart, OFFSET.sscratch)],
    [0x341, plain(hart, OFFSET.mepc, EVEN)],
    [0x141, plain(hart, OFFSET.sepc, EVEN)],
    [0x342, plain(hart, OFFSET.mcause)],
    [0x142, plain(hart, OFFSET.scause)],
    [0x343, plain(hart, OFFSET.mtval)],
    [0x143, plain(hart, OFFSET.stval)],
  ];
}
