import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DoorbellStream } from '#engines/bare/doorbell-stream.js';

/** Everything that came out of a stream, console text joined. */
function feed(chunks: Uint8Array[]): (string | [string, bigint, number])[] {
  const seen: (string | [string, bigint, number])[] = [];
  const stream = new DoorbellStream({
    output: (bytes) => {
      const text = Buffer.from(bytes).toString('latin1');
      if (typeof seen.at(-1) === 'string') seen[seen.length - 1] += text;
      else seen.push(text);
    },
    doorbell: (which, { ns, cpuSeconds }) => seen.push([which, ns, cpuSeconds]),
    nonsense: (text) => seen.push(`nonsense ${text}`),
  });
  for (const chunk of chunks) stream.push(chunk);
  return seen;
}

const hex = (value: bigint) => value.toString(16).padStart(16, '0');
const stop = (a: bigint, ca: bigint, b: bigint, cb: bigint) => `\x03${hex(a)}${hex(ca)}${hex(b)}${hex(cb)}`;

describe('DoorbellStream', () => {
  it('finds both doorbells with their stamps between the console’s lines, however the stream is cut', () => {
    const text = `ready cpu/sieve\n\x02${stop(1000n, 5_000_000n, 2n ** 60n, 7_000_000n)}result units=1\n`;
    const bytes = Buffer.from(text, 'latin1');
    fc.assert(
      fc.property(fc.array(fc.nat({ max: bytes.length }), { maxLength: 12 }), (cuts) => {
        const at = [0, ...[...cuts].sort((a, b) => a - b), bytes.length];
        const chunks = at.slice(1).map((end, i) => bytes.subarray(at[i], end));
        expect(feed(chunks)).toEqual([
          'ready cpu/sieve\n',
          ['start', 1000n, 0.005],
          ['stop', 2n ** 60n, 0.007],
          'result units=1\n',
        ]);
      }),
    );
  });

  it('tells stamps that are no numbers, and finds its way back to the console', () => {
    expect(feed([Buffer.from(`\x03${'z'.repeat(64)}after`, 'latin1')])).toEqual([`nonsense ${'z'.repeat(64)}after`]);
  });
});
