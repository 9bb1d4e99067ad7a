/** Test guests in assembly, for the machine's end-to-end tests. */
import { Assembler } from './assembler.js';

export const UART = 0x1000_0000;
export const FINISHER = 0x10_0000;
export const CLINT = 0x200_0000;
export const PLIC = 0xc00_0000;
const LSR = 5;

/** puts: prints the text at a0; keeps everything but t0 to t2. */
function subroutines(a: Assembler): Assembler {
  a.label('puts').li('t0', UART);
  a.label('puts.next').lbu('t1', 0, 'a0').beq('t1', 'zero', 'puts.end');
  a.label('puts.busy').lbu('t2', LSR, 't0').andi('t2', 't2', 0x20).beq('t2', 'zero', 'puts.busy');
  a.sb('t1', 0, 't0').addi('a0', 'a0', 1).j('puts.next');
  a.label('puts.end').ret();
  // getline: reads up to and with a newline
  a.label('getline').li('t0', UART).addi('t2', 'zero', 0x0a);
  a.label('getline.wait').lbu('t1', LSR, 't0').andi('t1', 't1', 1).beq('t1', 'zero', 'getline.wait');
  a.lbu('t1', 0, 't0').bne('t1', 't2', 'getline.wait').ret();
  return a;
}

export const print = (a: Assembler, label: string): Assembler => a.la('a0', label).call('puts');

/** Writes a number to the finisher; the machine stops there. */
export const finish = (a: Assembler, value: number): Assembler =>
  a.li('t0', FINISHER).li('t1', value).sw('t1', 0, 't0').label('finished').j('finished');

/** All harts but 0 sleep for good. */
export const onlyHart0 = (a: Assembler): Assembler =>
  a
    .csrr('t0', 'mhartid')
    .beq('t0', 'zero', 'hart0')
    .csrw('mie', 'zero')
    .label('asleep')
    .wfi()
    .j('asleep')
    .label('hart0');

/** body, then subroutines, then texts by label. */
export function guest(body: (a: Assembler) => void, texts: Record<string, string> = {}): Buffer {
  const a = new Assembler();
  body(a);
  subroutines(a);
  for (const [label, text] of Object.entries(texts)) a.label(label).text(text);
  return a.assemble();
}

/**
 * Prints the first text, then one more for each line that it reads; after the last it does `then`. Doorbells may stand
 * in the texts as \x02 and \x03.
 */
export function scripted(texts: string[], then: 'hang' | 'flood' | 'crash' | 'listen' = 'listen'): Buffer {
  const named = Object.fromEntries(texts.map((text, i) => [`text${i}`, text]));
  return guest(
    (a) => {
      onlyHart0(a);
      texts.forEach((_, i) => {
        if (i > 0) a.call('getline');
        print(a, `text${i}`);
      });
      if (then !== 'listen') a.call('getline');
      a.label('end');
      if (then === 'flood') print(a, 'noise').j('end');
      else if (then === 'crash') finish(a, (7 << 16) | 0x3333);
      else if (then === 'listen') a.call('getline').j('end');
      else a.j('end');
    },
    { ...named, noise: 'all work and no play\n' },
  );
}
