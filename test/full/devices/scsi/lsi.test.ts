import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RAM_BASE, RAM_BYTES } from '../pci/pci-bench.js';
import { BUFFERS, LsiBench, R, REGS, read10, write10 } from './lsi-driver.js';
import { RAM_AT, SHARED_AT } from './lsi-script.js';

const INTF = 0x04;
const DIP = 0x01;
const SIP = 0x02;
const INT = [0x98080000, 0x77] as const;

/** A bench whose disk has had its unit attention after power-on. */
function ready(diskBytes?: number): LsiBench {
  const b = new LsiBench(diskBytes);
  b.startDriver();
  expect(b.command([0, 0, 0, 0, 0, 0])).toBe(2);
  expect(b.command([0, 0, 0, 0, 0, 0])).toBe(0);
  b.set8(R.ISTAT, INTF);
  return b;
}

describe('53C895A registers', () => {
  it('have their reset values, and the software reset restores them', () => {
    const b = new LsiBench();
    b.set32(R.SCRATCHA, 0xdeadbeef);
    b.set8(R.ISTAT, 0x40);
    b.set8(R.ISTAT, 0);
    expect(b.get32(R.SCRATCHA)).toBe(0);
    expect(b.get8(0x00)).toBe(0xc0);
    expect(b.get8(R.DSTAT)).toBe(0x80); // DMA FIFO empty
    expect(b.get8(R.ISTAT)).toBe(0);
  });

  it('the chip is found by its PCI ids and has 256 bytes of I/O, 1 KiB of registers, 8 KiB of RAM', () => {
    const b = new LsiBench();
    const slot = 1 << 15;
    expect(b.host.ecam.read(slot, 4)).toBe(0x0012_1000);
    for (let n = 0; n < 3; n++) b.host.ecam.write(slot + 0x10 + 4 * n, 4, 0xffffffff);
    expect([0x10, 0x14, 0x18].map((at) => b.host.ecam.read(slot + at, 4))).toEqual([
      0xffffff01, 0xfffffc00, 0xffffe000,
    ]);
  });

  it('a bus reset interrupts, and reading SIST clears it', () => {
    const b = new LsiBench();
    b.set8(R.SCNTL1, 0x08);
    expect(b.interrupt).toBe(true);
    expect(b.get8(R.ISTAT) & SIP).toBe(SIP);
    expect(b.get8(R.SIST0)).toBe(0x02);
    expect(b.get8(R.SIST0)).toBe(0);
    expect(b.interrupt).toBe(false);
  });
});

describe('SCRIPTS', () => {
  const scratch = (b: LsiBench, ...program: number[]): number => {
    b.run(...program, ...INT);
    expect(b.get8(R.ISTAT) & DIP).toBe(DIP);
    expect(b.get32(R.DSPS)).toBe(0x77);
    expect(b.get8(R.DSTAT)).toBe(0x84);
    return b.get32(R.SCRATCHA);
  };

  it('INT stops with its argument and interrupts', () => {
    const b = new LsiBench();
    b.run(...INT);
    expect(b.interrupt).toBe(true);
    expect(b.get32(R.DSP)).toBe(RAM_AT + 8);
    b.get8(R.DSTAT);
    expect(b.interrupt).toBe(false);
  });

  // 5.5: operators move, shift left, or, xor, and, shift right, add, add with carry
  it.each([
    ['move', [0x78341200], 0x12],
    ['or', [0x78341200, 0x7a342100], 0x33],
    ['xor', [0x7834ff00, 0x7b340f00], 0xf0],
    ['and', [0x7834ff00, 0x7c343c00], 0x3c],
    ['add', [0x7834f000, 0x7e342000], 0x10],
    ['shift left', [0x78348100, 0x79340000, 0x79340000], 0x05],
    ['shift right', [0x78340100, 0x7d340000, 0x7d340000], 0x80],
    ['add with carry', [0x7834ff00, 0x7e340100, 0x7f340500], 0x06],
    ['through SFBR', [0x78345a00, 0x72340000, 0x6a350000], 0x5a5a],
    ['SFBR as operand', [0x78340f00, 0x72340000, 0x78353000, 0x7ab50000, 0x78340000], 0x3f00],
  ])('register operation: %s', (_name, operations, result) => {
    expect(scratch(new LsiBench(), ...operations.flatMap((op) => [op, 0]))).toBe(result);
  });

  it('load and store move one to four bytes, absolute or by DSA', () => {
    const b = new LsiBench();
    b.poke32(BUFFERS, 0x11223344, 0x55667788);
    b.set32(R.DSA, BUFFERS + 8);
    expect(scratch(b, 0xe1340004, BUFFERS)).toBe(0x11223344);
    expect(scratch(b, 0xf1340002, 0xfffffc & 0xffffff)).toBe(0x11227788);
    scratch(b, 0xf0340004, 0x10);
    expect(b.peek(BUFFERS + 0x18, 4)).toEqual([0x88, 0x77, 0x22, 0x11]);
  });

  it('memory moves reach RAM, the chip and its registers', () => {
    const b = new LsiBench();
    b.poke32(BUFFERS, 0xcafe0001);
    expect(scratch(b, 0xc0000004, BUFFERS, REGS + R.SCRATCHA)).toBe(0xcafe0001);
    scratch(b, 0xc0000004, BUFFERS, RAM_AT + 0x1000);
    expect(b.read(RAM_AT + 0x1000)).toBe(0xcafe0001);
  });

  it('jumps, calls and returns, absolute and relative', () => {
    const b = new LsiBench();
    const program = [0x88880000, 8, 0x80880000, 0x10, 0x78340100, 0, 0x90080000, 0, 0x7a340600, 0];
    // call +8 -> (4); return -> (2); jump +16 -> (8)... which is the "or"
    expect(scratch(b, ...program)).toBe(0x07);
  });

  it('compares SFBR under a mask', () => {
    const b = new LsiBench();
    const skip = (condition: number) => [0x72340000, 0, condition, 8, 0x7a348000, 0];
    expect(scratch(b, 0x78344200, 0, ...skip(0x808c0042))).toBe(0x42);
    expect(scratch(b, 0x78344200, 0, ...skip(0x808c0043))).toBe(0xc2);
    expect(scratch(b, 0x78344200, 0, ...skip(0x808c0143))).toBe(0x42); // bit 0 ignored
    expect(scratch(b, 0x78344200, 0, ...skip(0x80840043))).toBe(0x42); // unless
  });

  it('INTFLY interrupts and goes on', () => {
    const b = new LsiBench();
    b.run(0x98180000, 0, 0x78349900, 0, 0x50000000, RAM_AT);
    expect(b.get8(R.ISTAT) & (INTF | DIP)).toBe(INTF);
    expect(b.get32(R.SCRATCHA)).toBe(0x99);
    expect(b.interrupt).toBe(true);
    b.set8(R.ISTAT, INTF);
    expect(b.interrupt).toBe(false);
  });

  it('an unknown instruction and a fetch from nowhere stop the chip with a reason', () => {
    const b = new LsiBench();
    b.run(0xa0080000, 0);
    expect(b.get8(R.DSTAT)).toBe(0x81); // illegal instruction
    b.set32(R.DSP, 0x1000);
    expect(b.get8(R.DSTAT)).toBe(0xa0); // bus fault
    b.config(4, 2);
    b.set32(R.DSP, RAM_BASE);
    expect(b.get8(R.DSTAT)).toBe(0xa0); // no bus master
  });

  it('selecting a target that is not there times out', () => {
    const b = new LsiBench();
    b.run(0x41030000, RAM_AT);
    expect(b.get8(R.SIST1)).toBe(0x04);
  });

  /** Linux's sym53c8xx resets the bus after a timeout that comes anywhere else. */
  it('a selection times out at the next instruction that needs the bus, and DSP stands behind it', () => {
    const b = new LsiBench();
    b.run(0x41030000, RAM_AT, 0x78340500, 0, 0x9e030000, 0x55, ...INT);
    expect(b.get8(R.SIST1)).toBe(0x04);
    expect(b.get32(R.DSP)).toBe(RAM_AT + 24);
    expect(b.get8(R.SCRATCHA)).toBe(5);
    expect(b.get8(R.ISTAT) & DIP).toBe(0);
  });

  it('a program that loops for ever is suspended, and goes on when it is let', () => {
    const b = new LsiBench();
    b.run(0x7e340100, 0, 0xe1380001, BUFFERS, 0x72380000, 0, 0x808c0000, -32 & 0xffffff, ...INT);
    expect(b.deferred).toHaveLength(1);
    b.deferred.shift()?.();
    expect(b.deferred).toHaveLength(1);
    b.set32(R.DSP, RAM_AT); // started anew: still one task
    expect(b.deferred).toHaveLength(1);
    expect(b.get8(R.ISTAT) & DIP).toBe(0);
    b.poke(BUFFERS, 1);
    b.deferred.shift()?.();
    expect(b.deferred).toHaveLength(0);
    expect(b.get8(R.DSTAT)).toBe(0x84);
  });

  it('single-step mode stops after each instruction', () => {
    const b = new LsiBench();
    b.set8(R.DCNTL, 0x11);
    b.run(0x78340100, 0, 0x78340200, 0);
    expect(b.get8(R.DSTAT)).toBe(0x88);
    expect(b.get32(R.SCRATCHA)).toBe(1);
    b.set8(R.DCNTL, 0x15);
    expect(b.get32(R.SCRATCHA)).toBe(2);
  });
});

describe('the driver’s SCRIPTS on the model', () => {
  it('waits, and reading CTEST2 took SIGP away', () => {
    const b = ready();
    b.doorbell();
    expect(b.get8(R.ISTAT)).toBe(0);
    expect(b.get8(R.CTEST2) & 0x40).toBe(0);
  });

  it('reads straight into guest memory, with one interrupt', () => {
    const b = ready();
    b.enqueue(3, read10(100, 8), BUFFERS, 4096);
    b.doorbell();
    expect(b.status(3)).toBe(0xff);
    expect(b.disk.requests.map((r) => [r.kind, r.offset])).toEqual([['read', 51200]]);
    expect(b.interrupt).toBe(false);
    b.disk.complete();
    expect(b.status(3)).toBe(0);
    expect(b.interrupt).toBe(true);
    expect(b.peek(BUFFERS, 4096)).toEqual(Array.from(b.disk.bytes.subarray(51200, 51200 + 4096)));
  });

  it('has 32 tagged commands in flight at once, one submission, completed in any order', () => {
    const b = ready();
    const submits = b.disk.submits;
    for (let tag = 0; tag < 32; tag++) b.enqueue(tag, read10(tag * 10, 1), BUFFERS + tag * 512, 512);
    b.doorbell();
    expect(b.disk.requests).toHaveLength(32);
    expect(b.lsi.inFlight).toBe(32);
    expect(b.disk.submits).toBe(submits + 1);
    while (b.disk.requests.length > 0) b.disk.complete((b.disk.requests.length * 7) % b.disk.requests.length);
    for (let tag = 0; tag < 32; tag++) {
      expect(b.status(tag)).toBe(0);
      expect(b.peek(BUFFERS + tag * 512, 512)).toEqual(Array.from(b.disk.bytes.subarray(tag * 5120, tag * 5120 + 512)));
    }
    expect(b.lsi.counters()).toMatchObject({ 'lsi.commands': 34, 'lsi.reselections': 32 });
  });

  it('writes from guest memory, flushes, and writes durably (FUA)', () => {
    const b = ready();
    b.poke(BUFFERS, ...new Array<number>(512).fill(0xab));
    expect(b.command(write10(5, 1), 512)).toBe(0);
    expect(b.disk.bytes[5 * 512 + 511]).toBe(0xab);
    expect(b.disk.flushes).toBe(0);
    expect(b.command([0x35, 0, 0, 0, 0, 0, 0, 0, 0, 0])).toBe(0);
    expect(b.disk.flushes).toBe(1);
    expect(b.command(write10(6, 1, 0x08), 512)).toBe(0);
    expect(b.disk.flushes).toBe(2);
  });

  it('a command that may not disconnect keeps the bus until it is done', () => {
    const b = ready();
    b.enqueue(1, read10(0, 1), BUFFERS, 512, 0, 0x80);
    b.enqueue(2, read10(1, 1), BUFFERS + 512, 512);
    b.doorbell();
    expect(b.disk.requests).toHaveLength(1);
    b.disk.complete();
    expect(b.status(1)).toBe(0);
    expect(b.disk.requests).toHaveLength(1);
    b.disk.complete();
    expect(b.status(2)).toBe(0);
  });

  it('a transfer that ends early leaves the rest in the table (phase mismatch)', () => {
    const b = ready();
    expect(b.command([0x12, 0, 0, 0, 36, 0], 100)).toBe(0);
    expect(b.table(0)).toEqual([64, BUFFERS + 36]);
    expect(String.fromCharCode(...b.peek(BUFFERS + 8, 6))).toBe('VIRTAX');
  });

  it('an error of the host becomes CHECK CONDITION, MEDIUM ERROR', () => {
    const b = ready();
    b.enqueue(4, read10(0, 1), BUFFERS, 512);
    b.doorbell();
    b.disk.complete(0, -5);
    expect(b.status(4)).toBe(2);
    expect(b.command([0x03, 0, 0, 0, 18, 0], 18)).toBe(0);
    const sense = b.peek(BUFFERS, 18);
    expect([sense[0], sense[2], sense[12], sense[13]]).toEqual([0x70, 3, 0x11, 0]);
  });

  it('data to where there is no memory is a bus fault, and nothing is written', () => {
    const b = ready();
    b.enqueue(0, read10(0, 8), RAM_BASE + RAM_BYTES - 512, 4096);
    b.doorbell();
    expect(b.get8(R.DSTAT) & 0x20).toBe(0x20);
    expect(b.disk.requests).toHaveLength(0);
  });

  it('a data phase cut into many pieces waits for room at the host', () => {
    const b = ready();
    const table = BUFFERS + 65536;
    b.poke(table, 0xc0, 0x20, 0x01, ...read10(0, 1500));
    const words = [0x41000000, RAM_AT, 0x0e000003, table, 0x0a00000a, table + 3];
    for (let i = 0; i < 700; i++) words.push(0x09000200, BUFFERS); // 700 moves of 512 bytes a round
    words.push(0x80080000, RAM_AT + 24);
    b.set8(R.CCNTL0, 0); // a mismatch interrupts
    b.run(...words);
    for (let i = 0; i < 20; i++) for (const task of b.deferred.splice(0)) task();
    expect(b.lsi.inFlight).toBe(512);
    b.disk.completeAll();
    expect(b.get8(R.SIST0)).toBe(0x80); // 1500 pieces moved, and the target wants a message taken
    expect(b.lsi.inFlight).toBe(0);
  });

  it('completions of before a bus reset are nobody’s', () => {
    const b = ready();
    b.enqueue(9, read10(0, 1), BUFFERS, 512);
    b.doorbell();
    b.set8(R.SCNTL1, 8);
    b.set8(R.SCNTL1, 0);
    b.get8(R.SIST0);
    b.startDriver();
    b.enqueue(8, [0, 0, 0, 0, 0, 0], BUFFERS, 1);
    b.doorbell();
    expect(b.status(8)).toBe(2); // unit attention: a reset has happened
    b.enqueue(9, read10(1, 1), BUFFERS, 512);
    b.doorbell();
    b.disk.complete(0, -5);
    expect(b.status(9)).toBe(0xff);
    b.disk.complete();
    expect(b.status(9)).toBe(0);
  });

  it('a tag that is used twice ends in an error, not in confusion', () => {
    const b = ready();
    b.enqueue(9, read10(0, 1), BUFFERS, 512);
    b.doorbell();
    b.enqueue(9, read10(1, 1), BUFFERS, 512);
    b.doorbell();
    expect(b.status(9)).toBe(2);
    b.disk.completeAll();
    expect(b.lsi.inFlight).toBe(0);
  });

  it('works for any mixture of commands and any order of completions', () => {
    const step = fc.record({
      block: fc.nat(2047),
      blocks: fc.integer({ min: 1, max: 8 }),
      write: fc.boolean(),
      pick: fc.nat(31),
    });
    fc.assert(
      fc.property(fc.array(fc.array(step, { minLength: 1, maxLength: 32 }), { maxLength: 4 }), (batches) => {
        const b = ready();
        for (const batch of batches) {
          batch.forEach((s, tag) => {
            const block = Math.min(s.block, 2048 - s.blocks);
            b.enqueue(
              tag,
              s.write ? write10(block, s.blocks) : read10(block, s.blocks),
              BUFFERS + tag * 4096,
              s.blocks * 512,
            );
          });
          b.doorbell();
          for (const s of batch) b.disk.complete(s.pick % Math.max(1, b.disk.requests.length));
          batch.forEach((_, tag) => {
            expect(b.status(tag)).toBe(0);
          });
          expect(b.lsi.inFlight).toBe(0);
        }
      }),
      { numRuns: 60 },
    );
  });
});

describe('53C895A against a hostile guest', () => {
  const word = fc.oneof(
    fc.integer({ min: 0, max: 0xffffffff }),
    fc.constantFrom(
      0x41000000,
      0x50000000,
      0x48000000,
      0x0e000003,
      0x0a000006,
      0x09000200,
      0x08000200,
      0x0b000001,
      0x0f000001,
      0x80080000,
    ),
    fc.constantFrom(RAM_AT, RAM_AT + 16, RAM_BASE, BUFFERS, SHARED_AT, RAM_BASE + RAM_BYTES - 3, REGS, REGS + 0x2c),
  );
  const size = fc.constantFrom(1 as const, 2 as const, 4 as const);
  const write = fc.record({ register: fc.nat(63), size, value: word });

  it('random programs and registers never throw, never hang, never leave RAM', () => {
    fc.assert(
      fc.property(
        fc.array(word, { minLength: 2, maxLength: 40 }),
        fc.array(write, { maxLength: 30 }),
        (program, writes) => {
          const b = new LsiBench(1 << 16);
          b.poke32(BUFFERS, ...program);
          b.poke(SHARED_AT, 0xc0, 0x20, 0x01, 0x28, 0, 0, 0, 0, 1, 0, 0, 1, 0);
          b.run(...program);
          for (const w of writes) {
            b.write(REGS + w.register * 4, w.size === 4 ? w.value : w.value % 2 ** (8 * w.size), w.size);
            b.read(REGS + w.register * 4, w.size);
            for (const task of b.deferred.splice(0)) task();
            b.disk.complete();
          }
          b.disk.completeAll();
          expect(b.after.every((byte) => byte === 0)).toBe(true);
        },
      ),
      { numRuns: 200 },
    );
  });
});
