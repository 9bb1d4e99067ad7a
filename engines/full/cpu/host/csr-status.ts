import { OFFSET } from '../layout.js';
import type { HartContext } from './context.js';
import { type Csr, plain, type Word64 } from './csr.js';
import { SATP_LEVELS } from './mmu.js';
import { MODE, MSTATUS } from './status.js';
import type { TlbControl } from './tlb.js';

const M_WRITABLE =
  MSTATUS.SIE |
  MSTATUS.MIE |
  MSTATUS.SPIE |
  MSTATUS.MPIE |
  MSTATUS.SPP |
  MSTATUS.MPP |
  MSTATUS.FS |
  MSTATUS.MPRV |
  MSTATUS.SUM |
  MSTATUS.MXR |
  MSTATUS.TVM |
  MSTATUS.TW |
  MSTATUS.TSR;
const S_WRITABLE = MSTATUS.SIE | MSTATUS.SPIE | MSTATUS.SPP | MSTATUS.FS | MSTATUS.SUM | MSTATUS.MXR;
/** UXL and SXL are 64 bits (bits 33:32 and 35:34); SD is bit 63. */
const M_XL = 0b1010;
const S_XL = 0b0010;
const SD = 1 << 31;

/** mstatus with FS as it is: floating-point instructions only note that they have made it dirty. */
function currentStatus(hart: HartContext): number {
  const status = hart.get(OFFSET.mstatus);
  return hart.get(OFFSET.fpDirty) !== 0 ? status | MSTATUS.FS : status;
}

function statusCsr(hart: HartContext, tlb: TlbControl, mask: number, xl: number): Csr {
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
    [0x300, statusCsr(hart, tlb, M_WRITABLE, M_XL)],
    [0x100, statusCsr(hart, tlb, S_WRITABLE, S_XL)],
    [0x180, satp(hart, tlb)],
  ];
}
