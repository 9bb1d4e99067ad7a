import { multiplyHigh } from '../isa/muldiv.js';
import type { Body, FunctionRef, Local } from '../wasm/body.js';
import { type I32, type I64, i32, i64, select } from '../wasm/value.js';
import { RM, roundingOf, sticky, type Unpacked, unpack, unpackNormal } from './encoding.js';
import { zeroBits } from './rounding.js';

/**
 * Sums, products, quotients, roots and fused sums of finite doubles as integers, exact but for a sticky last bit. Each function
 * of the module takes (stateBase, how, a, b, c) and rounds at the end.
 */

interface Parameters {
  readonly base: Local<'i32'>;
  readonly how: Local<'i32'>;
  value(index: number): Local<'f64'>;
}

const parameters = (body: Body): Parameters => ({
  base: body.parameter(0, 'i32'),
  how: body.parameter(1, 'i32'),
  value: (index) => body.parameter(1 + index, 'f64'),
});

const different = (a: Unpacked, b: Unpacked): I32 => i32.xor(a.negative, b.negative);

/** The sign of an exact sum that is 0, of terms of these signs. */
const zeroSign = (how: I32, first: I32, second: I32): I32 =>
  select(i32.eq(first, second), first, i32.eq(roundingOf(how), i32.const(RM.RDN)));

function swap(body: Body, a: Unpacked, b: Unpacked): void {
  for (const name of ['negative', 'exponent', 'significand'] as const) {
    const [first, second] = [a[name], b[name]] as [Local<'i64'>, Local<'i64'>];
    const kept = body.local(first.type, first);
    body.set(first, second);
    body.set(second, kept);
  }
}

export function defineSum(body: Body, round: FunctionRef): void {
  const { base, how, value } = parameters(body);
  const [a, b] = [unpack(body, value(1)), unpack(body, value(2))];
  body.if(i32.ltS(a.exponent, b.exponent), () => swap(body, a, b));
  // Nine bits behind the last one: two would do.
  const large = body.keep(i64.shl(a.significand, i64.const(9)));
  const full = body.keep(i64.shl(b.significand, i64.const(9)));
  const apart = body.keep(i64.extendU(i32.sub(a.exponent, b.exponent)));
  const small = body.local('i64', sticky(full));
  body.if(i64.ltU(apart, i64.const(63)), () => {
    const lost = i64.and(full, i64.sub(i64.shl(i64.const(1), apart), i64.const(1)));
    body.set(small, i64.or(i64.shrU(full, apart), sticky(lost)));
  });
  const sum = body.local('i64', i64.add(large, small));
  const negative = body.local('i32', a.negative);
  body.if(different(a, b), () => {
    body.set(sum, i64.sub(large, small));
    body.if(i64.ltS(sum, i64.const(0)), () => {
      body.set(sum, i64.sub(i64.const(0), sum));
      body.set(negative, b.negative);
    });
  });
  body.if(i64.eqz(sum), () => body.return(zeroBits(zeroSign(how, a.negative, b.negative), how)));
  body.return(body.call('i64', round, base, negative, i32.add(a.exponent, i32.const(1)), sum, how));
  body.unreachable();
}

/** Neither operand is 0. */
export function defineProduct(body: Body, round: FunctionRef): void {
  const { base, how, value } = parameters(body);
  const [a, b] = [unpackNormal(body, value(1)), unpackNormal(body, value(2))];
  const first = body.keep(i64.shl(a.significand, i64.const(10)));
  const second = body.keep(i64.shl(b.significand, i64.const(11)));
  const high = multiplyHigh(body, first, second);
  const significand = i64.or(high, sticky(i64.mul(first, second)));
  const exponent = i32.add(i32.add(a.exponent, b.exponent), i32.const(1));
  body.return(body.call('i64', round, base, different(a, b), exponent, significand, how));
  body.unreachable();
}

/** Neither operand is 0. Long division, ten bits at a time: 60 in all. */
export function defineQuotient(body: Body, round: FunctionRef): void {
  const { base, how, value } = parameters(body);
  const [a, b] = [unpackNormal(body, value(1)), unpackNormal(body, value(2))];
  const quotient = body.local('i64', i64.const(0));
  const rest = body.local('i64', a.significand);
  const left = body.local('i32', i32.const(6));
  body.loop((again) => {
    body.set(rest, i64.shl(rest, i64.const(10)));
    const digits = body.keep(i64.divU(rest, b.significand));
    body.set(rest, i64.sub(rest, i64.mul(digits, b.significand)));
    body.set(quotient, i64.add(i64.shl(quotient, i64.const(10)), digits));
    body.set(left, i32.sub(left, i32.const(1)));
    body.brIf(left, again);
  });
  const exponent = i32.add(i32.sub(a.exponent, b.exponent), i32.const(2));
  body.return(body.call('i64', round, base, different(a, b), exponent, i64.or(quotient, sticky(rest)), how));
  body.unreachable();
}

/** Of a positive number. By pencil and paper: two bits of the operand give one of the root, 56 in all. */
export function defineRoot(body: Body, round: FunctionRef): void {
  const { base, how, value } = parameters(body);
  const { exponent, significand } = unpackNormal(body, value(1));
  const odd = body.keep(i32.and(exponent, i32.const(1)));
  const digits = body.local('i64', i64.shl(significand, i64.add(i64.const(10), i64.extendU(odd))));
  const half = i32.shrS(i32.sub(exponent, odd), i32.const(1));
  const rest = body.local('i64', i64.const(0));
  const root = body.local('i64', i64.const(0));
  const left = body.local('i32', i32.const(56));
  body.loop((again) => {
    body.set(rest, i64.or(i64.shl(rest, i64.const(2)), i64.shrU(digits, i64.const(62))));
    body.set(digits, i64.shl(digits, i64.const(2)));
    const trial = body.keep(i64.or(i64.shl(root, i64.const(2)), i64.const(1)));
    const fits = body.keep(i64.extendU(i64.geU(rest, trial)));
    body.set(rest, i64.sub(rest, i64.mul(trial, fits)));
    body.set(root, i64.or(i64.shl(root, i64.const(1)), fits));
    body.set(left, i32.sub(left, i32.const(1)));
    body.brIf(left, again);
  });
  const scale = i32.add(half, i32.const(7));
  body.return(body.call('i64', round, base, i32.const(0), scale, i64.or(root, sticky(rest)), how));
  body.unreachable();
}

/** 128 bits. */
interface Wide {
  readonly high: Local<'i64'>;
  readonly low: Local<'i64'>;
}

/** To the right by any number of bits; the last one is sticky. */
function shiftRight(body: Body, { high, low }: Wide, by: Local<'i64'>): void {
  body.if(i64.gtU(by, i64.const(63)), () => {
    body.set(low, i64.or(high, sticky(low)));
    body.set(high, i64.const(0));
    body.set(by, i64.sub(by, i64.const(64)));
    body.if(i64.gtU(by, i64.const(63)), () => {
      body.set(low, sticky(low));
      body.set(by, i64.const(0));
    });
  });
  body.if(i64.ne(by, i64.const(0)), () => {
    const up = body.keep(i64.sub(i64.const(64), by));
    const kept = body.keep(i64.or(i64.shl(high, up), i64.shrU(low, by)));
    body.set(low, i64.or(kept, sticky(i64.shl(low, up))));
    body.set(high, i64.shrU(high, by));
  });
}

/** a - b into a, or b - a, which is so where 1 comes back. */
function subtract(body: Body, a: Wide, b: Wide): Local<'i32'> {
  const borrow = i64.extendU(i64.ltU(a.low, b.low));
  const high = body.keep(i64.sub(i64.sub(a.high, b.high), borrow));
  body.set(a.low, i64.sub(a.low, b.low));
  body.set(a.high, high);
  const turned = body.keep(i64.ltS(high, i64.const(0)));
  body.if(turned, () => {
    body.set(a.high, i64.sub(i64.sub(i64.const(0), high), i64.extendU(i64.ne(a.low, i64.const(0)))));
    body.set(a.low, i64.sub(i64.const(0), a.low));
  });
  return turned;
}

/** a * b + c, where neither a nor b is 0. */
export function defineFused(body: Body, round: FunctionRef): void {
  const { base, how, value } = parameters(body);
  const [a, b, c] = [1, 2, 3].map((index) => unpackNormal(body, value(index)));
  const product = { high: body.local('i64'), low: body.local('i64') };
  const first = body.keep(i64.shl(a.significand, i64.const(10)));
  const second = body.keep(i64.shl(b.significand, i64.const(10)));
  body.set(product.high, multiplyHigh(body, first, second));
  body.set(product.low, i64.mul(first, second));
  const term = { high: body.local('i64', i64.shl(c.significand, i64.const(9))), low: body.local('i64', i64.const(0)) };
  const exponent = body.local('i32', i32.add(i32.add(a.exponent, b.exponent), i32.const(2)));
  const termExponent = body.keep(i32.add(c.exponent, i32.const(1)));
  const apart = body.keep(i32.sub(exponent, termExponent));
  const by = body.local('i64');
  body.if(
    i32.ltS(apart, i32.const(0)),
    () => {
      body.set(exponent, termExponent);
      body.set(by, i64.extendU(i32.sub(i32.const(0), apart)));
      shiftRight(body, product, by);
    },
    () => {
      body.set(by, i64.extendU(apart));
      shiftRight(body, term, by);
    },
  );
  const negative = body.local('i32', different(a, b));
  body.if(
    i32.xor(negative, c.negative),
    () => {
      const turned = subtract(body, product, term);
      const gone = i64.eqz(i64.or(product.high, product.low));
      body.if(gone, () => body.return(zeroBits(zeroSign(how, negative, c.negative), how)));
      body.set(negative, i32.xor(negative, turned));
    },
    () => {
      const low = body.keep(i64.add(product.low, term.low));
      const carry = i64.extendU(i64.ltU(low, term.low));
      body.set(product.low, low);
      body.set(product.high, i64.add(i64.add(product.high, term.high), carry));
    },
  );
  const significand = narrow(body, product, exponent);
  body.return(body.call('i64', round, base, negative, exponent, significand, how));
  body.unreachable();
}

/** 63 bits of 128, of which the first is not set: the last one is sticky where they are not all. */
function narrow(body: Body, { high, low }: Wide, exponent: Local<'i32'>): I64 {
  body.if(i64.eqz(high), () => {
    body.set(high, i64.shrU(low, i64.const(1)));
    body.set(low, i64.shl(low, i64.const(63)));
    body.set(exponent, i32.sub(exponent, i32.const(63)));
  });
  const up = body.keep(i64.sub(i64.clz(high), i64.const(1)));
  const down = i64.sub(i64.const(63), up);
  const filled = i64.or(i64.shl(high, up), i64.shrU(i64.shrU(low, i64.const(1)), down));
  body.set(exponent, i32.sub(exponent, i32.wrap(up)));
  return i64.or(filled, sticky(i64.shl(low, up)));
}
