import { setFlagsFromString } from 'node:v8';
import { ENTRY_SCALE } from '../interpreter/operation.js';
import { DECODE } from '../layout.js';
import { type CodeMemory, CodeSource } from './code-source.js';
import { encodeRegion, type PageVersion } from './compile.js';
import { RegionFinder } from './region.js';

/**
 * Branch hints keep registers out of slow paths' reach. V8 optimizes a region when it has run for a while, since at the
 * start of an operating system optimizing sooner took more than a third of all processor time. Regions do not recurse and
 * look by themselves whether they must stop: V8's own look in each loop would be a second one.
 */
const V8_FLAGS = ['--experimental-wasm-branch-hinting', '--wasm-tiering-budget=10000000', '--no-wasm-stack-checks'];

/** A place that a hart wants translated: plain data. Addresses are in wasm memory, but for `page`. */
export interface RegionRequest {
  /** The operation in the decode cache that the region is entered at, its slot, and how often that has been loaded. */
  readonly ip: number;
  readonly slot: number;
  readonly generation: number;
  /** Virtual address of the slot's page. */
  readonly page: bigint;
  /** The execute TLB and the mode that the code is executed with. */
  readonly tlbExecute: number;
  readonly privilege: number;
  /** Where the hart notes indirect jumps: see TARGETS. */
  readonly targets: number;
  /** NX is raised. */
  readonly inexact: boolean;
  /** The region's index, and its record: see REGION. */
  readonly index: number;
  readonly record: number;
}

export interface CompiledRegion {
  readonly request: RegionRequest;
  /** undefined when no region begins there. */
  readonly module: WebAssembly.Module | undefined;
  /** Pages besides the first that it was read from: at most REGION.mostPages. */
  readonly pages: readonly PageVersion[];
}

/** Gives regions a compiler elsewhere: the hart goes on while it works. */
export interface CompileService {
  /** Answered some time later, in order. */
  request(request: RegionRequest): void;
  /** The next answer, if there is one. */
  take(): CompiledRegion | undefined;
}

/**
 * Makes modules out of code in a hart's decode cache, on any thread. The hart may be running, and load other pages: what
 * was read counts only if no slot has been loaded anew meanwhile, and the region itself looks at that when it is entered.
 */
export class RegionCompiler {
  private readonly memory: CodeMemory;

  /** `everything`: also what has never been executed. */
  constructor(
    memory: WebAssembly.Memory,
    private readonly everything: boolean,
  ) {
    for (const flag of V8_FLAGS) setFlagsFromString(flag);
    this.memory = { i32: new Int32Array(memory.buffer), view: new DataView(memory.buffer) };
  }

  compile(request: RegionRequest): CompiledRegion {
    const { slot, generation } = request;
    const source = new CodeSource(this.memory, request, this.everything);
    const bytes = this.encode(request, source);
    const pages = source.otherPages();
    const sound = [{ slot, generation }, ...pages].every((page) => this.unchanged(page));
    return { request, pages, module: bytes && sound ? new WebAssembly.Module(bytes) : undefined };
  }

  private encode(request: RegionRequest, source: CodeSource): Uint8Array<ArrayBuffer> | undefined {
    const { ip, slot, inexact, record } = request;
    const entry = new RegionFinder(source, (ip - slot) / ENTRY_SCALE).find();
    return entry && encodeRegion(entry, source, { pages: () => source.otherPages(), inexact, record });
  }

  private unchanged({ slot, generation }: { slot: number; generation: number }): boolean {
    const now = Atomics.load(this.memory.i32, (slot + DECODE.generation) >> 2);
    return now === generation && (generation & 1) === 0;
  }
}
