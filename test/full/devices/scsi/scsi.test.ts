import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { UnitFacts } from '#engines/full/devices/scsi/scsi-codes.js';
import { cdbBytes, planCommand } from '#engines/full/devices/scsi/scsi-commands.js';

const disk: UnitFacts = { id: 0, bytes: 2048 * 512, readonly: false, media: 'disk', ejected: false, locked: false };
const plan = (cdb: number[], lun = 0, facts = disk) =>
  planCommand(
    Uint8Array.from({ length: 16 }, (_, i) => cdb[i] ?? 0),
    lun,
    facts,
  );
const reply = (cdb: number[], lun = 0, facts = disk): number[] => {
  const p = plan(cdb, lun, facts);
  expect(p.kind).toBe('reply');
  return p.kind === 'reply' ? Array.from(p.bytes) : [];
};

describe('SCSI commands of the disk', () => {
  it('INQUIRY: a disk with command queueing; no device behind other LUNs (SPC-3, 6.4)', () => {
    const data = reply([0x12, 0, 0, 0, 36, 0]);
    expect(data).toHaveLength(36);
    expect([data[0], data[2], data[3], data[4], data[7] & 2]).toEqual([0, 5, 2, 31, 2]);
    expect(reply([0x12, 0, 0, 0, 36, 0], 3)[0]).toBe(0x7f);
    expect(reply([0x12, 0, 0, 0, 5, 0])).toHaveLength(5);
  });

  it('INQUIRY: vital product data lists its pages', () => {
    expect(reply([0x12, 1, 0, 0, 255, 0])).toEqual([0, 0, 0, 3, 0, 0x80, 0x83]);
    expect(reply([0x12, 1, 0x83, 0, 255, 0]).slice(0, 8)).toEqual([0, 0x83, 0, 17, 2, 1, 0, 13]);
    expect(plan([0x12, 1, 0x55, 0, 255, 0])).toEqual({ kind: 'check', key: 5, code: 0x2400 });
  });

  it('READ CAPACITY: the last block and the block length (SBC-2, 5.10 and 5.11)', () => {
    expect(reply([0x25])).toEqual([0, 0, 7, 255, 0, 0, 2, 0]);
    expect(reply([0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 12])).toEqual([0, 0, 0, 0, 0, 0, 7, 255, 0, 0, 2, 0]);
    const large = { ...disk, bytes: 2 ** 32 * 512 + 512 };
    expect(reply([0x25], 0, large).slice(0, 4)).toEqual([255, 255, 255, 255]);
    expect(reply([0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8], 0, large)).toEqual([0, 0, 0, 1, 0, 0, 0, 0]);
  });

  it.each([
    ['READ(6)', [0x08, 0, 1, 2, 3], 'read', 0x102, 3],
    ['READ(6) of 0 blocks is 256', [0x08, 0, 0, 0, 0], 'read', 0, 256],
    ['READ(10)', [0x28, 0, 0, 0, 1, 2, 0, 0, 4], 'read', 0x102, 4],
    ['READ(12)', [0xa8, 0, 0, 0, 1, 2, 0, 0, 0, 5], 'read', 0x102, 5],
    ['READ(16)', [0x88, 0, 0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 6], 'read', 0x102, 6],
    ['WRITE(6)', [0x0a, 0, 1, 2, 3], 'write', 0x102, 3],
    ['WRITE(10)', [0x2a, 0, 0, 0, 1, 2, 0, 0, 4], 'write', 0x102, 4],
    ['WRITE(12)', [0xaa, 0, 0, 0, 1, 2, 0, 0, 0, 5], 'write', 0x102, 5],
    ['WRITE(16)', [0x8a, 0, 0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 6], 'write', 0x102, 6],
  ])('%s', (_name, cdb, kind, block, blocks) => {
    expect(plan(cdb)).toMatchObject({ kind, offset: block * 512, bytes: blocks * 512 });
  });

  it('refuses what is out of range, unknown, read-only, or at another LUN', () => {
    expect(plan([0x28, 0, 0, 0, 7, 255, 0, 0, 1]).kind).toBe('read');
    expect(plan([0x28, 0, 0, 0, 8, 0, 0, 0, 1])).toEqual({ kind: 'check', key: 5, code: 0x2100 });
    expect(plan([0x28, 0, 0, 0, 7, 255, 0, 0, 2])).toEqual({ kind: 'check', key: 5, code: 0x2100 });
    expect(plan([0xff])).toEqual({ kind: 'check', key: 5, code: 0x2000 });
    expect(plan([0x2a, 0, 0, 0, 0, 0, 0, 0, 1], 0, { ...disk, readonly: true })).toMatchObject({
      key: 7,
      code: 0x2700,
    });
    expect(plan([0x00], 1)).toMatchObject({ key: 5, code: 0x2500 });
  });

  it('MODE SENSE: the caching page has the write cache on (SBC-2, 6.3.3)', () => {
    const six = reply([0x1a, 0, 0x08, 0, 255]);
    expect([six[0], six[3], six.length]).toEqual([31, 8, 32]);
    expect(six.slice(12, 15)).toEqual([0x08, 0x12, 0x04]);
    const ten = reply([0x5a, 8, 0x3f, 0, 0, 0, 0, 0, 255]);
    expect([ten[1], ten[7], ten.length]).toEqual([26, 0, 28]);
  });

  it('REPORT LUNS: LUN 0 (SPC-3, 6.21)', () => {
    expect(reply([0xa0, 0, 0, 0, 0, 0, 0, 0, 0, 16])).toEqual([0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
  });

  it('CDB lengths by group (SPC-3, 4.3.2)', () => {
    expect([0x00, 0x28, 0x5a, 0x88, 0xa0].map(cdbBytes)).toEqual([6, 10, 10, 16, 12]);
  });

  it('any command block ends in a plan that stays inside the disk', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), fc.nat(7), (cdb, lun) => {
        const p = planCommand(cdb, lun, disk);
        if (p.kind === 'read' || p.kind === 'write') {
          expect(p.offset >= 0 && p.bytes > 0 && p.offset + p.bytes <= disk.bytes).toBe(true);
        }
        if (p.kind === 'reply') expect(p.bytes.length).toBeLessThanOrEqual(256);
      }),
      { numRuns: 2000 },
    );
  });
});
