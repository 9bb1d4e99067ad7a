/**
 * Registers and descriptors of the RTL8169 (datasheet 1.21, chapters 6 and 9) in its revision RTL8169SB/8110SB, whose hardware
 * version in TCR has the bits 0x10000000 and which has its transceiver on the chip. Offsets in bytes; bits as masks.
 */

import { byOffset, type Register } from '../register-file.js';
import { EECR } from './realtek-eeprom.js';

export const REG = {
  IDR: 0x00,
  MAR: 0x08,
  DTCCR: 0x10,
  TNPDS: 0x20,
  THPDS: 0x28,
  CR: 0x37,
  TPPOLL: 0x38,
  IMR: 0x3c,
  ISR: 0x3e,
  TCR: 0x40,
  RCR: 0x44,
  TCTR: 0x48,
  MPC: 0x4c,
  EECR: 0x50,
  CONFIG0: 0x51,
  CONFIG1: 0x52,
  CONFIG2: 0x53,
  CONFIG3: 0x54,
  CONFIG4: 0x55,
  CONFIG5: 0x56,
  TIMERINT: 0x58,
  MULINT: 0x5c,
  PHYAR: 0x60,
  PHYSTATUS: 0x6c,
  WAKEUP: 0x84,
  WAKEUP_CRC: 0xc4,
  RMS: 0xda,
  CPCR: 0xe0,
  MITIGATION: 0xe2,
  RDSAR: 0xe4,
  ETTHR: 0xec,
} as const;

export const REGISTER_BYTES = 256;

export const CR = { TE: 1 << 2, RE: 1 << 3, RST: 1 << 4 } as const;
export const TPPOLL = { FSWINT: 1 << 0, NORMAL: 1 << 6, HIGH: 1 << 7 } as const;
export const DTCCR = { RESET: 1 << 0, DUMP: 1 << 3 } as const;
/** CPCR, "C+ command": Rx VLAN de-tagging, Rx checksum check. */
export const CPCR = { RX_VLAN: 1 << 6, RX_CHECKSUM: 1 << 5 } as const;
export const PHYAR = { FLAG: 0x8000_0000 } as const;
/** Flow control both ways, 1000 Mbit/s, link, full duplex. */
export const PHYSTATUS_UP = 0x73;

export const INT = {
  ROK: 1 << 0,
  RER: 1 << 1,
  TOK: 1 << 2,
  TER: 1 << 3,
  /** No Rx descriptor. */
  RDU: 1 << 4,
  LINK: 1 << 5,
  /** No Tx descriptor. */
  TDU: 1 << 7,
  SWINT: 1 << 8,
  TIMEOUT: 1 << 14,
  SERR: 1 << 15,
} as const;
export const INT_MASK = 0xc1ff;

export const TCR_LOOPBACK = 3 << 17;
/** IFG, loopback, no CRC, DMA burst. */
const TCR_WRITABLE = 0x030f_0700;
export const TCR_VERSION = 0x1000_0000;

/** First word of any descriptor. */
export const DESCRIPTOR = {
  OWN: 0x8000_0000,
  /** End of ring. */
  EOR: 0x4000_0000,
  FS: 0x2000_0000,
  LS: 0x1000_0000,
} as const;
export const DESCRIPTOR_BYTES = 16;
/** Datasheet, chapter 9: a ring has at most 1024. */
export const RING_MAX = 1024;

export const TX = {
  LGSEN: 1 << 27,
  IPCS: 1 << 18,
  UDPCS: 1 << 17,
  TCPCS: 1 << 16,
  MSS_SHIFT: 16,
  MSS: 0x7ff,
  /** In the second word: insert the tag that stands below, its first byte on the wire in the lowest bits. */
  TAGC: 1 << 17,
} as const;

export const RX = {
  /** The filter's MATCH bits become BAR, PAM and MAR. */
  MATCH_SHIFT: 25,
  PID1: 1 << 18,
  PID0: 1 << 17,
  IPF: 1 << 16,
  UDPF: 1 << 15,
  TCPF: 1 << 14,
  LENGTH: 0x3fff,
  /** In the second word. */
  TAVA: 1 << 16,
} as const;

const word = (base: number): Register => ({ base, bytes: 4, writable: -1 });
const words = (base: number, count: number): Register[] => Array.from({ length: count }, (_, i) => word(base + 4 * i));

const table: Register[] = [
  { base: REG.IDR, bytes: 4, writable: -1, locked: true },
  { base: REG.IDR + 4, bytes: 4, writable: 0xffff, locked: true },
  ...words(REG.MAR, 2),
  ...words(REG.DTCCR, 2),
  { base: REG.TNPDS, bytes: 4, writable: ~0xff },
  word(REG.TNPDS + 4),
  { base: REG.THPDS, bytes: 4, writable: ~0xff },
  word(REG.THPDS + 4),
  { base: REG.CR, bytes: 1, writable: CR.TE | CR.RE },
  { base: REG.TPPOLL, bytes: 1, writable: TPPOLL.NORMAL | TPPOLL.HIGH | TPPOLL.FSWINT },
  { base: REG.IMR, bytes: 2, writable: INT_MASK },
  { base: REG.ISR, bytes: 2, writable: INT_MASK },
  { base: REG.TCR, bytes: 4, writable: TCR_WRITABLE },
  { base: REG.RCR, bytes: 4, writable: 0x0100_ff7f },
  { base: REG.TCTR, bytes: 4, writable: 0 },
  { base: REG.MPC, bytes: 4, writable: 0 },
  { base: REG.EECR, bytes: 1, writable: EECR.MODE | EECR.CS | EECR.SK | EECR.DI },
  { base: REG.CONFIG0, bytes: 1, writable: 0, locked: true },
  { base: REG.CONFIG1, bytes: 1, writable: 0xf1, locked: true },
  { base: REG.CONFIG2, bytes: 1, writable: 0x20, locked: true },
  { base: REG.CONFIG3, bytes: 1, writable: 0x71, locked: true },
  { base: REG.CONFIG4, bytes: 1, writable: 0x15, locked: true },
  { base: REG.CONFIG5, bytes: 1, writable: 0x7b, locked: true },
  word(REG.TIMERINT),
  { base: REG.MULINT, bytes: 2, writable: 0x0fff },
  word(REG.PHYAR),
  { base: REG.PHYSTATUS, bytes: 1, writable: 0 },
  ...words(REG.WAKEUP, 16),
  ...[0, 1, 2, 3, 4].map((n) => ({ base: REG.WAKEUP_CRC + 2 * n, bytes: 2, writable: 0xffff })),
  { base: REG.RMS, bytes: 2, writable: 0x3fff },
  { base: REG.CPCR, bytes: 2, writable: 0x7fff },
  { base: REG.MITIGATION, bytes: 2, writable: 0xffff },
  { base: REG.RDSAR, bytes: 4, writable: ~0xff },
  word(REG.RDSAR + 4),
  { base: REG.ETTHR, bytes: 1, writable: 0x3f },
];

export const registerAt = byOffset(table, REGISTER_BYTES);
