import { setFlagsFromString } from 'node:v8';
import { isMainThread } from 'node:worker_threads';

/**
 * (f64, f64, f64) -> f64, exported as `f`: a f64x2.relaxed_madd of three splats. Encoded by hand, since it has to be there
 * before anything is known of what may be encoded.
 */
const PROBE = new Uint8Array([
  ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
  ...[0x01, 0x08, 0x01, 0x60, 0x03, 0x7c, 0x7c, 0x7c, 0x01, 0x7c],
  ...[0x03, 0x02, 0x01, 0x00, 0x07, 0x05, 0x01, 0x01, 0x66, 0x00, 0x00],
  ...[0x0a, 0x16, 0x01, 0x14, 0x00, 0x20, 0x00, 0xfd, 0x14, 0x20, 0x01, 0xfd, 0x14, 0x20, 0x02, 0xfd, 0x14],
  ...[0xfd, 0x87, 0x02, 0xfd, 0x21, 0x00, 0x0b],
]);
/** What V8 before version 11.4 (Node 20) wants for it. */
const FLAG = 'experimental-wasm-relaxed-simd';

let known: boolean | undefined;
let wantsFlag = false;

/**
 * Whether relaxed_madd rounds once on this host, which the specification of relaxed SIMD leaves open: x86-64 with FMA3, and all
 * of arm64. Then it is what IEEE 754 calls fusedMultiplyAdd. What uses it must be compiled by withRelaxedSimd().
 */
export function hasFusedMultiplyAdd(): boolean {
  known ??= probe();
  return known;
}

/**
 * Compiles something that may use relaxed SIMD, with V8's flag where it is wanted. The flag does not stay: V8 refuses kept code
 * of other flags. But it is one for all threads of the process: harts that compile by themselves (VIRTAX_CPU=forced, where the main
 * thread does not) leave it set, or one would take it away while another compiles.
 */
export function withRelaxedSimd<T>(compile: () => T): T {
  if (!hasFusedMultiplyAdd() || !wantsFlag) return compile();
  return withFlag(compile);
}

function withFlag<T>(compile: () => T): T {
  setFlagsFromString(`--${FLAG}`);
  try {
    return compile();
  } finally {
    if (isMainThread) setFlagsFromString(`--no-${FLAG}`);
  }
}

function probe(): boolean {
  if (WebAssembly.validate(PROBE)) return isFused();
  wantsFlag = true;
  return withFlag(() => WebAssembly.validate(PROBE) && isFused());
}

function isFused(): boolean {
  const { f } = new WebAssembly.Instance(new WebAssembly.Module(PROBE)).exports as { f: FusedFunction };
  return f(1 + 2 ** -30, 1 - 2 ** -30, -1) === -(2 ** -60);
}

type FusedFunction = (a: number, b: number, c: number) => number;
