/**
 * Registers and descriptors of Intel's 82540EM. PCI/PCI-X Family of Gigabit Ethernet Controllers Software Developer's Manual
 * (the 8254x family), chapters 3 and 13. Offsets in bytes; bits as masks.
 */

export const REG = {
  CTRL: 0x0000,
  /** Another address of CTRL. */
  CTRL_DUP: 0x0004,
  STATUS: 0x0008,
  EECD: 0x0010,
  EERD: 0x0014,
  CTRL_EXT: 0x0018,
  MDIC: 0x0020,
  VET: 0x0038,
  ICR: 0x00c0,
  ICS: 0x00c8,
  IMS: 0x00d0,
  IMC: 0x00d8,
  RCTL: 0x0100,
  TCTL: 0x0400,
  PBA: 0x1000,
  RDBAL: 0x2800,
  RDBAH: 0x2804,
  RDLEN: 0x2808,
  RDH: 0x2810,
  RDT: 0x2818,
  TDBAL: 0x3800,
  TDBAH: 0x3804,
  TDLEN: 0x3808,
  TDH: 0x3810,
  TDT: 0x3818,
  RXCSUM: 0x5000,
  MTA: 0x5200,
  RA: 0x5400,
  VFTA: 0x5600,
  /** Software semaphore of the family's later members: drivers for all of them (U-Boot's) read the EEPROM with it held. */
  SWSM: 0x5b50,
} as const;

/** Counters of 32 bits; those of 64 end with their high word, which clears both when read. */
export const STAT = {
  FIRST: 0x4000,
  MPC: 0x4010,
  /** By size: 64, to 127, to 255, to 511, to 1023, above. */
  PRC64: 0x405c,
  GPRC: 0x4074,
  BPRC: 0x4078,
  MPRC: 0x407c,
  GPTC: 0x4080,
  GORC: 0x4088,
  GOTC: 0x4090,
  RNBC: 0x40a0,
  TOR: 0x40c0,
  TOT: 0x40c8,
  TPR: 0x40d0,
  TPT: 0x40d4,
  PTC64: 0x40d8,
  MPTC: 0x40f0,
  BPTC: 0x40f4,
  TSCTC: 0x40f8,
  TSCTFC: 0x40fc,
  LAST: 0x4124,
} as const;

/** What lies behind (the packet buffer, filters for waking up) reads as zero. */
export const REGISTER_BYTES = 0x6000;
export const WINDOW_BYTES = 0x2_0000;

export const CTRL = {
  FD: 1 << 0,
  SLU: 1 << 6,
  SPEED_1000: 2 << 8,
  RST: 1 << 26,
  VME: 1 << 30,
  PHY_RST: 0x8000_0000,
} as const;
/** Full duplex, 1000 Mbit/s, and what the transceiver detected: the same. */
export const STATUS_UP = 0x0383;
export const EECD = { SK: 1 << 0, CS: 1 << 1, DI: 1 << 2, DO: 1 << 3, REQ: 1 << 6, GNT: 1 << 7, PRES: 1 << 8 } as const;
export const EERD = { START: 1 << 0, DONE: 1 << 4 } as const;
export const MDIC = { WRITE: 1, READ: 2, READY: 1 << 28, INTERRUPT: 1 << 29, ERROR: 1 << 30 } as const;
export const TCTL = { EN: 1 << 1 } as const;
export const RCTL = {
  EN: 1 << 1,
  UPE: 1 << 3,
  MPE: 1 << 4,
  LBM: 3 << 6,
  BAM: 1 << 15,
  VFE: 1 << 18,
  BSEX: 1 << 25,
  SECRC: 1 << 26,
} as const;
export const RXCSUM = { IPOFL: 1 << 8, TUOFL: 1 << 9 } as const;
export const RAH_VALID = 0x8000_0000;

export const INT = {
  /** A descriptor was written back. */
  TXDW: 1 << 0,
  /** The Tx queue has become empty. */
  TXQE: 1 << 1,
  LSC: 1 << 2,
  /** Few Rx descriptors are left. */
  RXDMT0: 1 << 4,
  /** A frame was lost. */
  RXO: 1 << 6,
  RXT0: 1 << 7,
  MDAC: 1 << 9,
} as const;
const INT_MASK = 0x1_ffff;

export const DESCRIPTOR_BYTES = 16;
/** Third word of a Tx descriptor: the command's bits stand in its highest byte. */
export const TX = {
  EOP: 1 << 24,
  /** Insert a checksum (legacy descriptors), be part of a large send (data descriptors). */
  IC: 1 << 26,
  TSE: 1 << 26,
  RS: 1 << 27,
  DEXT: 1 << 29,
  VLE: 1 << 30,
  TYPE: 0xf << 20,
  TYPE_DATA: 1 << 20,
  LEGACY_LENGTH: 0xffff,
  DATA_LENGTH: 0xf_ffff,
  /** Of a context's command: TCP, not UDP. */
  TCP: 1 << 24,
} as const;
/** Fourth word. */
export const TX_STATUS = { DD: 1 << 0, IXSM: 1 << 8, TXSM: 1 << 9 } as const;

export const RX_STATUS = {
  DD: 1 << 0,
  EOP: 1 << 1,
  /** The checksum bits mean nothing. */
  IXSM: 1 << 2,
  VP: 1 << 3,
  TCPCS: 1 << 5,
  IPCS: 1 << 6,
  /** Passed an inexact filter. */
  PIF: 1 << 7,
  TCPE: 1 << 13,
  IPE: 1 << 14,
} as const;

/** Bits that a plain write keeps, by word of the window; reserved registers keep nothing. */
export const WRITABLE: Uint32Array = writableBits();

function writableBits(): Uint32Array {
  const masks = new Uint32Array(REGISTER_BYTES / 4);
  const put = (mask: number, ...registers: number[]): void => {
    for (const register of registers) masks[register >> 2] = mask;
  };
  const range = (mask: number, first: number, bytes: number): void => {
    masks.fill(mask, first >> 2, (first + bytes) >> 2);
  };
  put(0xffff_ffff, REG.CTRL, REG.CTRL_EXT, REG.EERD, REG.MDIC, REG.PBA, REG.RDBAH, REG.TDBAH);
  put(EECD.SK | EECD.CS | EECD.DI | EECD.REQ | 0x30, REG.EECD);
  put(0xffff, REG.VET);
  put(INT_MASK, REG.ICR, REG.ICS, REG.IMS, REG.IMC);
  put(0x07ff_ffff, REG.RCTL);
  put(0x03ff_ffff, REG.TCTL);
  put(0xffff_fff0, REG.RDBAL, REG.TDBAL);
  put(0x000f_ff80, REG.RDLEN, REG.TDLEN);
  put(0xffff, REG.RDH, REG.RDT, REG.TDH, REG.TDT);
  put(0x7ff, REG.RXCSUM);
  // Kept without effect: flow control, interrupt throttling, link configuration, gaps, LEDs, thresholds, delays, wake-up.
  put(0xffff_ffff, 0x28, 0x2c, 0x30, 0x170, 0xc4, 0x178, 0x410, 0x458, 0xe00, 0x2160, 0x2168);
  put(0xffff_ffff, 0x2820, 0x2828, 0x282c, 0x2c00, 0x3000, 0x3820, 0x3828, 0x382c, 0x3830);
  put(0xffff_ffff, 0x5800, 0x5808, 0x5820, 0x5838);
  put(3, REG.SWSM);
  range(0xffff_ffff, REG.MTA, 512);
  range(0xffff_ffff, REG.RA, 128);
  range(0xffff_ffff, REG.VFTA, 512);
  range(0xffff_ffff, 0x5840, 32);
  range(0xffff_ffff, 0x5880, 16);
  return masks;
}
