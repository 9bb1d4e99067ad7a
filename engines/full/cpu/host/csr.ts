import type { HartContext } from './context.js';

/** 64 bits as two signed words, without a BigInt. */
export interface Word64 {
  low: number;
  high: number;
}

/** One control and status register. Whether the privilege suffices and the number is read-only is checked outside. */
export interface Csr {
  read(out: Word64): void;
  /** true when interrupts or translation may differ now. */
  write(low: number, high: number): boolean;
  /** Where set and clear start from something else than what is read. */
  readForChange?(out: Word64): void;
  /** false: illegal for a reason of its own. */
  allowed?(): boolean;
}

export const ALL = -1;

/** A register that only holds what is written, but for bits that are always 0. */
export function plain(hart: HartContext, offset: number, maskLow = ALL, maskHigh = ALL): Csr {
  return {
    read: (out) => {
      out.low = hart.get(offset);
      out.high = hart.get(offset + 4);
    },
    write: (low, high) => {
      hart.set64(offset, low & maskLow, high & maskHigh);
      return false;
    },
  };
}

/** Reads as a fixed value; writes are ignored. */
export function fixed(low: number, high = 0): Csr {
  return {
    read: (out) => {
      out.low = low;
      out.high = high;
    },
    write: () => false,
  };
}

/** A register whose writes have consequences. */
export function withEffect(csr: Csr, effect: () => boolean): Csr {
  return { ...csr, write: (low, high) => csr.write(low, high) || effect() };
}
