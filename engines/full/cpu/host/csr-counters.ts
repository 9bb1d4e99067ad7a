import { OFFSET } from '../layout.js';
import type { HartContext } from './context.js';
import type { Csr, Word64 } from './csr.js';
import { fixed, plain } from './csr.js';
import { MODE } from './status.js';

const FIRST_EVENT_COUNTER = 3;
const COUNTERS = 32;

/**
 * Counters (privileged specification, 3.1.10 to 3.1.12; Zicntr). A cycle is an instruction. mcountinhibit is fixed at
 * 0; the event counters exist and stay 0.
 */
export function counterCsrs(hart: HartContext): [number, Csr][] {
  const permitted = (index: number) => (): boolean => {
    const privilege = hart.get(OFFSET.privilege);
    const bit = 1 << index;
    if (privilege !== MODE.M && (hart.get(OFFSET.mcounteren) & bit) === 0) return false;
    return privilege !== MODE.U || (hart.get(OFFSET.scounteren) & bit) !== 0;
  };
  const cycle = retired(hart, OFFSET.cycleDelta);
  const instret = retired(hart, OFFSET.instretDelta);
  const time: Csr = {
    read: (out) => {
      const ticks = hart.bus.time();
      out.high = (ticks / 2 ** 32) | 0;
      out.low = ticks - out.high * 2 ** 32;
    },
    write: () => false,
  };
  const user = (index: number, csr: Csr): [number, Csr] => [0xc00 + index, { ...csr, allowed: permitted(index) }];
  const list: [number, Csr][] = [
    [0xb00, cycle],
    [0xb02, instret],
    user(0, cycle),
    user(1, time),
    user(2, instret),
    [0x306, plain(hart, OFFSET.mcounteren, -1, 0)],
    [0x106, plain(hart, OFFSET.scounteren, -1, 0)],
    [0x320, fixed(0)],
  ];
  for (let index = FIRST_EVENT_COUNTER; index < COUNTERS; index++) {
    list.push([0xb00 + index, fixed(0)], [0x320 + index, fixed(0)], user(index, fixed(0)));
  }
  return list;
}

/** Instructions retired before this one, plus what was added by writing the register. */
function retired(hart: HartContext, delta: number): Csr {
  const now = (): bigint => {
    const inSlice = hart.get(OFFSET.sliceLength) - hart.get(OFFSET.count);
    return BigInt(hart.f64[(hart.base + OFFSET.instret) >> 3] + inSlice);
  };
  const read = (out: Word64): void => {
    const value = now() + hart.view.getBigInt64(hart.base + delta, true);
    out.low = Number(BigInt.asIntN(32, value));
    out.high = Number(BigInt.asIntN(32, value >> 32n));
  };
  return {
    read,
    write: (low, high) => {
      // The write itself is not counted: the next instruction reads what was written (3.1.10).
      const value = (BigInt(high) << 32n) | BigInt(low >>> 0);
      hart.view.setBigInt64(hart.base + delta, value - now() - 1n, true);
      return false;
    },
  };
}
