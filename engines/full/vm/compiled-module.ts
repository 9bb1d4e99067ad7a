/**
 * V8's code for a WebAssembly module as bytes: a process that starts from them compiles nothing. Node offers no way to it;
 * V8's own tests have one, by intrinsics, which any V8 of the last years knows. Where it is not to be had, and where the
 * bytes are of another V8, other flags or another processor (V8 looks at that), or damaged (we do), the module is compiled
 * as usual. V8 ends the process on arguments that it does not expect: therefore all this is tried in a process of its own first.
 */
import { setFlagsFromString } from 'node:v8';
import { crc32 } from 'node:zlib';
import { withRelaxedSimd } from '../cpu/wasm/features.js';

const SUM_BYTES = 4;
/**
 * Optimized code for all of it. The interpreter is one function of more than 8192 values, for which V8 takes its register allocator
 * for huge functions: every value lies on the stack then. Like regions, it looks by itself whether it must stop, and keeps registers
 * out of slow paths' reach by hints. The last flag follows from the first, but does not go with it.
 */
const FLAGS = [
  'no-liftoff',
  'no-wasm-lazy-compilation',
  'no-turbo-use-mid-tier-regalloc-for-huge-functions',
  'no-wasm-stack-checks',
  'experimental-wasm-branch-hinting',
  'no-wasm-dynamic-tiering',
];

interface Intrinsics {
  serialize(module: WebAssembly.Module): ArrayBuffer;
  /** Undefined when the code does not fit. */
  deserialize(code: ArrayBuffer, bytes: Uint8Array): WebAssembly.Module | undefined;
}

/** Flags that differ from a thread's to another's make V8 refuse Node's own code as well: none stays set. */
function withFlags<T>(flags: readonly string[], use: () => T): T {
  for (const flag of flags) setFlagsFromString(`--${flag}`);
  try {
    return use();
  } finally {
    for (const flag of flags) setFlagsFromString(flag.startsWith('no-') ? `--${flag.slice(3)}` : `--no-${flag}`);
  }
}

function intrinsics(): Intrinsics | undefined {
  try {
    return withFlags(['allow-natives-syntax'], () => ({
      serialize: new Function('module', 'return %SerializeWasmModule(module)') as Intrinsics['serialize'],
      deserialize: new Function(
        'code',
        'bytes',
        'return %DeserializeWasmModule(code, bytes)',
      ) as Intrinsics['deserialize'],
    }));
  } catch {
    return undefined; // a SyntaxError: this V8 has no such intrinsic
  }
}

/**
 * V8's optimized code for all of a module, and a sum over it; undefined where V8 gives none. For a process of its own:
 * flags that were set leave traces.
 */
export function compiledCode(bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> | undefined {
  const module = withFlags(FLAGS, () => withRelaxedSimd(() => new WebAssembly.Module(bytes)));
  const code = intrinsics()?.serialize(module);
  return code && withSum(new Uint8Array(code));
}

/** The module with what compiledCode() has given; undefined where that does not fit, or is damaged. */
export function restoredModule(bytes: Uint8Array<ArrayBuffer>, kept: Uint8Array): WebAssembly.Module | undefined {
  const code = withoutSum(kept);
  return code && intrinsics()?.deserialize(code.buffer, bytes);
}

function withSum(code: Uint8Array): Uint8Array<ArrayBuffer> {
  const kept = new Uint8Array(code.length + SUM_BYTES);
  kept.set(code);
  new DataView(kept.buffer).setUint32(code.length, crc32(code));
  return kept;
}

function withoutSum(kept: Uint8Array): Uint8Array<ArrayBuffer> | undefined {
  if (kept.length < SUM_BYTES) return undefined;
  const code = kept.slice(0, -SUM_BYTES);
  const sum = new DataView(kept.buffer, kept.byteOffset).getUint32(code.length);
  return crc32(code) === sum ? code : undefined;
}
