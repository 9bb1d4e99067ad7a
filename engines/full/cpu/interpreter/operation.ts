/**
 * A decoded instruction: 64 bits in the decode cache. Bits 9:0 handler, 15:10 rd (32: x0, written to a sink),
 * 20:16 rs1, 25:21 rs2, 30:26 rs3; the upper word is the immediate (near targets: distance in the decode cache).
 * Fields are placed so that one shift and one mask make a register's byte offset.
 */

import { DECODE } from '../layout.js';

export const HANDLER_MASK = 0x3ff;
export const FIELD = {
  rd: { shift: 7, mask: 0x1f8 },
  rs1: { shift: 13, mask: 0xf8 },
  rs2: { shift: 18, mask: 0xf8 },
  rs3: { shift: 23, mask: 0xf8 },
} as const;

/** Register number of what is written to x0. */
export const SINK = 32;

export const packLow = (handler: number, rd: number, rs1: number, rs2: number, rs3: number): number =>
  handler | (rd << 10) | (rs1 << 16) | (rs2 << 21) | (rs3 << 26);

export const unpackRd = (low: number): number => (low >>> 10) & 63;
export const unpackRs1 = (low: number): number => (low >>> 16) & 31;

/** Bytes of the decode cache for each byte of code: an entry for each half-word. */
export const ENTRY_SCALE = DECODE.entryBytes / 2;
