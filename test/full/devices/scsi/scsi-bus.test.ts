/** Several targets on the 53C895A's bus, a CD-ROM among them; negotiation. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BUFFERS, LsiBench, R, read10, write10 } from './lsi-driver.js';
import { RAM_AT } from './lsi-script.js';

const CD = 2;
const CD_BYTES = 64 * 2048;
const TEST_UNIT_READY = [0, 0, 0, 0, 0, 0];
const REQUEST_SENSE = [3, 0, 0, 0, 18, 0];

/** A disk, a read-only disk and a CD-ROM, all past their unit attention. */
function ready(): LsiBench {
  const b = new LsiBench(1 << 20, false, [
    { bytes: 1 << 19, readonly: true, media: 'disk' },
    { bytes: CD_BYTES, readonly: true, media: 'cdrom' },
  ]);
  b.startDriver();
  for (const target of [0, 1, CD]) {
    expect(b.command(TEST_UNIT_READY, 1, BUFFERS, target)).toBe(2);
    expect(sense(b, target)).toEqual([6, 0x29, 0]);
    expect(b.command(TEST_UNIT_READY, 1, BUFFERS, target)).toBe(0);
  }
  return b;
}

/** Key, additional sense code and qualifier of the target's last failure. */
function sense(b: LsiBench, target: number): number[] {
  expect(b.command(REQUEST_SENSE, 18, BUFFERS, target)).toBe(0);
  const data = b.peek(BUFFERS, 18);
  return [data[2], data[12], data[13]];
}

function answer(b: LsiBench, cdb: number[], bytes: number, target: number = CD): number[] {
  b.poke(BUFFERS, ...new Array<number>(bytes).fill(0xee));
  expect(b.command(cdb, bytes, BUFFERS, target)).toBe(0);
  return b.peek(BUFFERS, bytes);
}

describe('several targets', () => {
  it('each has its own blocks, type and serial number', () => {
    const b = ready();
    const kinds = [0, 1, CD].map((target) => answer(b, [0x12, 0, 0, 0, 36, 0], 36, target).slice(0, 2));
    expect(kinds).toEqual([
      [0x00, 0x00],
      [0x00, 0x00],
      [0x05, 0x80],
    ]);
    const serials = [0, 1, CD].map((target) => answer(b, [0x12, 1, 0x80, 0, 5, 0], 5, target)[4]);
    expect(new Set(serials).size).toBe(3);
    expect(answer(b, [0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0], 8, 1)).toEqual([0, 0, 3, 255, 0, 0, 2, 0]);
    expect(answer(b, [0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0], 8, CD)).toEqual([0, 0, 0, 63, 0, 0, 8, 0]);
  });

  it('the id of the controller and those behind the last disk do not answer', () => {
    for (const id of [3, 7, 15]) {
      const b = ready();
      b.enqueue(0, TEST_UNIT_READY, BUFFERS, 1, id);
      b.doorbell();
      expect(b.get8(R.SIST1)).toBe(0x04);
    }
  });

  it('sense data is each target’s own', () => {
    const b = ready();
    expect(b.command([0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0], 1, BUFFERS, 0)).toBe(2);
    expect(b.command(write10(0, 1), 512, BUFFERS, 1)).toBe(2);
    expect(sense(b, 0)).toEqual([5, 0x20, 0]);
    expect(sense(b, 1)).toEqual([7, 0x27, 0]);
    expect(sense(b, CD)).toEqual([0, 0, 0]);
  });

  it('commands of all are in flight at once, and come back in any order', () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat(2), { minLength: 1, maxLength: 32 }),
        fc.infiniteStream(fc.nat(31)),
        (targets, picks) => {
          const b = ready();
          targets.forEach((target, tag) => {
            b.enqueue(tag, read10(tag, 1), BUFFERS + tag * 2048, target === CD ? 2048 : 512, target);
          });
          b.doorbell();
          expect(b.lsi.inFlight).toBe(targets.length);
          while (b.disks.some((disk) => disk.requests.length > 0)) {
            const waiting = b.disks.filter((disk) => disk.requests.length > 0);
            const disk = waiting[(picks.next().value ?? 0) % waiting.length];
            disk.complete((picks.next().value ?? 0) % disk.requests.length);
          }
          targets.forEach((target, tag) => {
            const bytes = target === CD ? 2048 : 512;
            expect(b.status(tag)).toBe(0);
            const want = Array.from(b.disks[target].bytes.subarray(tag * bytes, (tag + 1) * bytes));
            expect(b.peek(BUFFERS + tag * 2048, bytes)).toEqual(want);
          });
        },
      ),
      { numRuns: 40 },
    );
  });
});

describe('the CD-ROM', () => {
  it('reads 2048-byte blocks and writes none', () => {
    const b = ready();
    expect(b.command(read10(3, 2), 4096, BUFFERS, CD)).toBe(0);
    expect(b.peek(BUFFERS, 4096)).toEqual(Array.from(b.disks[CD].bytes.subarray(3 * 2048, 5 * 2048)));
    expect(b.command(read10(63, 2), 4096, BUFFERS, CD)).toBe(2);
    expect(sense(b, CD)).toEqual([5, 0x21, 0]);
    expect(b.command(write10(0, 1), 2048, BUFFERS, CD)).toBe(2);
    expect(sense(b, CD)).toEqual([5, 0x20, 0]);
  });

  it('READ TOC: one data track and the lead-out, as blocks and as minutes (MMC-5, 6.26)', () => {
    const b = ready();
    const toc = [0x43, 0, 0, 0, 0, 0, 0, 0, 20, 0];
    expect(answer(b, toc, 20)).toEqual([
      ...[0, 18, 1, 1],
      ...[0, 0x14, 1, 0, 0, 0, 0, 0],
      ...[0, 0x14, 0xaa, 0, 0, 0, 0, 64],
    ]);
    const minutes = answer(b, [0x43, 2, ...toc.slice(2)], 20);
    expect([minutes.slice(8, 12), minutes.slice(16, 20)]).toEqual([
      [0, 0, 2, 0],
      [0, 0, 2, 64],
    ]);
    expect(answer(b, [0x43, 0, 1, 0, 0, 0, 0, 0, 12, 0], 12)).toEqual([0, 10, 1, 1, 0, 0x14, 1, 0, 0, 0, 0, 0]);
    expect(answer(b, [0x43, 0, 0, 0, 0, 0, 0xaa, 0, 12, 0], 12).slice(0, 7)).toEqual([0, 10, 1, 1, 0, 0x14, 0xaa]);
  });

  it('GET CONFIGURATION: a CD-ROM now, and a DVD-ROM if the image were larger (MMC-5, 6.6)', () => {
    const b = ready();
    const all = answer(b, [0x46, 0, 0, 0, 0, 0, 0, 0, 64, 0], 64);
    expect(all.slice(4, 8)).toEqual([0, 0, 0, 0x08]);
    expect(all.slice(8, 20)).toEqual([0, 0, 0x03, 8, 0, 0x10, 0, 0, 0, 0x08, 1, 0]);
    const length = all[3];
    let at = 8;
    while (at < 4 + length) at += 4 + all[at + 3];
    expect(at).toBe(4 + length);
    expect(answer(b, [0x46, 2, 0, 3, 0, 0, 0, 0, 16, 0], 16)).toEqual([
      0, 0, 0, 12, 0, 0, 0, 8, 0, 3, 3, 4, 0x29, 0, 0, 0,
    ]);
  });

  it('MODE SENSE: what it can (page 2A), without a block descriptor', () => {
    const page = answer(ready(), [0x5a, 0, 0x2a, 0, 0, 0, 0, 0, 28, 0], 28);
    expect([page[1], page[7], page[8], page[9], page[14]]).toEqual([26, 0, 0x2a, 0x12, 0x29]);
  });

  it('is ejected and loaded by START STOP UNIT, unless it is locked', () => {
    const b = ready();
    const startStop = (flags: number) => b.command([0x1b, 0, 0, 0, flags, 0], 1, BUFFERS, CD);
    const event = () => answer(b, [0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8, 0], 8)[5];
    const lock = (on: number) => b.command([0x1e, 0, 0, 0, on, 0], 1, BUFFERS, CD);
    expect([lock(1), startStop(2)]).toEqual([0, 2]);
    expect(sense(b, CD)).toEqual([5, 0x53, 2]);
    expect([lock(0), event(), startStop(2), event()]).toEqual([0, 2, 0, 1]);
    expect(b.command(read10(0, 1), 2048, BUFFERS, CD)).toBe(2);
    expect(sense(b, CD)).toEqual([2, 0x3a, 0]);
    expect(startStop(3)).toBe(0);
    expect(b.command(TEST_UNIT_READY, 1, BUFFERS, CD)).toBe(2);
    expect(sense(b, CD)).toEqual([6, 0x28, 0]);
    expect(b.command(read10(0, 1), 2048, BUFFERS, CD)).toBe(0);
  });
});

describe('scatter lists', () => {
  it('all pieces of a command are one request at the host, and those that follow each other in memory are one piece', () => {
    const b = ready();
    b.poke(BUFFERS, 0x80, ...read10(0, 5));
    const pieces = [0, 512, 1024, 4096, 2048].map((at) => BUFFERS + 4096 + at);
    const moves = pieces.flatMap((at) => [0x09000200, at]);
    b.run(0x41000000, 0, 0x0e000001, BUFFERS, 0x0a00000a, BUFFERS + 1, ...moves, 0x98080000, 0x77);
    expect(b.get32(R.DSPS)).toBe(0x77);
    expect(b.disk.requests.map(({ offset }) => offset)).toEqual([0]);
    expect(b.disk.pieces).toEqual([3]);
    b.disk.completeAll();
    pieces.forEach((at, i) => {
      expect(b.peek(at, 512)).toEqual(Array.from(b.disk.bytes.subarray(i * 512, (i + 1) * 512)));
    });
    expect(b.lsi.inFlight).toBe(0);
  });

  it('a program that ends within a data phase keeps no piece back', () => {
    const b = ready();
    b.poke(BUFFERS, 0x80, ...read10(0, 5));
    b.run(0x41000000, 0, 0x0e000001, BUFFERS, 0x0a00000a, BUFFERS + 1, 0x09000200, BUFFERS + 4096, 0x98080000, 0x77);
    expect(b.disk.requests).toHaveLength(1);
  });
});

describe('messages', () => {
  /** Selects target 0 with a message, takes the answer, and stops. MESSAGE OUT's bytes at BUFFERS, MESSAGE IN's behind. */
  const negotiate = (message: number[], bytes: number): { answer: number[]; phase: number } => {
    const b = ready();
    b.poke(BUFFERS, ...message);
    b.run(0x41000000, 0, 0x0e000000 + message.length, BUFFERS, 0x0f000000 + bytes, BUFFERS + 64, 0x98080000, 0x77);
    expect(b.get32(R.DSPS)).toBe(0x77);
    return { answer: b.peek(BUFFERS + 64, bytes), phase: b.get8(0x0e) & 7 };
  };

  it('synchronous transfers are answered with offset 0: asynchronous (SCSI-2, 6.6.21)', () => {
    expect(negotiate([0xc0, 1, 3, 1, 0x0c, 16], 5)).toEqual({ answer: [1, 3, 1, 0x0c, 0], phase: 2 });
  });

  it('wide transfers are answered with 8 bits (SCSI-3 SPI, 6.6.23)', () => {
    expect(negotiate([0xc0, 0x20, 5, 1, 2, 3, 1], 4)).toEqual({ answer: [1, 2, 3, 0], phase: 2 });
  });

  it.each([
    ['parallel protocol request', [0xc0, 1, 6, 4, 9, 0, 31, 1, 2]],
    ['an unknown message', [0xc0, 0x33]],
    ['an extended message that is cut off', [0xc0, 1]],
  ])('%s is rejected', (_name, message) => {
    expect(negotiate(message, 1)).toEqual({ answer: [7], phase: 2 });
  });
});

describe('hostile programs', () => {
  /** Seeds of runs that are kept, beside a new one each time. */
  const SEEDS = [1, 0x5c51, 895, 20_261_122];
  const id = fc.nat(15).map((n) => 0x41000000 | (n << 16));
  const move = fc.tuple(fc.nat(7), fc.nat(600)).map(([phase, bytes]) => (phase << 24) | bytes);
  const instruction = fc.oneof(
    fc.tuple(fc.oneof(id, move), fc.constantFrom(BUFFERS, BUFFERS + 6, RAM_AT + 64, 0, 0xffff_fff0)),
    fc.tuple(fc.integer({ min: 0, max: 0xffffffff }), fc.integer({ min: 0, max: 0xffffffff })),
    fc.tuple(
      fc.constantFrom(0x80880000, 0x80080000, 0x54000000, 0x48000000, 0x98180000),
      fc.integer({ min: -64, max: 64 }),
    ),
  );
  const program = fc.array(instruction, { minLength: 1, maxLength: 60 });
  const memory = fc.uint8Array({ minLength: 64, maxLength: 64 });

  it.each([...SEEDS, undefined])(
    'leave RAM alone, come to an end, and the chip works again after a reset (seed %s)',
    (seed) => {
      fc.assert(
        fc.property(program, memory, (words, bytes) => {
          const b = ready();
          b.poke(BUFFERS, 0xc0, 0x20, 1, 0x28, 0, 0, ...bytes);
          b.run(...words.flat().map((word) => word >>> 0));
          for (let i = 0; i < 20; i++) {
            for (const task of b.deferred.splice(0)) task();
            for (const disk of b.disks) disk.complete();
            b.set8(R.ISTAT, 0x20);
          }
          for (const disk of b.disks) disk.completeAll();
          expect(b.after.every((byte) => byte === 0)).toBe(true);
          b.set8(R.ISTAT, 0x40);
          b.set8(R.ISTAT, 0);
          b.set8(R.SCNTL1, 0x08);
          b.set8(R.SCNTL1, 0);
          for (const disk of b.disks) disk.completeAll();
          for (const [register, value] of [
            [R.DIEN, 0x75],
            [R.SIEN0, 0x8f],
            [R.SIEN1, 0x04],
            [R.DCNTL, 0x01],
            [R.CCNTL0, 0x80],
          ])
            b.set8(register, value);
          b.get8(R.SIST0);
          b.get8(R.SIST1);
          b.get8(R.DSTAT);
          b.startDriver();
          expect(b.command(TEST_UNIT_READY)).toBe(2);
          expect(b.command(read10(0, 1), 512)).toBe(0);
          expect(b.lsi.inFlight).toBe(0);
        }),
        { numRuns: 60, ...(seed === undefined ? {} : { seed }) },
      );
    },
  );
});
