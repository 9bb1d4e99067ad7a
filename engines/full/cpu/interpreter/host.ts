import type { FunctionRef } from '../wasm/body.js';
import type { ModuleBuilder } from '../wasm/module.js';
import type { ValueType } from '../wasm/value.js';

/**
 * What the emitted code calls outside: everything rare. Before a call it writes instruction pointer and slice counter
 * back. 64-bit values travel as two halves or through OFFSET.value, because a BigInt is slow.
 */
export interface HostFunctions {
  /** The slice is used up: accounts for it, looks at attention, begins the next one or asks for an exit. */
  boundary(): void;
  /** A region has led to OFFSET.pc, where none is known to begin; now and then: see SAMPLED_MISSES. */
  missed(): void;
  /** The page of pc is not in the execute TLB: fills it or takes an exception. */
  fetch(): void;
  /** Decodes the instruction at the instruction pointer: see DecodeResult. */
  decode(): number;
  /** Loads into OFFSET.value (zero-extended), or takes an exception: 1. */
  load(low: number, high: number, bytes: number): number;
  /** Stores OFFSET.value, or takes an exception: 1. */
  store(low: number, high: number, bytes: number): number;
  /** Address in wasm memory of an aligned word for LR (`reading`) or SC and AMOs; 0 after an exception. */
  atomicAddress(low: number, high: number, bytes: number, reading: number): number;
  /** Fills the TLB for loads (`writing`: stores) of a page of RAM; 0 when only the interpreter can do the access. */
  fill(low: number, high: number, bytes: number, writing: number): number;
  /** Operand in OFFSET.value, old value there afterwards. 1 when the hart was redirected. */
  csr(operation: number, low: number, number: number): number;
  /** 1 when the hart was redirected. */
  system(operation: number, low: number): number;
  /** Ticks of mtime. */
  time(): number;
}

/** All words, but for time, which is a double. */
const SIGNATURES: Record<Exclude<keyof HostFunctions, 'time'>, readonly [parameters: number, results: number]> = {
  boundary: [0, 0],
  missed: [0, 0],
  fetch: [0, 0],
  decode: [0, 1],
  load: [3, 1],
  store: [3, 1],
  atomicAddress: [4, 1],
  fill: [4, 1],
  csr: [3, 1],
  system: [2, 1],
};

/** What decode() found. */
export const DecodeResult = {
  /** The entry is filled. */
  Entry: 0,
  /** An exception was taken. */
  Redirected: 1,
  /** The instruction is in OFFSET.scratchOp, for this once. */
  Once: 2,
} as const;

export type HostRefs = Record<keyof HostFunctions, FunctionRef>;

export function importHost(module: ModuleBuilder): HostRefs {
  const words = (count: number): ValueType[] => new Array<ValueType>(count).fill('i32');
  const entries = Object.entries(SIGNATURES).map(([name, [parameters, results]]) => [
    name,
    module.import('host', name, words(parameters), words(results)),
  ]);
  return { ...Object.fromEntries(entries), time: module.import('host', 'time', [], ['f64']) } as HostRefs;
}
