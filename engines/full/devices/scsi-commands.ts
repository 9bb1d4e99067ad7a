/**
 * What a SCSI disk does with a command descriptor block: pure decoding, no I/O and no state but the capacity.
 * SPC-3 (INQUIRY, MODE SENSE, REPORT LUNS, REQUEST SENSE), SBC-2 (the others).
 */

export const BLOCK_BYTES = 512;

export const STATUS = { GOOD: 0x00, CHECK_CONDITION: 0x02 } as const;
export const KEY = {
  NONE: 0,
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
  RESET_OCCURRED: 0x2900,
  OVERLAPPED_COMMANDS: 0x4e00,
} as const;

export const OP = {
  TEST_UNIT_READY: 0x00,
  REQUEST_SENSE: 0x03,
  READ_6: 0x08,
  WRITE_6: 0x0a,
  INQUIRY: 0x12,
  MODE_SENSE_6: 0x1a,
  START_STOP_UNIT: 0x1b,
  PREVENT_ALLOW_REMOVAL: 0x1e,
  READ_CAPACITY_10: 0x25,
  READ_10: 0x28,
  WRITE_10: 0x2a,
  SYNCHRONIZE_CACHE_10: 0x35,
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
  | { kind: 'sense'; bytes: number };

export interface DiskFacts {
  readonly bytes: number;
  readonly readonly: boolean;
}

const GOOD: Plan = { kind: 'good' };
const illegal = (code: number): Plan => ({ kind: 'check', key: KEY.ILLEGAL_REQUEST, code });

/** Bytes of a CDB by the group code of its first byte (SPC-3, 4.3.2); groups of vendors count as 10. */
export function cdbBytes(opcode: number): number {
  return [6, 10, 10, 10, 16, 12, 10, 10][opcode >> 5];
}

const u16 = (cdb: Uint8Array, at: number): number => (cdb[at] << 8) | cdb[at + 1];
const u32 = (cdb: Uint8Array, at: number): number => u16(cdb, at) * 65_536 + u16(cdb, at + 2);
/** Beyond 2 ** 53 the value is rounded, and out of every disk's range all the same. */
const u64 = (cdb: Uint8Array, at: number): number => u32(cdb, at) * 2 ** 32 + u32(cdb, at + 4);

/** cdb: 16 bytes, zero where the command is shorter; a copy, which the guest cannot change any more. */
export function planCommand(cdb: Uint8Array, lun: number, disk: DiskFacts): Plan {
  const op = cdb[0];
  if (op === OP.REQUEST_SENSE) return { kind: 'sense', bytes: cdb[4] };
  if (op === OP.REPORT_LUNS) return reportLuns(cdb);
  if (op === OP.INQUIRY) return inquiry(cdb, lun);
  if (lun !== 0) return illegal(CODE.LUN_NOT_SUPPORTED);
  switch (op) {
    case OP.TEST_UNIT_READY:
    case OP.START_STOP_UNIT:
    case OP.PREVENT_ALLOW_REMOVAL:
      return GOOD;
    case OP.READ_6:
      return access(cdb, u32(cdb, 0) % 2 ** 21, cdb[4] || 256, false, disk);
    case OP.WRITE_6:
      return access(cdb, u32(cdb, 0) % 2 ** 21, cdb[4] || 256, true, disk);
    case OP.READ_10:
    case OP.WRITE_10:
      return access(cdb, u32(cdb, 2), u16(cdb, 7), op === OP.WRITE_10, disk);
    case OP.READ_12:
    case OP.WRITE_12:
      return access(cdb, u32(cdb, 2), u32(cdb, 6), op === OP.WRITE_12, disk);
    case OP.READ_16:
    case OP.WRITE_16:
      return access(cdb, u64(cdb, 2), u32(cdb, 10), op === OP.WRITE_16, disk);
    case OP.SYNCHRONIZE_CACHE_10:
    case OP.SYNCHRONIZE_CACHE_16:
      return { kind: 'flush' };
    case OP.READ_CAPACITY_10:
      return capacity10(disk);
    case OP.SERVICE_ACTION_IN_16:
      return (cdb[1] & 0x1f) === 0x10 ? capacity16(cdb, disk) : illegal(CODE.INVALID_FIELD);
    case OP.MODE_SENSE_6:
      return modeSense(cdb, 4, cdb[4], disk);
    case OP.MODE_SENSE_10:
      return modeSense(cdb, 8, u16(cdb, 7), disk);
    default:
      return illegal(CODE.INVALID_OPCODE);
  }
}

function access(cdb: Uint8Array, block: number, blocks: number, write: boolean, disk: DiskFacts): Plan {
  if (write && disk.readonly) return { kind: 'check', key: KEY.DATA_PROTECT, code: CODE.WRITE_PROTECTED };
  if ((block + blocks) * BLOCK_BYTES > disk.bytes) return illegal(CODE.LBA_OUT_OF_RANGE);
  if (blocks === 0) return GOOD;
  const offset = block * BLOCK_BYTES;
  const bytes = blocks * BLOCK_BYTES;
  const short = cdb[0] === OP.READ_6 || cdb[0] === OP.WRITE_6;
  return write
    ? { kind: 'write', offset, bytes, durable: !short && (cdb[1] & 0x08) !== 0 }
    : { kind: 'read', offset, bytes };
}

const reply = (bytes: number[], allocation: number): Plan => ({
  kind: 'reply',
  bytes: Uint8Array.from(bytes).subarray(0, allocation),
});
const be32 = (v: number): number[] => [(v >>> 24) & 0xff, (v >>> 16) & 0xff, (v >>> 8) & 0xff, v & 0xff];
const be64 = (v: number): number[] => [...be32(Math.floor(v / 2 ** 32)), ...be32(v % 2 ** 32)];
const text = (s: string, width: number): number[] => Array.from(s.padEnd(width), (c) => c.charCodeAt(0));

function inquiry(cdb: Uint8Array, lun: number): Plan {
  const allocation = u16(cdb, 3);
  if (cdb[1] & 1) return lun === 0 ? vitalProductData(cdb[2], allocation) : illegal(CODE.LUN_NOT_SUPPORTED);
  if (cdb[2] !== 0) return illegal(CODE.INVALID_FIELD);
  const type = lun === 0 ? 0x00 : 0x7f; // a disk; or: nothing can be here
  const commandQueueing = 0x02;
  const head = [type, 0, 5, 2, 31, 0, 0, commandQueueing];
  return reply([...head, ...text('VIRTAX', 8), ...text('DISK', 16), ...text('1', 4)], allocation);
}

/** Pages 00 (which pages there are), 80 (serial number) and 83 (designators: T10 vendor id). */
function vitalProductData(page: number, allocation: number): Plan {
  const pages: Record<number, number[]> = {
    0: [0x00, 0x80, 0x83],
    128: text('0', 1),
    131: [0x02, 0x01, 0x00, 12, ...text('VIRTAX', 8), ...text('DISK', 4)],
  };
  const body = pages[page];
  return body ? reply([0, page, 0, body.length, ...body], allocation) : illegal(CODE.INVALID_FIELD);
}

const reportLuns = (cdb: Uint8Array): Plan =>
  reply([...be32(8), 0, 0, 0, 0, ...new Array<number>(8).fill(0)], u32(cdb, 6));

const lastBlock = (disk: DiskFacts): number => Math.floor(disk.bytes / BLOCK_BYTES) - 1;

function capacity10(disk: DiskFacts): Plan {
  return reply([...be32(Math.min(lastBlock(disk), 0xffff_ffff)), ...be32(BLOCK_BYTES)], 8);
}

function capacity16(cdb: Uint8Array, disk: DiskFacts): Plan {
  return reply([...be64(lastBlock(disk)), ...be32(BLOCK_BYTES), ...new Array<number>(20).fill(0)], u32(cdb, 10));
}

/** Pages 08 (caching: write cache on, which is why flushes matter) and 3F (all). */
function modeSense(cdb: Uint8Array, header: 4 | 8, allocation: number, disk: DiskFacts): Plan {
  const page = cdb[2] & 0x3f;
  if (page !== 0x08 && page !== 0x3f) return illegal(CODE.INVALID_FIELD);
  const changeable = cdb[2] >> 6 === 1;
  const caching = [0x08, 0x12, changeable ? 0 : 0x04, ...new Array<number>(17).fill(0)];
  const withBlock = !(cdb[1] & 0x08);
  const blocks = Math.min(lastBlock(disk) + 1, 0xff_ffff);
  const descriptor = withBlock ? [...be32(blocks), ...be32(BLOCK_BYTES)] : [];
  const deviceSpecific = (disk.readonly ? 0x80 : 0) | 0x10; // write protected; DPO and FUA are honoured
  const length = header + descriptor.length + caching.length;
  const head =
    header === 4
      ? [length - 1, 0, deviceSpecific, descriptor.length]
      : [0, length - 2, 0, deviceSpecific, 0, 0, 0, descriptor.length];
  return reply([...head, ...descriptor, ...caching], allocation);
}

/** Fixed-format sense data (SPC-3, 4.5.3). */
export function senseData(key: number, code: number): Uint8Array {
  const sense = new Uint8Array(18);
  sense.set([0x70, 0, key, 0, 0, 0, 0, 10]);
  sense[12] = code >> 8;
  sense[13] = code & 0xff;
  return sense;
}
