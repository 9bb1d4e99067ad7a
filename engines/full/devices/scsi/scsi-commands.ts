/**
 * What a SCSI unit does with a command descriptor block: pure decoding, no I/O and no state but the facts that it is given.
 * SPC-3 (INQUIRY, MODE SENSE, REPORT LUNS, REQUEST SENSE), SBC-2 (the others); a CD-ROM's own commands are in scsi-cdrom.ts.
 */
import { cdModePages, planCdCommand } from './scsi-cdrom.js';
import {
  be32,
  be64,
  blockBytes,
  CODE,
  check,
  GOOD,
  illegal,
  KEY,
  lastBlock,
  OP,
  type Plan,
  reply,
  text,
  type UnitFacts,
  u16,
  u32,
  u64,
} from './scsi-codes.js';

/** Bytes of a CDB by the group code of its first byte (SPC-3, 4.3.2); groups of vendors count as 10. */
export function cdbBytes(opcode: number): number {
  return [6, 10, 10, 10, 16, 12, 10, 10][opcode >> 5];
}

/** Work without a medium in the drive. */
const WITHOUT_MEDIUM: ReadonlySet<number> = new Set<number>([
  OP.START_STOP_UNIT,
  OP.PREVENT_ALLOW_REMOVAL,
  OP.MODE_SENSE_6,
  OP.MODE_SENSE_10,
  OP.GET_CONFIGURATION,
  OP.GET_EVENT_STATUS,
  OP.RESERVE_6,
  OP.RELEASE_6,
  OP.SEND_DIAGNOSTIC,
]);

/** cdb: 16 bytes, zero where the command is shorter; a copy, which the guest cannot change any more. */
export function planCommand(cdb: Uint8Array, lun: number, unit: UnitFacts): Plan {
  const op = cdb[0];
  if (op === OP.REQUEST_SENSE) return { kind: 'sense', bytes: cdb[4] };
  if (op === OP.REPORT_LUNS) return reportLuns(cdb);
  if (op === OP.INQUIRY) return inquiry(cdb, lun, unit);
  if (lun !== 0) return illegal(CODE.LUN_NOT_SUPPORTED);
  if (unit.ejected && !WITHOUT_MEDIUM.has(op)) return check(KEY.NOT_READY, CODE.MEDIUM_NOT_PRESENT);
  const cd = unit.media === 'cdrom' ? planCdCommand(cdb, unit) : undefined;
  return cd ?? planAccess(cdb, unit) ?? planOther(cdb, unit);
}

function planAccess(cdb: Uint8Array, unit: UnitFacts): Plan | undefined {
  const op = cdb[0];
  switch (op) {
    case OP.READ_6:
    case OP.WRITE_6:
      return access(cdb, u32(cdb, 0) % 2 ** 21, cdb[4] || 256, op === OP.WRITE_6, unit);
    case OP.READ_10:
    case OP.WRITE_10:
      return access(cdb, u32(cdb, 2), u16(cdb, 7), op === OP.WRITE_10, unit);
    case OP.READ_12:
    case OP.WRITE_12:
      return access(cdb, u32(cdb, 2), u32(cdb, 6), op === OP.WRITE_12, unit);
    case OP.READ_16:
    case OP.WRITE_16:
      return access(cdb, u64(cdb, 2), u32(cdb, 10), op === OP.WRITE_16, unit);
    default:
      return undefined;
  }
}

function planOther(cdb: Uint8Array, unit: UnitFacts): Plan {
  switch (cdb[0]) {
    case OP.TEST_UNIT_READY:
    case OP.START_STOP_UNIT:
    case OP.PREVENT_ALLOW_REMOVAL:
    case OP.RESERVE_6: // for our one initiator
    case OP.RELEASE_6:
      return GOOD;
    case OP.SEND_DIAGNOSTIC:
      return cdb[1] & 0x04 ? GOOD : illegal(CODE.INVALID_FIELD); // the self-test
    case OP.SEEK_10:
      return within(u32(cdb, 2), 0, unit) ? GOOD : illegal(CODE.LBA_OUT_OF_RANGE);
    case OP.VERIFY_10:
      if (cdb[1] & 0x02) return illegal(CODE.INVALID_FIELD); // BYTCHK: with data to compare
      return within(u32(cdb, 2), u16(cdb, 7), unit) ? GOOD : illegal(CODE.LBA_OUT_OF_RANGE);
    case OP.SYNCHRONIZE_CACHE_10:
    case OP.SYNCHRONIZE_CACHE_16:
      return unit.readonly ? GOOD : { kind: 'flush' };
    case OP.READ_CAPACITY_10:
      return capacity10(unit);
    case OP.SERVICE_ACTION_IN_16:
      return (cdb[1] & 0x1f) === 0x10 ? capacity16(cdb, unit) : illegal(CODE.INVALID_FIELD);
    case OP.MODE_SENSE_6:
      return modeSense(cdb, 4, cdb[4], unit);
    case OP.MODE_SENSE_10:
      return modeSense(cdb, 8, u16(cdb, 7), unit);
    default:
      return illegal(CODE.INVALID_OPCODE);
  }
}

const within = (block: number, blocks: number, unit: UnitFacts): boolean =>
  (block + blocks) * blockBytes(unit) <= unit.bytes;

function access(cdb: Uint8Array, block: number, blocks: number, write: boolean, unit: UnitFacts): Plan {
  if (write && unit.media === 'cdrom') return illegal(CODE.INVALID_OPCODE);
  if (write && unit.readonly) return check(KEY.DATA_PROTECT, CODE.WRITE_PROTECTED);
  if (!within(block, blocks, unit)) return illegal(CODE.LBA_OUT_OF_RANGE);
  if (blocks === 0) return GOOD;
  const offset = block * blockBytes(unit);
  const bytes = blocks * blockBytes(unit);
  const short = cdb[0] === OP.READ_6 || cdb[0] === OP.WRITE_6;
  return write
    ? { kind: 'write', offset, bytes, durable: !short && (cdb[1] & 0x08) !== 0 }
    : { kind: 'read', offset, bytes };
}

const TYPE = { disk: 0x00, cdrom: 0x05, nothing: 0x7f } as const;
const PRODUCT = { disk: 'DISK', cdrom: 'CD-ROM' } as const;

function inquiry(cdb: Uint8Array, lun: number, unit: UnitFacts): Plan {
  const allocation = u16(cdb, 3);
  if (cdb[1] & 1) return lun === 0 ? vitalProductData(cdb[2], allocation, unit) : illegal(CODE.LUN_NOT_SUPPORTED);
  if (cdb[2] !== 0) return illegal(CODE.INVALID_FIELD);
  const type = lun === 0 ? TYPE[unit.media] : TYPE.nothing;
  const removable = unit.media === 'cdrom' ? 0x80 : 0;
  const commandQueueing = unit.media === 'cdrom' ? 0 : 0x02;
  const head = [type, removable, 5, 2, 31, 0, 0, commandQueueing];
  return reply([...head, ...text('VIRTAX', 8), ...text(PRODUCT[unit.media], 16), ...text('1', 4)], allocation);
}

/** Pages 00 (which pages there are), 80 (serial number) and 83 (designators: T10 vendor id). */
function vitalProductData(page: number, allocation: number, unit: UnitFacts): Plan {
  const name = `${PRODUCT[unit.media]}${unit.id}`;
  const pages: Record<number, number[]> = {
    0: [0x00, 0x80, 0x83],
    128: text(`${unit.id}`, 1),
    131: [0x02, 0x01, 0x00, 8 + name.length, ...text('VIRTAX', 8), ...text(name, name.length)],
  };
  const body = pages[page];
  const type = TYPE[unit.media];
  return body ? reply([type, page, 0, body.length, ...body], allocation) : illegal(CODE.INVALID_FIELD);
}

const reportLuns = (cdb: Uint8Array): Plan =>
  reply([...be32(8), 0, 0, 0, 0, ...new Array<number>(8).fill(0)], u32(cdb, 6));

function capacity10(unit: UnitFacts): Plan {
  return reply([...be32(Math.min(lastBlock(unit), 0xffff_ffff)), ...be32(blockBytes(unit))], 8);
}

function capacity16(cdb: Uint8Array, unit: UnitFacts): Plan {
  return reply([...be64(lastBlock(unit)), ...be32(blockBytes(unit)), ...new Array<number>(20).fill(0)], u32(cdb, 10));
}

/** Page 08 of a disk: the write cache is on, which is why flushes matter. */
const cachingPage = (changeable: boolean): number[] => [
  0x08,
  0x12,
  changeable ? 0 : 0x04,
  ...new Array<number>(17).fill(0),
];

/** The pages that are asked for; 3F is all of them. undefined: there is no such page. */
function modePages(cdb: Uint8Array, unit: UnitFacts): number[] | undefined {
  const page = cdb[2] & 0x3f;
  const changeable = cdb[2] >> 6 === 1;
  const pages = unit.media === 'cdrom' ? cdModePages(changeable) : new Map([[0x08, cachingPage(changeable)]]);
  return page === 0x3f ? [...pages.values()].flat() : pages.get(page);
}

function modeSense(cdb: Uint8Array, header: 4 | 8, allocation: number, unit: UnitFacts): Plan {
  const pages = modePages(cdb, unit);
  if (pages === undefined) return illegal(CODE.INVALID_FIELD);
  const disk = unit.media === 'disk';
  const withBlock = disk && !(cdb[1] & 0x08);
  const blocks = Math.min(lastBlock(unit) + 1, 0xff_ffff);
  const descriptor = withBlock ? [...be32(blocks), ...be32(blockBytes(unit))] : [];
  const medium = disk ? 0 : 0x01; // a CD with data
  const deviceSpecific = disk ? (unit.readonly ? 0x80 : 0) | 0x10 : 0; // write protected; DPO and FUA are honoured
  const length = header + descriptor.length + pages.length;
  const head =
    header === 4
      ? [length - 1, medium, deviceSpecific, descriptor.length]
      : [0, length - 2, medium, deviceSpecific, 0, 0, 0, descriptor.length];
  return reply([...head, ...descriptor, ...pages], allocation);
}
