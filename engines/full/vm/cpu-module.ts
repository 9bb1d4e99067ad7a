/** The CPU as a module, the same for all machines: its bytes are kept from one process to the next. */
import { kept } from '../../process/program/program-file.js';
import { encodeInterpreter } from '../cpu/interpreter/build.js';

/** A module may be given any memory that is no larger: pages of 64 KiB. */
const ANY_MEMORY = 65_536;

let module: WebAssembly.Module | undefined;

export function cpuModule(): WebAssembly.Module {
  module ??= new WebAssembly.Module(kept('interpreter', () => encodeInterpreter(ANY_MEMORY)));
  return module;
}
