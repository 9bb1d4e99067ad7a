import { type I32, type I64, i64 } from '../wasm/value.js';
import { type Definition, define } from './definition.js';
import type { AmoChange } from './emitter.js';
import { R } from './formats.js';

/** The A extension (unprivileged specification, chapter 8). All are sequentially consistent, whatever aq and rl say. */

const encoding = (funct5: number, width: 4 | 8): [number, number] => [
  0x2f | ((width === 4 ? 2 : 3) << 12) | (funct5 << 27),
  0xf800707f,
];

/** The .w and .d forms. */
const both = (make: (suffix: string, width: 4 | 8) => Definition): Definition[] => [make('.w', 4), make('.d', 8)];

const amo = (name: string, funct5: number, change: AmoChange): Definition[] =>
  both((suffix, width) =>
    define(name + suffix, encoding(funct5, width), R, (e) => e.setRd(e.amo(width, change)), { pure: false }),
  );

const keepIf = (condition: (a: I64, b: I64) => I32): AmoChange => ({ choose: condition });

export const ATOMICS: readonly Definition[] = [
  ...both((suffix, width) =>
    define(`lr${suffix}`, encoding(0x02, width), R, (e) => e.loadReserved(width), {
      pure: false,
      legal: (insn) => ((insn >>> 20) & 31) === 0,
    }),
  ),
  ...both((suffix, width) =>
    define(`sc${suffix}`, encoding(0x03, width), R, (e) => e.storeConditional(width), { pure: false }),
  ),
  ...amo('amoswap', 0x01, { rmw: 'xchg' }),
  ...amo('amoadd', 0x00, { rmw: 'add' }),
  ...amo('amoxor', 0x04, { rmw: 'xor' }),
  ...amo('amoand', 0x0c, { rmw: 'and' }),
  ...amo('amoor', 0x08, { rmw: 'or' }),
  ...amo('amomin', 0x10, keepIf(i64.leS)),
  ...amo('amomax', 0x14, keepIf(i64.geS)),
  ...amo('amominu', 0x18, keepIf(i64.leU)),
  ...amo('amomaxu', 0x1c, keepIf(i64.geU)),
];
