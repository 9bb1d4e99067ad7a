import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ConsoleLog } from '#engines/backends/console.js';

const bytes = (text: string): Uint8Array => Buffer.from(text);

describe('console log', () => {
  it('splits lines, and shows the one that has not ended', () => {
    const ended: string[] = [];
    const log = new ConsoleLog({}, (line) => ended.push(line));
    log.write(bytes('one\r\ntwo\n\nthr'));
    expect(ended).toEqual(['one', 'two', '']);
    expect(log.tail()).toEqual(['one', 'two', '', 'thr']);
    log.write(bytes('ee\n'));
    expect(log.tail().at(-1)).toBe('three');
  });

  it('makes control characters visible and keeps other text', () => {
    const log = new ConsoleLog();
    log.write(bytes('\x1b[2Jä\tñ€\x07\x7f\u202e\u0085\r!\n'));
    expect(log.tail()).toEqual(['\\x1b[2Jä\tñ€\\x07\\x7f\\x202e\\x85\\x0d!']);
    log.write(Uint8Array.of(0xff, 0xfe, 10));
    expect(log.tail()[1]).toBe('\ufffd\ufffd');
  });

  it('keeps the last lines within its limits, whatever a guest prints', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 30 }), (parts) => {
        const log = new ConsoleLog({ lines: 5, characters: 200, lineLength: 40 });
        for (const part of parts) log.write(part);
        const tail = log.tail();
        expect(tail.length).toBeLessThanOrEqual(6);
        expect(tail.slice(0, 5).join('').length).toBeLessThanOrEqual(200 + 160);
        // biome-ignore lint/suspicious/noControlCharactersInRegex: that none is left is what is tested
        expect(tail.join('')).not.toMatch(/[\x00-\x08\x0a-\x1f\x7f-\x9f]/);
        expect(log.counters.bytes).toBe(parts.reduce((sum, part) => sum + part.length, 0));
      }),
    );
  });

  it('splits a line that never ends', () => {
    const log = new ConsoleLog({ lineLength: 10 });
    log.write(bytes('x'.repeat(35)));
    expect(log.tail().map((line) => line.length)).toEqual([10, 10, 10, 5]);
  });
});
