import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type Assembler, reg } from './assembler.js';
import { addi, bType, CSR, csrrw, fenceI, iType, jalr, mret, rType, sfenceVma } from './cpu/support/encode.js';
import { CLINT, finish, guest } from './guests.js';
import { runGuest } from './run-guest.js';

// Several harts at once: code and mappings that one of them changes while the others execute and use them, and what
// they must agree on in memory. Interpreted, and with everything translated.

const PASS = 0x5555;
const FAIL = (1 << 16) | 0x3333;
const RAM = 0x8000_0000;
const ROOT = RAM + 0x10_0000;
const PAGES = RAM + 0x40_0000;
const MSIE = 1 << 3;

const [zero, ra, a1, a2, s2, s3, s4, s5, t0] = 'zero ra a1 a2 s2 s3 s4 s5 t0'.split(' ').map(reg);
const blt = bType(4);
const fence = 0x0330_000f; // rw, rw
const amo = (funct5: number, width: 2 | 3) => (rd: string, rs2: string, rs1: string) =>
  rType(0x2f, width, funct5 << 2)(reg(rd), reg(rs1), reg(rs2));
const [amoaddD, amoswapW, amomaxuW, amoxorD] = [amo(0, 3), amo(1, 2), amo(0x1c, 2), amo(4, 3)];
const lr = (width: 2 | 3, rd: string, rs1: string) => amo(2, width)(rd, 'zero', rs1);
const sc = (width: 2 | 3, rd: string, rs2: string, rs1: string) => amo(3, width)(rd, rs2, rs1);

/** Interrupted by another hart's IPI: forgets mappings or code, and says so. Uses t3 to t6 alone. A trap is a failure. */
function handler(a: Assembler, forget: number): void {
  a.label('handler')
    .csrr('t3', 'mcause')
    .word(bType(5)(reg('t3'), 0, 8))
    .j('told')
    .j('fail');
  a.label('told').csrr('t3', 'mhartid').slli('t3', 't3', 2).li('t4', CLINT).add('t3', 't3', 't4');
  a.sw('zero', 0, 't3').word(forget).la('t3', 'acks').li('t4', 1);
  a.amoaddW('zero', 't4', 't3').word(mret);
}

/** All other harts are interrupted, and have answered. s1: how many they are. Uses t0 to t5. */
function tellAll(a: Assembler, harts: number): void {
  a.word(fence).la('t0', 'acks').sw('zero', 0, 't0').word(fence).li('t1', CLINT).li('t2', 1);
  for (let hart = 1; hart < harts; hart++) a.sw('t2', 4 * hart, 't1');
  a.li('t3', harts - 1)
    .label('answers')
    .lw('t4', 0, 't0')
    .bne('t4', 't3', 'answers');
}

/** Harts but 0 are told by MSIP; paging is theirs alone. */
function start(a: Assembler): void {
  a.la('t0', 'handler').csrw('mtvec', 't0').la('s0', 'generation').li('s1', 1);
  a.li('t1', RAM - 4096).word(addi(5, 0, -1), csrrw(0, CSR.pmpaddr0, 5), addi(5, 0, 0x1f), csrrw(0, CSR.pmpcfg0, 5));
  a.bne('a0', 'zero', 'other');
}

function end(a: Assembler): void {
  a.label('pass');
  finish(a, PASS);
  a.label('fail').li('t0', 0x10_0000).li('t1', FAIL).sw('t1', 0, 't0').label('stay').j('stay');
  while (a.size % 64 !== 0) a.word(0);
  a.label('generation').word(0, 0, 0, 0).label('acks').word(0, 0, 0, 0).label('ready').word(0, 0, 0, 0);
}

const count = (a: Assembler, label: string): Assembler => a.la('t0', label).li('t1', 1).amoaddW('zero', 't1', 't0');

const waitFor = (a: Assembler, label: string, name: string, value: number): Assembler =>
  a.la('t0', label).li('t2', value).label(name).lw('t1', 0, 't0').bne('t1', 't2', name);

describe.each(['interpreter', 'forced'])('harts, %s', (cpu) => {
  beforeEach(() => void vi.stubEnv('VIRTAX_CPU', cpu));
  afterEach(() => void vi.unstubAllEnvs());

  const GENERATIONS = Number(process.env.VIRTAX_TEST_ROUNDS ?? 30);

  it.each([2, 4])('%i: code that one patches is executed by all once they have done fence.i', async (harts) => {
    const image = guest((a) => {
      start(a);
      // addi a1, zero, GENERATION
      waitFor(a, 'ready', 'all', harts - 1);
      a.la('s2', 'patched')
        .lw('s3', 0, 's2')
        .li('s4', 1 << 20)
        .li('s5', GENERATIONS);
      a.label('next').add('s3', 's3', 's4').sw('s3', 0, 's2').word(fenceI);
      tellAll(a, harts);
      a.lw('t0', 0, 's0').addi('t0', 't0', 1).sw('t0', 0, 's0');
      a.word(addi(s5, s5, -1))
        .bne('s5', 'zero', 'next')
        .j('pass');
      a.label('other').li('t0', MSIE).csrw('mie', 't0').li('t0', 8).csrw('mstatus', 't0');
      count(a, 'ready');
      // A generation was told of when all had done their fence.i: what is executed then is not older.
      a.label('again').lw('s2', 0, 's0').call('function').lw('s3', 0, 's0').addi('s3', 's3', 1);
      a.word(blt(a1, s2, 12), blt(s3, a1, 8))
        .j('again')
        .j('fail');
      a.label('function')
        .word(addi(a2, a2, 1))
        .label('patched')
        .word(addi(a1, 0, 0))
        .ret();
      handler(a, fenceI);
      end(a);
    });
    expect((await runGuest(image, { harts })).how).toEqual({ kind: 'poweroff', code: 0 });
  });

  it.each([2, 4])(
    '%i: a page that one maps elsewhere is read and executed there by all after sfence.vma',
    async (harts) => {
      const table = (level: number): number => ROOT + level * 4096;
      const image = guest((a) => {
        start(a);
        // Pages with a number in 64 words, and a function that gives it.
        a.li('s2', PAGES)
          .li('s3', GENERATIONS + 1)
          .li('s4', 0)
          .li('s5', 4096);
        a.la('t0', 'function')
          .lw('t1', 0, 't0')
          .lw('t2', 4, 't0')
          .li('t3', 1 << 20);
        a.label('fill').sw('t1', 0, 's2').sw('t2', 4, 's2').add('t1', 't1', 't3').li('t4', 64).addi('t5', 's2', 1024);
        a.label('words').sw('s4', 0, 't5').addi('t5', 't5', 4).addi('t4', 't4', -1).bne('t4', 'zero', 'words');
        a.add('s2', 's2', 's5').addi('s4', 's4', 1).addi('s3', 's3', -1).bne('s3', 'zero', 'fill');
        // Sv39: RAM as it is, by a page of 1 GiB; the page at 0 by tables.
        a.li('t0', table(0))
          .li('t1', (((RAM >>> 12) << 10) >>> 12) << 12)
          .word(addi(t0 + 1, t0 + 1, 0xcf))
          .sd('t1', 16, 't0');
        a.li('t1', (table(1) >>> 12) * 1024)
          .addi('t1', 't1', 1)
          .sd('t1', 0, 't0');
        a.li('t0', table(1))
          .li('t1', (table(2) >>> 12) * 1024)
          .addi('t1', 't1', 1)
          .sd('t1', 0, 't0');
        a.li('s2', table(2))
          .li('s3', (PAGES >>> 12) * 1024)
          .addi('s3', 's3', 0xcf)
          .sd('s3', 0, 's2');
        a.word(fence, fenceI).la('t0', 'mapped').li('t1', 1).sw('t1', 0, 't0');
        waitFor(a, 'ready', 'all', harts - 1);
        a.li('s5', GENERATIONS);
        a.label('next').addi('s3', 's3', 1024).sd('s3', 0, 's2');
        tellAll(a, harts);
        a.lw('t0', 0, 's0').addi('t0', 't0', 1).sw('t0', 0, 's0');
        a.addi('s5', 's5', -1).bne('s5', 'zero', 'next').j('pass');

        a.label('other');
        waitFor(a, 'mapped', 'tables', 1);
        a.word(fence, fenceI)
          .li('t0', 8)
          .slli('t0', 't0', 60)
          .li('t1', table(0) >>> 12)
          .add('t0', 't0', 't1');
        a.word(csrrw(0, CSR.satp, t0), sfenceVma(0, 0))
          .li('t0', MSIE)
          .csrw('mie', 't0');
        a.li('t0', (1 << 11) | 0x80)
          .csrw('mstatus', 't0')
          .la('t0', 'again')
          .csrw('mepc', 't0');
        count(a, 'ready');
        a.word(mret);
        a.label('again')
          .lw('s2', 0, 's0')
          .word(jalr(ra, zero, 0))
          .lw('s3', 0, 's0')
          .addi('s3', 's3', 1);
        a.word(blt(a1, s2, 12), blt(s3, a1, 8))
          .j('values')
          .j('fail');
        a.label('values').lw('s2', 0, 's0').li('s4', 1024).li('s5', 64).li('a2', 0);
        a.label('value').word(iType(0x03, 2)(a1, s4, 0), blt(a1, s2, 36), blt(a1, a2, 32), addi(a2, a1, 0));
        a.addi('s4', 's4', 4).addi('s5', 's5', -1).bne('s5', 'zero', 'value');
        a.lw('s3', 0, 's0')
          .addi('s3', 's3', 1)
          .word(blt(s3, a2, 8))
          .j('again')
          .j('fail');
        a.label('function')
          .word(addi(a1, 0, 0))
          .ret();
        handler(a, sfenceVma(0, 0));
        end(a);
        a.label('mapped').word(0, 0);
      });
      expect((await runGuest(image, { harts })).how).toEqual({ kind: 'poweroff', code: 0 });
    },
  );

  it.each([2, 4])('%i: what they add, swap, mark and lock in memory is not lost', async (harts) => {
    const ROUNDS = 1000;
    const image = guest((a) => {
      a.la('s0', 'sum').la('s1', 'double').la('s2', 'reserved').la('s3', 'lock').la('s4', 'locked').la('s5', 'most');
      a.li('t1', 1).li('s6', ROUNDS).la('s7', 'flip');
      a.label('round')
        .amoaddW('zero', 't1', 's0')
        .word(amoaddD('zero', 't1', 's1'), amoxorD('zero', 't1', 's7'));
      a.label('reserve')
        .word(lr(2, 't2', 's2'))
        .addi('t2', 't2', 1)
        .word(sc(2, 't3', 't2', 's2'));
      a.bne('t3', 'zero', 'reserve');
      a.label('wide')
        .word(lr(3, 't2', 's2'))
        .addi('t2', 't2', 0)
        .word(sc(3, 't3', 't2', 's2'))
        .bne('t3', 'zero', 'wide');
      a.word(amomaxuW('zero', 's6', 's5'));
      a.label('spin')
        .word(amoswapW('t2', 't1', 's3'))
        .bne('t2', 'zero', 'spin');
      a.ld('t2', 0, 's4')
        .addi('t2', 't2', 3)
        .sd('t2', 0, 's4')
        .word(amoswapW('zero', 'zero', 's3'));
      a.addi('s6', 's6', -1).bne('s6', 'zero', 'round');
      count(a, 'ready');
      a.bne('a0', 'zero', 'stay');
      waitFor(a, 'ready', 'all', harts);
      a.li('t0', ROUNDS * harts)
        .lw('t1', 0, 's0')
        .bne('t0', 't1', 'fail')
        .ld('t1', 0, 's1')
        .bne('t0', 't1', 'fail');
      a.lw('t1', 0, 's2')
        .bne('t0', 't1', 'fail')
        .ld('t1', 0, 's4')
        .li('t0', 3 * ROUNDS * harts)
        .bne('t0', 't1', 'fail');
      a.lw('t1', 0, 's5').li('t0', ROUNDS).bne('t0', 't1', 'fail').ld('t1', 0, 's7').bne('t1', 'zero', 'fail');
      end(a);
      for (const label of ['sum', 'double', 'reserved', 'lock', 'locked', 'most', 'flip']) a.label(label).word(0, 0);
    });
    expect((await runGuest(image, { harts })).how).toEqual({ kind: 'poweroff', code: 0 });
  });

  it('two that store to one word and load the other’s, with a fence between, do not both miss', async () => {
    const ROUNDS = 400;
    const image = guest((a) => {
      // Words in pairs, a round each, so that nothing is cleared; each waits for the other before it goes on.
      a.li('s0', PAGES).li('s1', ROUNDS).la('s2', 'turns').la('s3', 'own').slli('t0', 'a0', 2).add('s3', 's3', 't0');
      a.li('t1', 1).li('s6', 0).li('s7', 64).la('s8', 'seen').add('s8', 's8', 't0');
      a.add('s9', 's0', 't0')
        .word(iType(0x13, 4)(reg('t0'), reg('t0'), 4))
        .add('s10', 's0', 't0');
      a.label('round').addi('s6', 's6', 2).amoaddW('zero', 't1', 's2');
      a.label('wait')
        .lw('t2', 0, 's2')
        .word(blt(reg('t2'), reg('s6'), -4));
      a.sw('t1', 0, 's9').word(fence).lw('t3', 0, 's10').sw('t3', 0, 's8').word(fence);
      a.addi('s6', 's6', 2).amoaddW('zero', 't1', 's2');
      a.label('meet')
        .lw('t2', 0, 's2')
        .word(blt(reg('t2'), reg('s6'), -4));
      a.la('t4', 'seen').lw('t5', 0, 't4').lw('t6', 4, 't4').add('t5', 't5', 't6').beq('t5', 'zero', 'fail');
      a.addi('s6', 's6', 2).amoaddW('zero', 't1', 's2');
      a.label('part')
        .lw('t2', 0, 's2')
        .word(blt(reg('t2'), reg('s6'), -4));
      a.add('s9', 's9', 's7').add('s10', 's10', 's7').addi('s1', 's1', -1).bne('s1', 'zero', 'round');
      a.bne('a0', 'zero', 'stay');
      end(a);
      a.label('turns').word(0, 0).label('own').word(0, 0).label('seen').word(0, 0);
    });
    expect((await runGuest(image, { harts: 2 })).how).toEqual({ kind: 'poweroff', code: 0 });
  });
});
