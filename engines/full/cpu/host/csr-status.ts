import { OFFSET } from '../layout.js';
import type { HartContext } from './context.js';
import { type Csr, plain, type Word64 } from './csr.js';
import { SATP_LEVELS } from './mmu.js';
import { MODE, MSTATUS, STATUS_CSR } from './status.js';
import type { TlbControl } from './tlb.js';

/** Bit 63. */
const SD = 1 << 31;

/** mstatus with FS as it is: floating-point instructions only note that they have made it dirty. */
function currentStatus(hart: HartContext): number {
  const status = hart.get(OFFSET.mstatus);
  return hart.get(OFFSET.fpDirty) !== 0 ? status | MSTATUS.FS : status;
}

function statusCsr(hart: HartContext, tlb: TlbControl, { writable: mask, xl }: { writable: number; xl: number }): Csr {
  return {
    read: (out: Word64) => {
      const status = currentStatus(hart);
      out.low = status & (mask | MSTATUS.FS);
      out.high = xl | ((status & MSTATUS.FS) === MSTATUS.FS ? SD : 0);
    },
    write: (low) => {
      writeStatus(hart, tlb, (currentStatus(hart) & ~mask) | (low & mask));
      return true;
    },
  };
}

function writeStatus(hart: HartContext, tlb: TlbControl, wanted: number): void {
  const old = hart.get(OFFSET.mstatus);
  const reservedMode = (wanted & MSTATUS.MPP) >> 11 === 2;
  const status = reservedMode ? (wanted & ~MSTATUS.MPP) | (old & MSTATUS.MPP) : wanted;
  hart.set(OFFSET.mstatus, status);
  hart.set(OFFSET.fpDirty, 0);
  hart.set(OFFSET.fpEnabled, (status & MSTATUS.FS) !== 0 ? 1 : 0);
  if (((old ^ status) & MSTATUS.MXR) !== 0) tlb.flushTranslations();
  tlb.select();
}

/** satp (4.1.11): a reserved mode leaves the register as it was; ASIDs are not implemented. */
function satp(hart: HartContext, tlb: TlbControl): Csr {
  return {
    read: plain(hart, OFFSET.satp).read,
    allowed: () => hart.get(OFFSET.privilege) === MODE.M || (hart.get(OFFSET.mstatus) & MSTATUS.TVM) === 0,
    write: (low, high) => {
      if (SATP_LEVELS[high >>> 28] === undefined) return false;
      hart.set64(OFFSET.satp, low, high & 0xf0000fff);
      tlb.flushTranslations();
      return true;
    },
  };
}

/** mstatus, sstatus, satp: what decides about translation. */
export function statusCsrs(hart: HartContext, tlb: TlbControl): [number, Csr][] {
  return [
    [0x300, statusCsr(hart, tlb, STATUS_CSR.machine)],
    [0x100, statusCsr(hart, tlb, STATUS_CSR.supervisor)],
    [0x180, satp(hart, tlb)],
  ];
}
