import { OFFSET } from '../layout.js';
import type { HartContext } from './context.js';
import { type Csr, fixed, plain } from './csr.js';
import { counterCsrs } from './csr-counters.js';
import { environmentCsrs } from './csr-environment.js';
import { statusCsrs } from './csr-status.js';
import { trapCsrs } from './csr-traps.js';
import type { Pmp } from './pmp.js';
import type { TlbControl } from './tlb.js';
import type { Traps } from './traps.js';

const letters = (names: string): number =>
  [...names].reduce((bits, name) => bits | (1 << (name.charCodeAt(0) - 65)), 0);
/** MXL is 64 bits. */
const MISA = { low: letters('ACDFIMSU'), high: 2 << 30 };

/** Eight entries a register; RV64 has the even-numbered ones only (3.7.1). */
function pmpConfig(hart: HartContext, pmp: Pmp, tlb: TlbControl, first: number): Csr {
  const byte = (low: number, high: number, index: number): number =>
    ((index < 4 ? low : high) >>> ((index & 3) * 8)) & 0xff;
  return {
    read: plain(hart, OFFSET.pmpcfg + first).read,
    write: (low, high) => {
      for (let index = 0; index < 8; index++) pmp.writeConfig(first + index, byte(low, high, index));
      pmp.update();
      tlb.flushAll();
      return true;
    },
  };
}

function pmpAddress(hart: HartContext, pmp: Pmp, tlb: TlbControl, entry: number): Csr {
  return {
    read: plain(hart, OFFSET.pmpaddr + entry * 8).read,
    write: (low, high) => {
      pmp.writeAddress(entry, low, high);
      pmp.update();
      tlb.flushAll();
      return true;
    },
  };
}

function identity(hart: HartContext): [number, Csr][] {
  return [
    [0xf11, fixed(0)], // mvendorid: not implemented
    [0xf12, fixed(0)], // marchid
    [0xf13, fixed(0)], // mimpid
    [0xf14, fixed(hart.hartId)],
    [0xf15, fixed(0)], // mconfigptr
    [0x301, fixed(MISA.low, MISA.high)],
  ];
}

/**
 * The trigger module without a trigger (RISC-V debug specification 1.0, 5.7.1 to 5.7.6): trigger 0 alone can be selected, its
 * type is 0, "there is no trigger at this tselect". The registers are optional then; who looks for triggers expects them.
 */
function triggers(): [number, Csr][] {
  return [
    [0x7a0, fixed(0)], // tselect
    [0x7a1, fixed(0)], // tdata1
    [0x7a2, fixed(0)], // tdata2
    [0x7a3, fixed(0)], // tdata3
    [0x7a4, fixed(1)], // tinfo: none of the types
  ];
}

/** All CSRs that exist; the others are illegal. */
export function buildCsrs(hart: HartContext, traps: Traps, tlb: TlbControl, pmp: Pmp): ReadonlyMap<number, Csr> {
  const entries = [
    ...identity(hart),
    ...triggers(),
    ...environmentCsrs(hart),
    ...counterCsrs(hart),
    ...statusCsrs(hart, tlb),
    ...trapCsrs(hart, traps),
    [0x3a0, pmpConfig(hart, pmp, tlb, 0)] as [number, Csr],
    [0x3a2, pmpConfig(hart, pmp, tlb, 8)] as [number, Csr],
    ...Array.from({ length: 16 }, (_, entry): [number, Csr] => [0x3b0 + entry, pmpAddress(hart, pmp, tlb, entry)]),
  ];
  return new Map(entries);
}
