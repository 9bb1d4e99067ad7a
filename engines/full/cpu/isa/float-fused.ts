import { type Local, not } from '../wasm/body.js';
import { hasFusedMultiplyAdd } from '../wasm/features.js';
import { i32 } from '../wasm/value.js';
import { type Definition, define } from './definition.js';
import type { Emitter } from './emitter.js';
import { exactF, floatOptions, withSlowPath } from './float.js';
import { DOUBLE, type FloatKind, SINGLE } from './float-kinds.js';
import { R4 } from './formats.js';

/** F and D, fused multiply-add: the host's own, where it has one and NX is raised already (rules of the fast paths: see float.ts). */

type Float = 'f32' | 'f64';

/** The sign of a product is flipped (fnmadd, fnmsub), that of the addend too (fmsub, fnmadd). */
const FUSED = [
  { name: 'fmadd', opcode: 0x43, negateProduct: false, negateAddend: false },
  { name: 'fmsub', opcode: 0x47, negateProduct: false, negateAddend: true },
  { name: 'fnmsub', opcode: 0x4b, negateProduct: true, negateAddend: false },
  { name: 'fnmadd', opcode: 0x4f, negateProduct: true, negateAddend: true },
] as const;

/** A result of 0 is exact where a product is, or where the addend is so large that no digit of the product lies below all numbers. */
function exactZero<T extends Float>(kind: FloatKind<T>, a: Local<T>, b: Local<T>, c: Local<T>, r: Local<T>) {
  const zero = kind.zero();
  const large = kind.le(kind.constant(kind.smallest * 2 ** (2 * kind.digits)), kind.abs(c));
  return i32.and(kind.eq(r, zero), i32.or(i32.or(kind.eq(a, zero), kind.eq(b, zero)), large));
}

function fused<T extends Float>(kind: FloatKind<T>, { name, opcode, ...signs }: (typeof FUSED)[number]): Definition {
  const emit = (e: Emitter): void => {
    const { body } = e;
    e.requireFloat();
    const rounding = body.keep(e.roundingMode());
    const exactly = (): void => exactF(e, name, kind.format, rounding, 3);
    if (!hasFusedMultiplyAdd()) {
      exactly();
      return;
    }
    withSlowPath(e, exactly, (slow) => {
      body.brIfUnlikely(i32.or(rounding, i32.eqz(e.inexact)), slow);
      const a = body.keep(signs.negateProduct ? kind.neg(kind.fs(e, 1)) : kind.fs(e, 1));
      const b = body.keep(kind.fs(e, 2));
      const c = body.keep(signs.negateAddend ? kind.neg(kind.fs(e, 3)) : kind.fs(e, 3));
      const r = body.keep(kind.fused(a, b, c));
      body.unlikely(not(kind.ordinary(r)), () => body.brIf(not(exactZero(kind, a, b, c, r)), slow));
      kind.setFd(e, r);
    });
  };
  return define(`${name}.${kind.suffix}`, [opcode | (kind.format << 25), 0x0600007f], R4, emit, floatOptions);
}

export const FLOAT_FUSED: readonly Definition[] = [
  ...FUSED.map((each) => fused(SINGLE, each)),
  ...FUSED.map((each) => fused(DOUBLE, each)),
];
