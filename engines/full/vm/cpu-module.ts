/** The CPU as a module, the same for all machines: its bytes and V8's code for it are kept from one process to the next. */
import { keep, kept, keptBytes } from '../../process/program/program-file.js';
import { encodeInterpreter } from '../cpu/interpreter/build.js';
import { hasFusedMultiplyAdd, withRelaxedSimd } from '../cpu/wasm/features.js';
import { compiledCode, restoredModule } from './compiled-module.js';

/** A module may be given any memory that is no larger: pages of 64 KiB. */
const ANY_MEMORY = 65_536;
/** Another processor may want other bytes: a folder can be shared by several. */
const variant = (): string => (hasFusedMultiplyAdd() ? 'fused' : 'plain');
const codeName = (): string => `interpreter-code-${variant()}`;

let module: WebAssembly.Module | undefined;

const moduleBytes = () => kept(`interpreter-${variant()}`, () => encodeInterpreter(ANY_MEMORY));

export function cpuModule(): WebAssembly.Module {
  const code = module === undefined ? keptBytes(codeName()) : undefined;
  module ??=
    (code && restoredModule(moduleBytes(), code)) ?? withRelaxedSimd(() => new WebAssembly.Module(moduleBytes()));
  return module;
}

/** Once for a program: its processes need not compile the CPU. */
export function keepCompiledCpu(): void {
  const code = compiledCode(moduleBytes());
  if (code === undefined) return;
  restoredModule(moduleBytes(), code); // should V8 end the process at that, then here
  keep(codeName(), code);
}
