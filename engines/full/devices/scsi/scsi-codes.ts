/**
 * SCSI's numbers, and what a command descriptor block is made into: a plan. Shared by the kinds of units.
 * SPC-3 (all), SBC-2 (disks), MMC-5 (CD-ROMs).
 */

export const STATUS = { GOOD: 0x00, CHECK_CONDITION: 0x02 } as const;
export const KEY = {
  NONE: 0,
  NOT_READY: 2,
  MEDIUM_ERROR: 3,
  ILLEGAL_REQUEST: 5,
  UNIT_ATTENTION: 6,
  DATA_PROTECT: 7,
  ABORTED: 11,
} as const;
/** Additional sense code << 8 | qualifier. */
export const CODE = {
  NONE: 0x0000,
  WRITE_ERROR: 0x0c00,
  READ_ERROR: 0x1100,
  INVALID_OPCODE: 0x2000,
  LBA_OUT_OF_RANGE: 0x2100,
  INVALID_FIELD: 0x2400,
  LUN_NOT_SUPPORTED: 0x2500,
  WRITE_PROTECTED: 0x2700,
  MEDIUM_CHANGED: 0x2800,
  RESET_OCCURRED: 0x2900,
  MEDIUM_NOT_PRESENT: 0x3a00,
  OVERLAPPED_COMMANDS: 0x4e00,
  REMOVAL_PREVENTED: 0x5302,
} as const;

export const OP = {
  TEST_UNIT_READY: 0x00,
  REQUEST_SENSE: 0x03,
  READ_6: 0x08,
  WRITE_6: 0x0a,
  INQUIRY: 0x12,
  RESERVE_6: 0x16,
  RELEASE_6: 0x17,
  MODE_SENSE_6: 0x1a,
  START_STOP_UNIT: 0x1b,
  SEND_DIAGNOSTIC: 0x1d,
  PREVENT_ALLOW_REMOVAL: 0x1e,
  READ_CAPACITY_10: 0x25,
  READ_10: 0x28,
  WRITE_10: 0x2a,
  SEEK_10: 0x2b,
  VERIFY_10: 0x2f,
  SYNCHRONIZE_CACHE_10: 0x35,
  READ_TOC: 0x43,
  GET_CONFIGURATION: 0x46,
  GET_EVENT_STATUS: 0x4a,
  READ_DISC_INFORMATION: 0x51,
  MODE_SENSE_10: 0x5a,
  READ_16: 0x88,
  WRITE_16: 0x8a,
  SYNCHRONIZE_CACHE_16: 0x91,
  SERVICE_ACTION_IN_16: 0x9e,
  REPORT_LUNS: 0xa0,
  READ_12: 0xa8,
  WRITE_12: 0xaa,
} as const;

/** Offsets and lengths in bytes. */
export type Plan =
  | { kind: 'good' }
  | { kind: 'check'; key: number; code: number }
  | { kind: 'reply'; bytes: Uint8Array }
  | { kind: 'read'; offset: number; bytes: number }
  | { kind: 'write'; offset: number; bytes: number; durable: boolean }
  | { kind: 'flush' }
  /** REQUEST SENSE: answered from the target's state. */
  | { kind: 'sense'; bytes: number }
  /** The medium leaves the drive, or comes back into it. */
  | { kind: 'tray'; ejected: boolean }
  /** The initiator forbids to take the medium out, or allows it again. */
  | { kind: 'lock'; locked: boolean };

/** What a unit is, and how it stands at the moment. */
export interface UnitFacts {
  /** SCSI id: part of the serial number, or all disks of a bus would be taken for one. */
  readonly id: number;
  readonly bytes: number;
  readonly readonly: boolean;
  readonly media: 'disk' | 'cdrom';
  readonly ejected: boolean;
  readonly locked: boolean;
}

export const DISK_BLOCK = 512;
export const CD_BLOCK = 2048;
export const blockBytes = (unit: UnitFacts): number => (unit.media === 'cdrom' ? CD_BLOCK : DISK_BLOCK);
export const lastBlock = (unit: UnitFacts): number => Math.floor(unit.bytes / blockBytes(unit)) - 1;

export const GOOD: Plan = { kind: 'good' };
export const check = (key: number, code: number): Plan => ({ kind: 'check', key, code });
export const illegal = (code: number): Plan => check(KEY.ILLEGAL_REQUEST, code);

export const u16 = (cdb: Uint8Array, at: number): number => (cdb[at] << 8) | cdb[at + 1];
export const u32 = (cdb: Uint8Array, at: number): number => u16(cdb, at) * 65_536 + u16(cdb, at + 2);
/** Beyond 2 ** 53 the value is rounded, and out of every disk's range all the same. */
export const u64 = (cdb: Uint8Array, at: number): number => u32(cdb, at) * 2 ** 32 + u32(cdb, at + 4);

export const be16 = (v: number): number[] => [(v >>> 8) & 0xff, v & 0xff];
export const be32 = (v: number): number[] => [(v >>> 24) & 0xff, (v >>> 16) & 0xff, (v >>> 8) & 0xff, v & 0xff];
export const be64 = (v: number): number[] => [...be32(Math.floor(v / 2 ** 32)), ...be32(v % 2 ** 32)];
export const text = (s: string, width: number): number[] => Array.from(s.padEnd(width), (c) => c.charCodeAt(0));

/** At most `allocation` bytes; none at all is no error. */
export const reply = (bytes: number[], allocation: number): Plan =>
  allocation === 0 ? GOOD : { kind: 'reply', bytes: Uint8Array.from(bytes).subarray(0, allocation) };

/** Fixed-format sense data (SPC-3, 4.5.3). */
export function senseData(key: number, code: number): Uint8Array {
  const sense = new Uint8Array(18);
  sense.set([0x70, 0, key, 0, 0, 0, 0, 10]);
  sense[12] = code >> 8;
  sense[13] = code & 0xff;
  return sense;
}
