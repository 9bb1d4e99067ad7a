/** A hart that brings all it needs: it compiles its regions itself, unless somebody else does. */
import { defaultMode } from './default-mode.js';
import { encodeInterpreter } from './interpreter/build.js';
import { type HartBus, type HartConfig, ServedHart } from './served-hart.js';
import { RegionCompiler } from './translator/compiler.js';
import { withRelaxedSimd } from './wasm/features.js';

export type { CompileService, HartBus, HartConfig } from './served-hart.js';
export { HART_STATE_BYTES, HartExit, HartLines, HartState, IRQ, RAM_BASE } from './served-hart.js';

/** Options of the module; none so far changes what a guest sees. */
export interface CpuModuleOptions {
  /** Pages of 64 KiB that the memory has at most; must be those of the WebAssembly.Memory that is passed to Hart. */
  maximumPages: number;
}

/** Modules of this process: the same bytes need not be made twice. */
const modules = new Map<number, WebAssembly.Module>();

/** The CPU as a WebAssembly module, the same for all harts: build it once, post it to the workers. */
export function buildCpuModule({ maximumPages }: CpuModuleOptions): WebAssembly.Module {
  let module = modules.get(maximumPages);
  if (module === undefined) {
    module = withRelaxedSimd(() => new WebAssembly.Module(encodeInterpreter(maximumPages)));
    modules.set(maximumPages, module);
  }
  return module;
}

export class Hart extends ServedHart {
  constructor(module: WebAssembly.Module, memory: WebAssembly.Memory, config: HartConfig, bus: HartBus) {
    super(module, memory, { ...config, compiler: compilerFor(memory, config) }, bus);
  }
}

/** What is to be translated before it is executed cannot wait for another thread. */
function compilerFor(memory: WebAssembly.Memory, config: HartConfig): HartConfig['compiler'] {
  const mode = config.translate ?? defaultMode();
  if (mode === 'off') return undefined;
  return mode === 'forced' || config.compiler === undefined
    ? new RegionCompiler(memory, mode === 'forced')
    : config.compiler;
}
