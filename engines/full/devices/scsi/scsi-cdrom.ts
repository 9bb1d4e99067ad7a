/**
 * The commands that a CD-ROM has and a disk has not, or means otherwise: MMC-5, chapter 6. The disc has one session with one track
 * of data, which is what an image file of a file system is.
 */
import { be16, be32, CODE, GOOD, illegal, lastBlock, OP, type Plan, reply, type UnitFacts, u16 } from './scsi-codes.js';

/** undefined: the command is the same as a disk's. */
export function planCdCommand(cdb: Uint8Array, unit: UnitFacts): Plan | undefined {
  switch (cdb[0]) {
    case OP.READ_TOC:
      return readToc(cdb, unit);
    case OP.GET_CONFIGURATION:
      return getConfiguration(cdb, unit);
    case OP.GET_EVENT_STATUS:
      return eventStatus(cdb, unit);
    case OP.READ_DISC_INFORMATION:
      return discInformation(cdb);
    case OP.START_STOP_UNIT:
      return startStop(cdb, unit);
    case OP.PREVENT_ALLOW_REMOVAL:
      return { kind: 'lock', locked: (cdb[4] & 1) !== 0 };
    default:
      return undefined;
  }
}

/** LoEj with Start: load, without: eject (MMC-5, 6.42). Without LoEj the disc only turns or stops. */
function startStop(cdb: Uint8Array, unit: UnitFacts): Plan {
  const [start, load] = [cdb[4] & 1, cdb[4] & 2];
  if (!load) return GOOD;
  if (!start && unit.locked) return illegal(CODE.REMOVAL_PREVENTED);
  return { kind: 'tray', ejected: !start };
}

/* ---- the table of contents ---- */

const DATA_TRACK = 0x14; // ADR 1: position; a data track that may not be copied
const LEAD_OUT = 0xaa;
const TOC = { TRACKS: 0, SESSIONS: 1, RAW: 2 } as const;
/** Blocks before the first one on a disc: 2 seconds. */
const PREGAP = 150;

/** Minute, second, frame, of 75 a second. */
function msf(block: number): number[] {
  const frame = block + PREGAP;
  return [Math.floor(frame / 4500) & 0xff, Math.floor(frame / 75) % 60, frame % 75];
}

function readToc(cdb: Uint8Array, unit: UnitFacts): Plan {
  const allocation = u16(cdb, 7);
  const place = cdb[1] & 0x02 ? (block: number) => [0, ...msf(block)] : be32;
  const end = lastBlock(unit) + 1;
  // The format stood in the last byte's upper bits (SFF-8020) before it got a field of its own.
  switch (cdb[2] & 0x0f || cdb[9] >> 6) {
    case TOC.TRACKS: {
      const first = cdb[6];
      if (first > 1 && first !== LEAD_OUT) return illegal(CODE.INVALID_FIELD);
      const track = first <= 1 ? [0, DATA_TRACK, 1, 0, ...place(0)] : [];
      return contents([1, 1, ...track, 0, DATA_TRACK, LEAD_OUT, 0, ...place(end)], allocation);
    }
    case TOC.SESSIONS:
      return contents([1, 1, 0, DATA_TRACK, 1, 0, ...place(0)], allocation);
    case TOC.RAW:
      return contents([1, 1, ...rawToc(end)], allocation);
    default:
      return illegal(CODE.INVALID_FIELD);
  }
}

const contents = (body: number[], allocation: number): Plan => reply([...be16(body.length), ...body], allocation);

/** First track, last track, start of the lead-out, and the track itself: session, ADR and control, 0, point, 3 of time, 0, 3 of place. */
function rawToc(end: number): number[] {
  const entry = (point: number, place: number[]) => [1, DATA_TRACK, 0, point, 0, 0, 0, 0, ...place];
  return [...entry(0xa0, [1, 0, 0]), ...entry(0xa1, [1, 0, 0]), ...entry(0xa2, msf(end)), ...entry(1, msf(0))];
}

/* ---- what the drive is ---- */

const PROFILE = { NONE: 0x0000, CD_ROM: 0x0008, DVD_ROM: 0x0010 } as const;
/** 80 minutes: more than a CD holds. */
const CD_BLOCKS_MAX = 80 * 60 * 75;

function currentProfile(unit: UnitFacts): number {
  if (unit.ejected) return PROFILE.NONE;
  return lastBlock(unit) < CD_BLOCKS_MAX ? PROFILE.CD_ROM : PROFILE.DVD_ROM;
}

/** Features (MMC-5, 5.3): code, flags (persistent 2, current 1), data. */
function features(unit: UnitFacts): [number, number[]][] {
  const current = currentProfile(unit);
  const profile = (number: number) => [...be16(number), current === number ? 1 : 0, 0];
  const loaded = unit.ejected ? 0 : 1;
  return [
    [0x0000, [0x03, 8, ...profile(PROFILE.DVD_ROM), ...profile(PROFILE.CD_ROM)]],
    [0x0001, [0x0b, 8, ...be32(1), 1, 0, 0, 0]], // core: a SCSI bus; device busy events
    [0x0003, [0x03, 4, 0x29, 0, 0, 0]], // removable: a tray, can be locked and ejected
    [0x0010, [loaded, 8, ...be32(2048), ...be16(1), 0, 0]], // random readable
    [0x001e, [0x08 | (current === PROFILE.CD_ROM ? 1 : 0), 4, 0, 0, 0, 0]], // CD read
    [0x0100, [0x03, 0]], // power management
  ];
}

function getConfiguration(cdb: Uint8Array, unit: UnitFacts): Plan {
  const [type, start] = [cdb[1] & 3, u16(cdb, 2)];
  if (type === 3) return illegal(CODE.INVALID_FIELD);
  const wanted = features(unit).filter(([code, body]) => {
    if (type === 2) return code === start;
    return code >= start && (type === 0 || (body[0] & 1) !== 0);
  });
  const body = wanted.flatMap(([code, data]) => [...be16(code), ...data]);
  return reply([...be32(4 + body.length), 0, 0, ...be16(currentProfile(unit)), ...body], u16(cdb, 7));
}

/** Polled events of the media class alone (MMC-5, 6.7): is a disc there. News of it come as unit attentions. */
function eventStatus(cdb: Uint8Array, unit: UnitFacts): Plan {
  const allocation = u16(cdb, 7);
  const [immediate, mediaClass] = [cdb[1] & 1, 0x10];
  if (!immediate) return illegal(CODE.INVALID_FIELD);
  if (!(cdb[4] & mediaClass)) return reply([0, 2, 0x80, mediaClass], allocation); // no event of the classes that are asked for
  return reply([0, 6, 4, mediaClass, 0, unit.ejected ? 0x01 : 0x02, 0, 0], allocation);
}

/** A finished disc of one session (MMC-5, 6.22). */
function discInformation(cdb: Uint8Array): Plan {
  const complete = 0x0e; // disc and last session
  const info = [0, 32, complete, 1, 1, 1, 1, 0x20, 0, ...new Array<number>(25).fill(0)];
  return reply(info, u16(cdb, 7));
}

/** Pages 01 (error recovery) and 2A (capabilities; MMC-3, 5.5.10: tray, eject, lock; 4x, since zero would confuse). */
export function cdModePages(changeable: boolean): Map<number, number[]> {
  const speed = be16(706);
  const capabilities = [0x2a, 0x12, 0x08, 0, 0, 0, 0x29, 0, ...speed, ...be16(2), ...be16(512), ...speed, 0, 0, 0, 0];
  const recovery = [0x01, 0x06, 0, 5, 0, 0, 0, 0];
  const shown = (page: number[]): number[] =>
    changeable ? [page[0], page[1], ...new Array<number>(page.length - 2).fill(0)] : page;
  return new Map([
    [0x01, shown(recovery)],
    [0x2a, shown(capabilities)],
  ]);
}
