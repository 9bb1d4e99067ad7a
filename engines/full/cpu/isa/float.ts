import { FLAG } from '../float/encoding.js';
import type { ExactOperation } from '../float/exact.js';
import { type Label, type Local, not } from '../wasm/body.js';
import { type I32, i32, type Value } from '../wasm/value.js';
import { type Definition, define } from './definition.js';
import type { Emitter } from './emitter.js';
import { DOUBLE, type FloatKind, SINGLE, sumInexact } from './float-kinds.js';
import { FP } from './formats.js';

/**
 * F and D, arithmetic (unprivileged specification, chapters 11 and 12). Each instruction has a fast path on wasm's
 * own floating point, taken only where its result and its flags are known to be right: rounding to nearest, a normal
 * result away from overflow and underflow, and either NX raised before or a proof of (in)exactness. All else goes to
 * Emitter.exact.
 */

type Float = 'f32' | 'f64';

/** Reserved static rounding modes make the encoding illegal. */
const legalRounding = (insn: number): boolean => {
  const mode = (insn >>> 12) & 7;
  return mode !== 5 && mode !== 6;
};

export const floatOptions = { pure: false, writesX: false, legal: legalRounding } as const;
export const quietOptions = { pure: false, writesX: false } as const;
export const toIntegerOptions = { pure: false, writesX: true, legal: legalRounding } as const;

/** `fast` jumps to `slow` where it cannot promise result and flags. */
export function withSlowPath(e: Emitter, exactly: () => void, fast: (slow: Label) => void): void {
  e.body.block((done) => {
    e.body.block((slow) => {
      fast(slow);
      e.body.br(done);
    });
    exactly();
  });
}

/** An operation on the first f registers, exactly, into f[rd]. */
export function exactF(e: Emitter, operation: ExactOperation, format: 0 | 1, rounding: I32, operands: 1 | 2 | 3): void {
  const raw = ([1, 2, 3] as const).slice(0, operands).map((operand) => e.fs(operand));
  e.setFd(e.exact(operation, format, rounding, ...raw));
}

/** Leaves for `slow` unless the result is normal, with room on both sides, or `isExactZero`. */
export function mustBeNormal<T extends Float>(
  e: Emitter,
  kind: FloatKind<T>,
  r: Local<T>,
  zero: I32,
  slow: Label,
): void {
  const size = e.body.keep(kind.abs(r));
  e.body.unlikely(not(kind.le(kind.constant(kind.smallest), size)), () => e.body.brIf(not(zero), slow));
  mustBeFinite(e, kind, size, slow);
}

/** Leaves for `slow` when the result's absolute value is not finite with room above. */
function mustBeFinite<T extends Float>(e: Emitter, kind: FloatKind<T>, size: Value<T>, slow: Label): void {
  e.body.brIfUnlikely(not(kind.lt(size, kind.constant(kind.largest))), slow);
}

/** Raises NX when `inexact` says so; does not look when it is raised already. */
export function raiseInexact(e: Emitter, inexact: () => I32): void {
  e.body.unlikely(i32.eqz(e.inexact), () => {
    const raised = inexact();
    e.body.if(raised, () => e.raiseFlags(i32.const(FLAG.NX)));
  });
}

interface Binary<T extends Float> {
  result: (a: Local<T>, b: Local<T>) => Value<T>;
  inexact: (a: Local<T>, b: Local<T>, r: Local<T>) => I32;
  /** Whether a zero result is exact; asked only when it is zero. Absent where all tiny results are: sums. */
  zero?: (a: Local<T>, b: Local<T>) => I32;
}

function arithmetic<T extends Float>(
  kind: FloatKind<T>,
  base: 'fadd' | 'fsub' | 'fmul' | 'fdiv',
  funct5: number,
  operation: (e: Emitter, slow: Label) => Binary<T>,
): Definition {
  const name = `${base}.${kind.suffix}`;
  const emit = (e: Emitter): void => {
    e.requireFloat();
    const rounding = e.body.keep(e.roundingMode());
    withSlowPath(
      e,
      () => exactF(e, base, kind.format, rounding, 2),
      (slow) => {
        e.body.brIfUnlikely(rounding, slow);
        const { result, inexact, zero } = operation(e, slow);
        const a = e.body.keep(kind.fs(e, 1));
        const b = e.body.keep(kind.fs(e, 2));
        const r = e.body.keep(result(a, b));
        const exactZero = (): I32 => (zero === undefined ? i32.const(0) : i32.and(kind.eq(r, kind.zero()), zero(a, b)));
        if (zero === undefined) e.body.brIfUnlikely(not(kind.finite(r)), slow);
        else e.body.unlikely(not(kind.ordinary(r)), () => e.body.brIf(not(exactZero()), slow));
        raiseInexact(e, () => {
          if (zero === undefined) mustBeFinite(e, kind, kind.abs(r), slow);
          else mustBeNormal(e, kind, r, exactZero(), slow);
          return inexact(a, b, r);
        });
        kind.setFd(e, r);
      },
    );
  };
  return define(name, [0x53 | (kind.format << 25) | (funct5 << 27), 0xfe00007f], FP, emit, floatOptions);
}

function squareRoot<T extends Float>(kind: FloatKind<T>): Definition {
  const name = `fsqrt.${kind.suffix}`;
  const emit = (e: Emitter): void => {
    e.requireFloat();
    const rounding = e.body.keep(e.roundingMode());
    withSlowPath(
      e,
      () => exactF(e, 'fsqrt', kind.format, rounding, 1),
      (slow) => {
        e.body.brIfUnlikely(rounding, slow);
        const a = e.body.keep(kind.fs(e, 1));
        const r = e.body.keep(kind.sqrt(a));
        // Such a root is normal. That of a subnormal is as well, but the test of exactness wants a normal operand.
        e.body.brIfUnlikely(not(kind.positiveNormal(a)), slow);
        raiseInexact(e, () => kind.sqrtInexact(e.body, a, r));
        kind.setFd(e, r);
      },
    );
  };
  return define(name, [0x53 | (kind.format << 25) | (0x0b << 27), 0xfff0007f], FP, emit, floatOptions);
}

/** The tests of exactness count on normal (or zero) operands: subnormal ones go the slow way. */
function leaveIfSubnormal<T extends Float>(e: Emitter, kind: FloatKind<T>, value: Local<T>, slow: Label): void {
  e.body.if(i32.eqz(kind.exponent(value)), () => e.body.brIfUnlikely(kind.ne(value, kind.zero()), slow));
}

function arithmeticOf<T extends Float>(kind: FloatKind<T>): Definition[] {
  const eitherZero = (a: Value<T>, b: Value<T>): I32 => i32.or(kind.eq(a, kind.zero()), kind.eq(b, kind.zero()));
  return [
    arithmetic(kind, 'fadd', 0x00, () => ({ result: kind.add, inexact: (a, b, r) => sumInexact(kind, a, b, r) })),
    arithmetic(kind, 'fsub', 0x01, () => ({
      result: kind.sub,
      inexact: (a, b, r) => sumInexact(kind, a, kind.neg(b), r),
    })),
    arithmetic(kind, 'fmul', 0x02, (e, slow) => ({
      result: kind.mul,
      inexact: (a, b, r) => {
        leaveIfSubnormal(e, kind, a, slow);
        leaveIfSubnormal(e, kind, b, slow);
        return kind.mulInexact(e.body, a, b, r);
      },
      zero: eitherZero,
    })),
    arithmetic(kind, 'fdiv', 0x03, (e, slow) => ({
      result: kind.div,
      inexact: (a, b, r) => {
        leaveIfSubnormal(e, kind, a, slow);
        leaveIfSubnormal(e, kind, b, slow);
        return kind.divInexact(e.body, a, b, r);
      },
      // 0 / infinity is exact as well, but the test of exactness cannot tell.
      zero: (a, b) => i32.and(kind.eq(a, kind.zero()), i32.ne(kind.exponent(b), i32.const(kind.infinity))),
    })),
    squareRoot(kind),
  ];
}

export const FLOAT_ARITHMETIC: readonly Definition[] = [...arithmeticOf(SINGLE), ...arithmeticOf(DOUBLE)];
