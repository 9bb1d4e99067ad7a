/** The CPU as a module, the same for all machines: its bytes and V8's code for it are kept from one process to the next. */
import { keep, kept } from '../../process/program/own-program.js';
import { encodeInterpreter } from '../cpu/interpreter/build.js';
import { withRelaxedSimd } from '../cpu/wasm/features.js';
import { compiledCode, restoredModule } from './compiled-module.js';

/** A module may be given any memory that is no larger: pages of 64 KiB. */
const ANY_MEMORY = 65_536;
const BYTES = 'interpreter';
const CODE = 'interpreter-code';

let module: WebAssembly.Module | undefined;

export function cpuModule(): WebAssembly.Module {
  module ??= keptModule() ?? withRelaxedSimd(() => new WebAssembly.Module(encodeInterpreter(ANY_MEMORY)));
  return module;
}

/**
 * The bytes are for the processor that they were made on (see hasFusedMultiplyAdd()). Where a folder is shared with hosts of
 * another one, V8 refuses the code there, and both are made anew.
 */
function keptModule(): WebAssembly.Module | undefined {
  const bytes = kept(BYTES);
  const code = kept(CODE);
  return bytes && code && restoredModule(bytes, code);
}

/** Once for a program: its processes need neither make the CPU nor compile it. */
export function keepCompiledCpu(): void {
  const bytes = encodeInterpreter(ANY_MEMORY);
  const code = compiledCode(bytes);
  if (code === undefined) return;
  restoredModule(bytes, code); // should V8 end the process at that, then here
  keep(BYTES, bytes);
  keep(CODE, code);
}
