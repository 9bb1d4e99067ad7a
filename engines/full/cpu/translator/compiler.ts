import { setFlagsFromString } from 'node:v8';
import { ENTRY_SCALE } from '../interpreter/operation.js';
import { DECODE } from '../layout.js';
import { withRelaxedSimd } from '../wasm/features.js';
import { type CodeMemory, CodeSource } from './code-source.js';
import { encodeRegion, type PageVersion } from './compile.js';
import { RegionFinder } from './region.js';

/**
 * Branch hints keep registers out of slow paths' reach. Regions do not recurse and look by themselves whether they must
 * stop: V8's own look in each loop would be a second one.
 */
const V8_FLAGS = ['--experimental-wasm-branch-hinting', '--no-wasm-stack-checks'];

/**
 * A place is translated twice. What has become warm: a small region, which V8 compiles at once and badly (Liftoff). What
 * stays hot: a large one, optimized (TurboFan), which costs 20 ms of a processor, the work of 40 million instructions: at the
 * start of an operating system that was more than half of all processor time, spent on code that was soon done.
 * `budget` is V8's: bytes of Liftoff's code that are executed before it optimizes.
 */
const STAGES = {
  warm: { instructions: 200, budget: 50_000_000 },
  hot: { instructions: 700, budget: 3_000_000 },
} as const;
export type Stage = keyof typeof STAGES;

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
  readonly stage: Stage;
  /** NX is raised; the rounding mode is to nearest. The region is made for that where they are set. */
  readonly inexact: boolean;
  readonly nearest: boolean;
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
    return { request, pages, module: bytes && sound ? this.module(bytes, request.stage) : undefined };
  }

  /** V8 reads the budget when it makes the module. */
  private module(bytes: Uint8Array<ArrayBuffer>, stage: Stage): WebAssembly.Module {
    setFlagsFromString(`--wasm-tiering-budget=${STAGES[stage].budget}`);
    return withRelaxedSimd(() => new WebAssembly.Module(bytes));
  }

  private encode(request: RegionRequest, source: CodeSource): Uint8Array<ArrayBuffer> | undefined {
    const { ip, slot, inexact, nearest, record, stage } = request;
    const entry = new RegionFinder(source, (ip - slot) / ENTRY_SCALE, STAGES[stage].instructions).find();
    return entry && encodeRegion(entry, source, { pages: () => source.otherPages(), inexact, nearest, record });
  }

  private unchanged({ slot, generation }: { slot: number; generation: number }): boolean {
    const now = Atomics.load(this.memory.i32, (slot + DECODE.generation) >> 2);
    return now === generation && (generation & 1) === 0;
  }
}
