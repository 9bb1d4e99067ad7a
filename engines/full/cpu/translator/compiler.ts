import { setFlagsFromString } from 'node:v8';
import { ENTRY_SCALE } from '../interpreter/operation.js';
import { DECODE } from '../layout.js';
import { withRelaxedSimd } from '../wasm/features.js';
import { type CodeMemory, CodeSource } from './code-source.js';
import { encodeRegion, type PageVersion } from './compile.js';
import { ModuleCache } from './module-cache.js';
import { RegionFinder } from './region.js';

/**
 * Branch hints keep registers out of slow paths' reach. What only slow paths want, or what comes after a loop, V8 stores where it
 * is written, in the loop, unless it spills late: copying strings was a tenth slower for it. Regions do not recurse and look by
 * themselves whether they must stop: V8's own look in each loop would be a second one. V8 optimizes JavaScript ten times as late
 * as it would: at the start of an operating system it spent as much on 400 functions, of devices and of this very translator, as
 * on all regions.
 */
const V8_FLAGS = [
  '--experimental-wasm-branch-hinting',
  '--stress-turbo-late-spilling',
  '--no-wasm-stack-checks',
  '--interrupt-budget=600000',
];

/**
 * A place is translated twice. What has become warm: a small region, which V8 compiles at once and badly (Liftoff). What
 * stays hot: a large one, optimized (TurboFan), which costs 20 ms of a processor, the work of 40 million instructions: at the
 * start of an operating system that was more than half of all processor time, spent on code that was soon done.
 * `budget` is V8's: bytes of Liftoff's code that are executed before it optimizes.
 */
const STAGES = {
  warm: { instructions: 100, budget: 50_000_000 },
  hot: { instructions: 700, budget: 3_000_000 },
} as const;
export type Stage = keyof typeof STAGES;

const WASM_PAGE = 65_536;

/** A place that a hart wants translated: plain data. Addresses are in wasm memory, but for `page`. */
export interface RegionRequest {
  /** Where the hart's state lies. */
  readonly state: number;
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
  /** What was made of it before will not do. */
  readonly anew: boolean;
  /** NX is raised; the rounding mode is to nearest. The region is made for that where they are set. */
  readonly inexact: boolean;
  readonly nearest: boolean;
  /** What was there before has often left the ranges that its accesses were in: small pages that lie scattered. */
  readonly scattered: boolean;
  /** Its loops are too short for copies of their own (see Strip), given how often they began in other ranges. */
  readonly plain: boolean;
  /** The region's index: see REGION. */
  readonly index: number;
}

export interface CompiledRegion {
  readonly request: RegionRequest;
  /** undefined when no region begins there. */
  readonly module: WebAssembly.Module | undefined;
  /** Pages besides the first that it was read from: at most REGION.mostPages. */
  readonly pages: readonly PageVersion[];
}

/** Makes a region at once, on the thread that asks. */
export interface RegionMaker {
  compile(request: RegionRequest): CompiledRegion;
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
export class RegionCompiler implements RegionMaker {
  private readonly memory: CodeMemory;
  private readonly cache: ModuleCache;

  /** `everything`: also what has never been executed. */
  constructor(
    memory: WebAssembly.Memory,
    private readonly everything: boolean,
  ) {
    for (const flag of V8_FLAGS) setFlagsFromString(flag);
    this.memory = { i32: new Int32Array(memory.buffer), view: new DataView(memory.buffer) };
    this.cache = new ModuleCache(this.memory);
  }

  compile(request: RegionRequest): CompiledRegion {
    const known = request.anew ? undefined : this.cache.find(request);
    const region = known === undefined ? this.make(request) : { request, ...known };
    const { slot, generation } = request;
    const sound = () => [{ slot, generation }, ...region.pages].every((page) => this.unchanged(page));
    if (known === undefined && region.module !== undefined) this.cache.add(region, region.module, sound);
    return sound() ? region : { ...region, module: undefined };
  }

  private make(request: RegionRequest): CompiledRegion {
    const source = new CodeSource(this.memory, request, this.everything);
    const bytes = this.encode(request, source);
    const pages = source.otherPages();
    return { request, pages, module: bytes && this.module(bytes, request.stage) };
  }

  /** V8 reads the budget when it makes the module. */
  private module(bytes: Uint8Array<ArrayBuffer>, stage: Stage): WebAssembly.Module {
    setFlagsFromString(`--wasm-tiering-budget=${STAGES[stage].budget}`);
    return withRelaxedSimd(() => new WebAssembly.Module(bytes));
  }

  private encode(request: RegionRequest, source: CodeSource): Uint8Array<ArrayBuffer> | undefined {
    const { ip, slot, stage, plain } = request;
    // Loops that have no copies leave room for as much other code at the same cost.
    const limit = STAGES[stage].instructions * (plain ? 2 : 1);
    const entry = new RegionFinder(source, (ip - slot) / ENTRY_SCALE, limit).find();
    return entry && encodeRegion(entry, source, request, this.memory.view.byteLength / WASM_PAGE);
  }

  private unchanged({ slot, generation }: { slot: number; generation: number }): boolean {
    const now = Atomics.load(this.memory.i32, (slot + DECODE.generation) >> 2);
    return now === generation && (generation & 1) === 0;
  }
}
