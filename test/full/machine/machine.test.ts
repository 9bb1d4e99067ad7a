import { describe, expect, it } from 'vitest';
import { elf } from '../elf-builder.js';
import { CLINT, finish, guest, onlyHart0, PLIC, print, UART } from '../guests.js';
import { runGuest } from '../run-guest.js';

const PASS = 0x5555;
const MIE_MSIE = 1 << 3;
const MIE_MTIE = 1 << 7;
const MIE_MEIE = 1 << 11;

describe('machine', () => {
  it('boots a raw image at 0x8000_0000, prints, and powers off', async () => {
    const image = guest((a) => finish(print(a, 'hello'), PASS), { hello: 'hello, world\n' });
    const { output, how, counters } = await runGuest(image);
    expect(output).toBe('hello, world\n');
    expect(how).toEqual({ kind: 'poweroff', code: 0 });
    expect(counters['mmio.uart.writes']).toBe(13);
    expect(counters['uart.sent']).toBe(13);
    expect(counters.instructions).toBeGreaterThan(13 * 6);
  });

  it('passes the guest’s status on', async () => {
    const { how } = await runGuest(guest((a) => finish(a, (9 << 16) | 0x3333)));
    expect(how).toEqual({ kind: 'poweroff', code: 9 });
  });

  it('a0 is the hart, a1 the device tree', async () => {
    const image = guest((a) => {
      a.bne('a0', 'zero', 'sleep').lw('t0', 0, 'a1').la('t1', 'magic').lw('t1', 0, 't1').bne('t0', 't1', 'wrong');
      finish(a, PASS);
      a.label('wrong');
      finish(a, (1 << 16) | 0x3333);
      a.label('sleep').j('sleep');
      a.label('magic').word(0xedfe_0dd0); // 0xd00dfeed, big-endian
    });
    expect((await runGuest(image, { harts: 2 })).how).toEqual({ kind: 'poweroff', code: 0 });
  });

  it('all harts run, and see each other’s atomics', async () => {
    const harts = 4;
    const image = guest((a) => {
      a.la('s0', 'counter').li('t1', 1).li('t2', 1000);
      a.label('again').amoaddW('zero', 't1', 's0').addi('t2', 't2', -1).bne('t2', 'zero', 'again');
      onlyHart0(a);
      a.li('t3', 1000 * harts);
      a.label('wait').lw('t4', 0, 's0').bne('t4', 't3', 'wait');
      finish(a, PASS);
      a.label('counter').word(0);
    });
    expect((await runGuest(image, { harts })).how).toEqual({ kind: 'poweroff', code: 0 });
  });

  it('a timer set in the future ends WFI, not before its time', async () => {
    const image = guest((a) => {
      a.li('t0', MIE_MTIE)
        .csrw('mie', 't0')
        .li('s0', CLINT + 0x4000)
        .li('s1', CLINT + 0xbff8)
        .li('t1', 50_000);
      a.ld('s2', 0, 's1').add('s2', 's2', 't1').sd('s2', 0, 's0');
      a.label('sleep').wfi().csrr('t0', 'mip').andi('t0', 't0', MIE_MTIE).beq('t0', 'zero', 'sleep');
      finish(a, PASS);
    });
    const before = process.hrtime.bigint();
    const { how } = await runGuest(image);
    expect(how).toEqual({ kind: 'poweroff', code: 0 });
    expect(Number(process.hrtime.bigint() - before)).toBeGreaterThan(5_000_000); // 50,000 ticks of 100 ns
  });

  it('a software interrupt wakes another hart out of WFI', async () => {
    const image = guest((a) => {
      a.li('t0', MIE_MSIE).csrw('mie', 't0').li('s0', CLINT).li('s1', 1);
      a.bne('a0', 'zero', 'second');
      a.sw('s1', 4, 's0'); // msip of hart 1
      a.label('sleep').wfi().csrr('t0', 'mip').andi('t0', 't0', MIE_MSIE).beq('t0', 'zero', 'sleep');
      finish(a, PASS);
      a.label('second').wfi().csrr('t0', 'mip').andi('t0', 't0', MIE_MSIE).beq('t0', 'zero', 'second');
      a.sw('zero', 4, 's0').sw('s1', 0, 's0');
      a.label('done').j('done');
    });
    const { how, counters } = await runGuest(image, { harts: 2 });
    expect(how).toEqual({ kind: 'poweroff', code: 0 });
    expect(counters['clint.ipis']).toBe(2);
  });

  it('a byte from the console interrupts a sleeping hart through UART and PLIC', async () => {
    const image = guest(
      (a) => {
        a.li('s0', PLIC)
          .li('t0', 1)
          .sw('t0', 4 * 10, 's0'); // priority of source 10
        a.li('s1', PLIC + 0x2000)
          .li('t0', 1 << 10)
          .sw('t0', 0, 's1'); // enabled for context 0: hart 0, M
        a.li('s2', UART).li('t0', 1).sb('t0', 1, 's2'); // receive interrupt
        a.li('t0', MIE_MEIE).csrw('mie', 't0');
        print(a, 'prompt');
        a.label('sleep')
          .wfi()
          .li('s3', PLIC + 0x20_0000)
          .lw('t0', 4, 's3')
          .beq('t0', 'zero', 'sleep');
        a.lbu('t1', 0, 's2').sw('t0', 4, 's3');
        a.li('t2', 0x78).bne('t1', 't2', 'sleep');
        finish(a, PASS);
      },
      { prompt: '> ' },
    );
    const { how, counters } = await runGuest(image, {}, { '> ': 'x' });
    expect(how).toEqual({ kind: 'poweroff', code: 0 });
    expect(counters['plic.claims']).toBe(1);
    expect(counters['plic.uart']).toBe(1);
    expect(counters['uart.received']).toBe(1);
    expect(counters['exits.wfi']).toBeGreaterThan(0);
  });

  it('a test program ends by writing to tohost: exit status times 2, plus 1', async () => {
    const code = guest((a) => {
      a.la('s0', 'tohost')
        .li('t0', (11 << 1) | 1)
        .sd('t0', 0, 's0');
      a.label('spin').j('spin');
      while (a.size % 64 !== 0) a.word(0);
      a.label('tohost').word(0, 0);
    });
    const tohost = 0x8000_0000 + 64;
    const image = elf([{ address: 0x8000_0000, data: [...code] }], { tohost });
    expect((await runGuest(image)).how).toEqual({ kind: 'poweroff', code: 11 });
  });

  it('an access where nothing answers is an access fault', async () => {
    const image = guest((a) => {
      a.la('t0', 'trap').csrw('mtvec', 't0').li('t1', 0x1_0000).lw('t0', 0, 't1');
      finish(a, PASS);
      a.label('trap').csrr('t0', 'mcause').addi('t0', 't0', -5).bne('t0', 'zero', 'other');
      finish(a, (5 << 16) | 0x3333);
      a.label('other').j('other');
    });
    expect((await runGuest(image)).how).toEqual({ kind: 'poweroff', code: 5 });
  });

  it('a reset starts the machine anew: devices and images as at first, the rest of RAM as it was', async () => {
    const image = guest(
      (a) => {
        onlyHart0(a);
        a.li('s0', UART).lbu('s1', 7, 's0').li('t0', 0x8080_0000).lw('t1', 0, 't0').li('t2', 1);
        a.la('s2', 'word').lw('s3', 0, 's2').sw('t2', 0, 's2');
        a.beq('t1', 't2', 'second');
        a.sw('t2', 0, 't0').sb('t2', 7, 's0'); // the UART's scratch register
        finish(print(a, 'one'), 0x7777);
        a.label('second').bne('s1', 'zero', 'wrong').bne('s3', 'zero', 'wrong');
        finish(print(a, 'two'), PASS);
        a.label('wrong');
        finish(a, (1 << 16) | 0x3333);
        a.label('word').word(0);
      },
      { one: 'one\n', two: 'two\n' },
    );
    const { output, how, counters } = await runGuest(image, { noReboot: false, harts: 3 });
    expect(how).toEqual({ kind: 'poweroff', code: 0 });
    expect(output).toContain('one\n');
    expect(output).toMatch(/two\n$/);
    expect(counters['mmio.uart.reads']).toBeLessThan(100);
  });

  it('doorbells are stamped in order and stay off the console', async () => {
    const image = guest((a) => finish(print(a, 'bells'), PASS), { bells: 'a\x02b\x03c\n' });
    const before = process.hrtime.bigint();
    const { output, stamps } = await runGuest(image);
    expect(output).toBe('abc\n');
    expect(stamps.map((s) => s.which)).toEqual(['start', 'stop']);
    expect(stamps[0].ns).toBeGreaterThan(before);
    expect(stamps[1].ns).toBeGreaterThan(stamps[0].ns);
    expect(stamps[1].cpuSeconds).toBeGreaterThanOrEqual(stamps[0].cpuSeconds);
  });

  it('nothing rings where nobody listens for bells: every byte goes out', async () => {
    const image = guest((a) => finish(print(a, 'bells'), PASS), { bells: 'a\x02b\x03c\n' });
    const { output, stamps } = await runGuest(image, { doorbells: false });
    expect([output, stamps]).toEqual(['a\x02b\x03c\n', []]);
  });

  it('output without a newline reaches the console when the guest sleeps', async () => {
    const image = guest(
      (a) => {
        print(a, 'prompt');
        a.li('s2', UART).li('t0', 1).sb('t0', 1, 's2'); // receive interrupt
        a.li('s0', PLIC)
          .sw('t0', 4 * 10, 's0')
          .li('s1', PLIC + 0x2000)
          .li('t0', 1 << 10)
          .sw('t0', 0, 's1');
        a.li('t0', MIE_MEIE).csrw('mie', 't0').wfi();
        finish(a, PASS);
      },
      { prompt: 'name? ' },
    );
    expect((await runGuest(image, {}, { 'name? ': 'x' })).output).toBe('name? ');
  });

  it('output without a newline reaches the console from a guest that never sleeps', async () => {
    const image = guest(
      (a) => {
        print(a, 'prompt');
        a.li('s2', UART).label('poll').lbu('t0', 5, 's2').andi('t0', 't0', 1).beq('t0', 'zero', 'poll');
        finish(a, PASS);
      },
      { prompt: 'name? ' },
    );
    expect((await runGuest(image, {}, { 'name? ': 'x' })).output).toBe('name? ');
  });

  it('a machine that is too large is refused with what would fit', async () => {
    const image = guest((a) => finish(a, PASS));
    await expect(runGuest(image, { memoryBytes: 5 * 2 ** 30 })).rejects.toThrow(/5120 MiB.*at most \d+ MiB/);
    await expect(runGuest(image, { harts: 33 })).rejects.toThrow(/1 to 32 harts/);
  });
});
