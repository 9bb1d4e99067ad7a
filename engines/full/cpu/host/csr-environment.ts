import { IRQ, OFFSET } from '../layout.js';
import type { HartContext } from './context.js';
import { type Csr, plain } from './csr.js';
import { MODE } from './status.js';
import { STCE, SupervisorTimer } from './supervisor-timer.js';

/** Fence-on-I/O-implies-memory: kept, without meaning here. */
const FIOM = 1;
/** mcounteren.TM: S may see time, and so set its timer. */
const TM = 1 << 1;

/** menvcfg, senvcfg (privileged specification, 3.1.18, 4.1.10) and stimecmp (Sstc 1.0, 2). */
export function environmentCsrs(hart: HartContext): [number, Csr][] {
  const timer = new SupervisorTimer(hart.i32, hart.at);
  const menvcfg: Csr = {
    read: plain(hart, OFFSET.menvcfg).read,
    write: (low, high) => {
      hart.set64(OFFSET.menvcfg, low & FIOM, high & STCE);
      // STIP is the timer's now: what M-mode has put there is gone.
      if (timer.enabled) hart.set(OFFSET.mipSoft, hart.get(OFFSET.mipSoft) & ~IRQ.STIP);
      timer.drive(hart.bus.time());
      return true;
    },
  };
  const stimecmp: Csr = {
    read: plain(hart, OFFSET.stimecmp).read,
    write: (low, high) => {
      hart.set64(OFFSET.stimecmp, low, high);
      timer.drive(hart.bus.time());
      return true;
    },
    allowed: () => hart.get(OFFSET.privilege) === MODE.M || (timer.enabled && (hart.get(OFFSET.mcounteren) & TM) !== 0),
  };
  return [
    [0x30a, menvcfg],
    [0x10a, plain(hart, OFFSET.senvcfg, FIOM, 0)],
    [0x14d, stimecmp],
  ];
}
