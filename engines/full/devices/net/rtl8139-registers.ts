/** Registers of the RTL8139 in C mode. Realtek RTL8139D(L) datasheet 1.3, chapter 5. Offsets in bytes; bits as masks. */

import { byOffset, type Register } from '../register-file.js';
import { EECR } from './realtek-eeprom.js';

export const REG = {
  IDR: 0x00,
  MAR: 0x08,
  TSD: 0x10,
  TSAD: 0x20,
  RBSTART: 0x30,
  ERBCR: 0x34,
  ERSR: 0x36,
  CR: 0x37,
  CAPR: 0x38,
  CBR: 0x3a,
  IMR: 0x3c,
  ISR: 0x3e,
  TCR: 0x40,
  RCR: 0x44,
  TCTR: 0x48,
  MPC: 0x4c,
  EECR: 0x50,
  CONFIG0: 0x51,
  CONFIG1: 0x52,
  TIMERINT: 0x54,
  MSR: 0x58,
  CONFIG3: 0x59,
  CONFIG4: 0x5a,
  MULINT: 0x5c,
  RERID: 0x5e,
  TSALL: 0x60,
  BMCR: 0x62,
  BMSR: 0x64,
  ANAR: 0x66,
  ANLPAR: 0x68,
  ANER: 0x6a,
  PHY: 0x6c,
} as const;

export const REGISTER_BYTES = 256;

export const CR = { BUFE: 1 << 0, TE: 1 << 2, RE: 1 << 3, RST: 1 << 4 } as const;
export const TSD = { SIZE: 0x1fff, OWN: 1 << 13, TUN: 1 << 14, TOK: 1 << 15, TABT: 1 << 30 } as const;
/** The driver's bits of TSD: early threshold and size. */
export const TSD_WRITABLE = 0x003f_3fff;
/** "If the length is more than 1792, the transmit queue is invalid." */
export const TX_MAX = 1792;

export const INT = { ROK: 1 << 0, TOK: 1 << 2, TER: 1 << 3, RXOVW: 1 << 4, SERR: 1 << 15 } as const;
export const INT_MASK = 0xe07f;

/** Beside the bits of the address filter. */
export const RCR = { WRAP: 1 << 7 } as const;
export const TCR_LOOPBACK = 3 << 17;
/** IFG, loopback, no CRC, DMA burst, retries. */
export const TCR_WRITABLE = 0x0307_07f0;
/** HWVERID 1110100: RTL8139C. */
export const TCR_VERSION = 0x7400_0000;

export const RX_STATUS = { ROK: 1 << 0 } as const;
/** BAR, PAM and MAR, 13 to 15: in the order of the filter's MATCH. */
export const RX_MATCH_SHIFT = 13;

const table: Register[] = [
  { base: REG.IDR, bytes: 4, writable: -1, locked: true },
  { base: REG.IDR + 4, bytes: 4, writable: 0xffff, locked: true },
  { base: REG.MAR, bytes: 4, writable: -1 },
  { base: REG.MAR + 4, bytes: 4, writable: -1 },
  ...[0, 1, 2, 3].map((n) => ({ base: REG.TSD + 4 * n, bytes: 4, writable: TSD_WRITABLE })),
  ...[0, 1, 2, 3].map((n) => ({ base: REG.TSAD + 4 * n, bytes: 4, writable: -1 })),
  { base: REG.RBSTART, bytes: 4, writable: -1 },
  { base: REG.ERBCR, bytes: 2, writable: 0 },
  { base: REG.ERSR, bytes: 1, writable: 0 },
  { base: REG.CR, bytes: 1, writable: CR.TE | CR.RE },
  { base: REG.CAPR, bytes: 2, writable: 0xffff },
  { base: REG.CBR, bytes: 2, writable: 0 },
  { base: REG.IMR, bytes: 2, writable: INT_MASK },
  { base: REG.ISR, bytes: 2, writable: INT_MASK },
  { base: REG.TCR, bytes: 4, writable: TCR_WRITABLE },
  { base: REG.RCR, bytes: 4, writable: 0x0f03_ffbf },
  { base: REG.TCTR, bytes: 4, writable: 0 },
  { base: REG.MPC, bytes: 4, writable: 0 },
  { base: REG.EECR, bytes: 1, writable: EECR.MODE | EECR.CS | EECR.SK | EECR.DI },
  { base: REG.CONFIG0, bytes: 1, writable: 0 },
  { base: REG.CONFIG1, bytes: 1, writable: 0xf3, locked: true },
  { base: REG.TIMERINT, bytes: 4, writable: -1 },
  { base: REG.MSR, bytes: 1, writable: 0xc0 },
  { base: REG.CONFIG3, bytes: 1, writable: 0x40, locked: true },
  { base: REG.CONFIG4, bytes: 1, writable: 0x84, locked: true },
  { base: REG.MULINT, bytes: 2, writable: 0x0fff },
  { base: REG.RERID, bytes: 1, writable: 0 },
  { base: REG.TSALL, bytes: 2, writable: 0 },
  { base: REG.BMCR, bytes: 2, writable: 0x3300, locked: true },
  { base: REG.BMSR, bytes: 2, writable: 0 },
  { base: REG.ANAR, bytes: 2, writable: 0x2dff },
  { base: REG.ANLPAR, bytes: 2, writable: 0 },
  { base: REG.ANER, bytes: 2, writable: 0 },
];

/** By the offset of each of its bytes; undefined where the datasheet reserves. */
export const registerAt = byOffset(table, REGISTER_BYTES);
