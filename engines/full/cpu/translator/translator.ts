import type { HartContext } from '../host/context.js';
import type { Fetch } from '../host/fetch.js';
import type { TlbControl } from '../host/tlb.js';
import { SPECIAL } from '../interpreter/handlers.js';
import { ENTRY_SCALE, HANDLER_MASK } from '../interpreter/operation.js';
import { MOST_DECLINES } from '../interpreter/region-support.js';
import type { TrapExports } from '../interpreter/trap-code.js';
import { DECODE, EVENT, OFFSET, REGION, TARGETS, TLB } from '../layout.js';
import type { PageVersion } from './compile.js';
import type { CompiledRegion, CompileService, RegionMaker, RegionRequest, Stage } from './compiler.js';

/** When code is translated: never, when it is hot, or (for tests) the first time that it is executed. */
export type TranslateMode = 'off' | 'on' | 'forced';

/** What regions import from the interpreter's instance, and the table that it calls them through. */
export interface RegionHost extends TrapExports {
  table: WebAssembly.Table;
  refill: WebAssembly.ExportValue;
  chain: WebAssembly.ExportValue;
  decline: WebAssembly.ExportValue;
  reach: WebAssembly.ExportValue;
  poll: WebAssembly.ExportValue;
  exact: WebAssembly.ExportValue;
}

/** A place is warm when so many samples of the interpreter were taken there: see SAMPLED_SLICES. */
const WARM_SAMPLES = 250;
/**
 * What a hart executes first when it has waited, it does each time that it has waited: so many samples there count so much. A
 * driver's way from one request to the next is a few thousand instructions, in which no place stands out.
 */
const AFTER_WAIT = { samples: 2, weight: 3 } as const;
/** A region is hot when so many slices of the thread ended in it, 40 to 100 µs each: see ../../slice.ts. */
const HOT_SLICES = 200;
/** A large region that jumps so often to where it did not when it was made is made anew. */
const MANY_MISSES = 100_000;
/** Where so many accesses left their ranges in so many slices the region is made for that. */
const MANY_TURNS = 200_000;
/**
 * Where loops found so often in so many slices that they had left their ranges they get no copies: strings of some ten bytes,
 * in one small page now and in another one then. What is looked up before such a loop costs more than all of it. A stream through
 * memory changes its page a third as often, since it moves 4096 bytes each time.
 */
const MANY_REACHES = 40_000;
const COUNTERS = 8192;

/** Regions that a hart has asked for and not got: others must wait, and may have cooled down when their turn comes. */
const MOST_WANTED = 4;

/** An operation in the decode cache: its address, its slot, and the virtual address of its page. */
interface Place {
  readonly ip: number;
  readonly slot: number;
  readonly low: number;
  readonly high: number;
}

/**
 * Decides what is translated, and puts translations where the interpreter meets them: in place of the operation of
 * their first instruction in the decode cache. So code that is not translated pays nothing, and a page that is loaded
 * again, because its code has changed, has lost its translations.
 */
export class Translator {
  /** Slices that ended at a place, by its entry in the decode cache, modulo COUNTERS: collisions only translate early. */
  private readonly samples = new Uint16Array(COUNTERS);
  private readonly imports: WebAssembly.Imports;
  /** Samples since the hart last waited, up to AFTER_WAIT.samples. */
  private sinceWait: number = AFTER_WAIT.samples;
  /** Regions made so far: an index is used again for the one REGION.count later. */
  private regions = 0;
  /** Slices of the thread that ended in a small region, by its index. */
  private readonly slices = new Uint8Array(REGION.count);
  /** What has been installed last, by index. */
  private readonly installed: (RegionRequest | undefined)[] = [];
  /** Places (operations in the decode cache) where fcsr is now this, now that: regions there are made for any. */
  private readonly unsettled = new Set<number>();
  /** Requests that have not been answered, by index. */
  private readonly wanted = new Map<number, RegionRequest>();
  /** One of the two: what compiles elsewhere, or here and at once. */
  private readonly service: CompileService | undefined;
  private readonly maker: RegionMaker | undefined;

  constructor(
    private readonly hart: HartContext,
    private readonly fetch: Fetch,
    private readonly tlb: TlbControl,
    memory: WebAssembly.Memory,
    private readonly host: RegionHost,
    private readonly everything: boolean,
    compiler: CompileService | RegionMaker,
  ) {
    if ('compile' in compiler) this.maker = compiler;
    else this.service = compiler;
    const time = () => hart.bus.time();
    this.imports = { env: { memory }, cpu: { ...host, time } };
  }

  /** A slice ended at OFFSET.pc, the target of a jump: statistically, where time is spent. */
  sample(): void {
    const { hart } = this;
    const region = hart.get(OFFSET.region);
    hart.set(OFFSET.region, 0);
    const done = hart.get(OFFSET.sliceLength) - hart.get(OFFSET.count);
    if (region !== 0 && done >= hart.get(OFFSET.budget)) {
      this.sampleRegion(region);
      return;
    }
    this.samplePlace(this.weigh());
  }

  /** A region has led to OFFSET.pc, where none is known to begin. */
  sampleMiss(): void {
    this.samplePlace(1);
  }

  /** OFFSET.pc is where time is spent. */
  private samplePlace(weight: number): void {
    const { hart, samples } = this;
    const low = hart.get(OFFSET.pc);
    const high = hart.get(OFFSET.pc + 4);
    const index = (low >>> 12) & (TLB.executeEntries - 1);
    const entry = (hart.get(OFFSET.tlbExecute) + index * TLB.entryBytes) >> 2;
    if (hart.i32[entry] !== (low & ~0xfff) || hart.i32[entry + 1] !== high) return;
    const slot = hart.i32[entry + 2];
    const ip = slot + (low & 0xffe) * ENTRY_SCALE;
    const counter = (ip >>> 3) % COUNTERS;
    samples[counter] = Math.min(WARM_SAMPLES, samples[counter] + weight);
    if (samples[counter] < WARM_SAMPLES || this.wanted.size >= MOST_WANTED) return;
    samples[counter] = 0;
    if (!this.enterable(ip)) return;
    this.translate({ ip, slot, low: low & ~0xfff, high }, 'warm');
  }

  /** The hart goes on after it has waited. */
  waited(): void {
    this.sinceWait = 0;
  }

  private weigh(): number {
    if (this.sinceWait === AFTER_WAIT.samples) return 1;
    this.sinceWait++;
    return AFTER_WAIT.weight;
  }

  /** A slice of the thread ended in the region with a record. */
  private sampleRegion(record: number): void {
    const { hart } = this;
    const index = hart.i32[(record + REGION.index) >> 2];
    const request = this.installed[index];
    // After a trap the place is another mode's.
    if (request === undefined || request.privilege !== hart.get(OFFSET.privilege)) return;
    if (++this.slices[index] < HOT_SLICES || this.wanted.size >= MOST_WANTED) return;
    this.slices[index] = 0;
    const scattered = request.scattered || this.takeCount(record, REGION.turns) >= MANY_TURNS;
    const plain = request.plain || this.takeCount(record, REGION.reaches) >= MANY_REACHES;
    const same = scattered === request.scattered && plain === request.plain;
    const known = same && hart.i32[(record + REGION.misses) >> 2] < MANY_MISSES;
    if (request.stage === 'hot' && known) return;
    const { ip, slot } = request;
    const [low, high] = [hart.get(OFFSET.regionPc) & ~0xfff, hart.get(OFFSET.regionPc + 4)];
    const anew = request.stage === 'hot' && same;
    if (this.entered(ip, record)) this.translate({ ip, slot, low, high }, 'hot', { anew, scattered, plain });
  }

  /** What a field of a record has counted since this was asked last. */
  private takeCount(record: number, field: number): number {
    const at = (record + field) >> 2;
    const { i32 } = this.hart;
    const count = i32[at];
    i32[at] = 0;
    return count;
  }

  /** The instruction at OFFSET.ip has just been decoded. */
  decoded(): void {
    const { hart } = this;
    const [low, high] = [hart.get(OFFSET.slotPage), hart.get(OFFSET.slotPage + 4)];
    const ip = hart.get(OFFSET.ip);
    if (this.enterable(ip)) this.translate({ ip, slot: hart.get(OFFSET.slot), low, high }, 'hot');
  }

  /** `anew`: more is known than when it was translated last. `scattered`, `plain`: see RegionRequest. */
  private translate(
    { ip, slot, low, high }: Place,
    stage: Stage,
    {
      anew = false,
      scattered = false,
      plain = false,
    }: Partial<Pick<RegionRequest, 'anew' | 'scattered' | 'plain'>> = {},
  ): void {
    const { hart } = this;
    if (this.fetch.divided(slot)) return;
    const index = this.regions++ % REGION.count;
    const request: RegionRequest = {
      state: hart.base,
      ip,
      slot,
      generation: hart.i32[(slot + DECODE.generation) >> 2],
      page: (BigInt(high) << 32n) | BigInt(low >>> 0),
      tlbExecute: hart.get(OFFSET.tlbExecute),
      privilege: hart.get(OFFSET.privilege),
      targets: hart.base + TARGETS.keys,
      stage,
      anew,
      inexact: (hart.get(OFFSET.fflags) & 1) !== 0 && !this.unsettled.has(ip),
      nearest: hart.get(OFFSET.frm) === 0 && !this.unsettled.has(ip),
      scattered: this.everything ? (index & 1) !== 0 : scattered, // both kinds, for tests
      plain: this.everything ? (index & 2) !== 0 : plain,
      index,
    };
    if (this.maker !== undefined) {
      this.install(this.maker.compile(request));
    } else if (![...this.wanted.values()].some((other) => other.ip === ip)) {
      this.wanted.set(index, request);
      this.service?.request(request);
    }
  }

  /** Takes what the compiler has answered. */
  collect(): void {
    this.hart.set(OFFSET.compiled, 0); // before looking: what comes later sets it again
    for (let answer = this.service?.take(); answer !== undefined; answer = this.service?.take()) {
      this.wanted.delete(answer.request.index);
      this.install(answer);
    }
  }

  /** Whether an entry of the decode cache holds an instruction that has been executed, and no region begins there. */
  private enterable(ip: number): boolean {
    const handler = this.hart.i32[ip >> 2] & HANDLER_MASK;
    return handler !== SPECIAL.decode && handler !== SPECIAL.region;
  }

  private install({ request, module, pages }: CompiledRegion): void {
    const { hart } = this;
    const { ip, slot, generation, index, stage } = request;
    if (module === undefined || hart.i32[(slot + DECODE.generation) >> 2] !== generation) return;
    if (stage === 'hot') this.makePlace(ip);
    if (!this.enterable(ip)) return;
    this.uninstall(index);
    const instance = new WebAssembly.Instance(module, this.imports);
    this.host.table.set(index, instance.exports.region);
    this.notePages(index, pages);
    this.enter(request);
    this.installed[index] = request;
    this.slices[index] = 0;
    hart.count(EVENT.translations);
  }

  private notePages(index: number, pages: readonly PageVersion[]): void {
    const { i32, view } = this.hart;
    const record = this.record(index);
    i32[(record + REGION.pageCount) >> 2] = pages.length;
    for (const [place, { distance, slot, generation }] of pages.entries()) {
      const at = record + REGION.pages + place * 16;
      view.setBigInt64(at, BigInt(distance), true);
      i32[(at + 8) >> 2] = slot;
      i32[(at + 12) >> 2] = generation;
    }
  }

  /** A region whose code has changed makes place for what is there now. */
  dropDead(): void {
    const record = this.hart.get(OFFSET.dead);
    if (record === 0) return;
    const { hart } = this;
    hart.set(OFFSET.dead, 0);
    const index = hart.i32[(record + REGION.index) >> 2];
    const request = this.installed[index];
    const declined = hart.i32[(record + REGION.declines) >> 2] >= MOST_DECLINES;
    const there = request !== undefined && this.entered(request.ip, record);
    this.uninstall(index);
    if (declined && there) this.makeGeneral(request);
  }

  /** Asks for a region again, for any fcsr. */
  private makeGeneral({ ip, slot, page, stage, privilege, scattered, plain }: RegionRequest): void {
    if (this.unsettled.size >= COUNTERS) this.unsettled.clear();
    this.unsettled.add(ip);
    // After a trap the place is another mode's: it will be found again.
    if (!this.enterable(ip) || privilege !== this.hart.get(OFFSET.privilege)) return;
    const [low, high] = [Number(BigInt.asIntN(32, page)), Number(BigInt.asIntN(32, page >> 32n))];
    this.translate({ ip, slot, low, high }, stage, { scattered, plain });
  }

  private enter({ ip, privilege, index }: RegionRequest): void {
    const { hart } = this;
    const record = this.record(index);
    hart.i32.copyWithin((record + REGION.operation) >> 2, ip >> 2, (ip >> 2) + 2);
    hart.i32[(record + REGION.privilege) >> 2] = privilege;
    hart.i32[(record + REGION.index) >> 2] = index;
    hart.i32[(record + REGION.entry) >> 2] = ip;
    hart.i32[(record + REGION.context) >> 2] = 0; // its slots are empty
    hart.i32[(record + REGION.misses) >> 2] = 0;
    hart.i32[(record + REGION.turns) >> 2] = 0;
    hart.i32[(record + REGION.reaches) >> 2] = 0;
    hart.i32[(record + REGION.declines) >> 2] = 0;
    hart.i32[(ip >> 2) + 1] = record;
    hart.i32[ip >> 2] = SPECIAL.region;
  }

  /** Drops the region that is entered at an operation, if there is one. */
  private makePlace(ip: number): void {
    const { i32 } = this.hart;
    const record = i32[(ip >> 2) + 1];
    if ((i32[ip >> 2] & HANDLER_MASK) === SPECIAL.region) this.uninstall(i32[(record + REGION.index) >> 2]);
  }

  /** Whether the region with a record is entered at an operation. */
  private entered(ip: number, record: number): boolean {
    const { i32 } = this.hart;
    return (i32[ip >> 2] & HANDLER_MASK) === SPECIAL.region && i32[(ip >> 2) + 1] === record;
  }

  /** Drops the region with an index, if there is one. */
  private uninstall(index: number): void {
    const { hart } = this;
    const record = this.record(index);
    const ip = hart.i32[(record + REGION.entry) >> 2] >> 2;
    if (ip === 0) return;
    this.host.table.set(index, null);
    this.tlb.forgetJumps();
    if (this.entered(ip << 2, record))
      hart.i32.copyWithin(ip, (record + REGION.operation) >> 2, ((record + REGION.operation) >> 2) + 2);
  }

  private record(index: number): number {
    return this.hart.base + REGION.records + index * REGION.bytes;
  }
}
