import { setFlagsFromString } from 'node:v8';
import type { HartContext } from '../host/context.js';
import type { Fetch } from '../host/fetch.js';
import type { TlbControl } from '../host/tlb.js';
import { SPECIAL } from '../interpreter/handlers.js';
import { ENTRY_SCALE, HANDLER_MASK } from '../interpreter/operation.js';
import type { TrapExports } from '../interpreter/trap-code.js';
import { DECODE, EVENT, OFFSET, REGION, TLB } from '../layout.js';
import { CodeSource } from './code-source.js';
import { encodeRegion } from './compile.js';
import { RegionFinder } from './region.js';

/** When code is translated: never, when it is hot, or (for tests) the first time that it is executed. */
export type TranslateMode = 'off' | 'on' | 'forced';

/** What regions import from the interpreter's instance, and the table that it calls them through. */
export interface RegionHost extends TrapExports {
  table: WebAssembly.Table;
  refill: WebAssembly.ExportValue;
  reach: WebAssembly.ExportValue;
  poll: WebAssembly.ExportValue;
}

/** A place is hot when so many slices ended there. */
const HOT_SAMPLES = 32;
const COUNTERS = 8192;

/**
 * Branch hints keep registers out of slow paths' reach; what is translated is hot, so V8 should optimize it early. Regions
 * do not recurse and look by themselves whether they must stop: V8's own look in each loop would be a second one.
 */
const V8_FLAGS = ['--experimental-wasm-branch-hinting', '--wasm-tiering-budget=100000', '--no-wasm-stack-checks'];

/**
 * Decides what is translated, and puts translations where the interpreter meets them: in place of the operation of
 * their first instruction in the decode cache. So code that is not translated pays nothing, and a page that is loaded
 * again, because its code has changed, has lost its translations.
 */
export class Translator {
  /** Slices that ended at a place, by its entry in the decode cache, modulo COUNTERS: collisions only translate early. */
  private readonly samples = new Uint8Array(COUNTERS);
  private readonly imports: WebAssembly.Imports;
  private regions = 0;

  constructor(
    private readonly hart: HartContext,
    private readonly fetch: Fetch,
    private readonly tlb: TlbControl,
    memory: WebAssembly.Memory,
    private readonly host: RegionHost,
    private readonly everything: boolean,
  ) {
    for (const flag of V8_FLAGS) setFlagsFromString(flag);
    const time = () => hart.bus.time();
    this.imports = { env: { memory }, cpu: { ...host, time } };
  }

  /** A slice ended at OFFSET.pc, the target of a jump: statistically, where time is spent. */
  sample(): void {
    const { hart, samples } = this;
    const low = hart.get(OFFSET.pc);
    const high = hart.get(OFFSET.pc + 4);
    const index = (low >>> 12) & (TLB.executeEntries - 1);
    const entry = (hart.get(OFFSET.tlbExecute) + index * TLB.entryBytes) >> 2;
    if (hart.i32[entry] !== (low & ~0xfff) || hart.i32[entry + 1] !== high) return;
    const slot = hart.i32[entry + 2];
    const ip = slot + (low & 0xffe) * ENTRY_SCALE;
    const counter = (ip >>> 3) % COUNTERS;
    if (++samples[counter] < HOT_SAMPLES) return;
    samples[counter] = 0;
    this.translate(ip, slot, low & ~0xfff, high);
  }

  /** The instruction at OFFSET.ip has just been decoded. */
  decoded(): void {
    const { hart } = this;
    this.translate(
      hart.get(OFFSET.ip),
      hart.get(OFFSET.slot),
      hart.get(OFFSET.slotPage),
      hart.get(OFFSET.slotPage + 4),
    );
  }

  /** Makes a region that is entered at the operation `ip`, in the page at the virtual address; false when none can be. */
  private translate(ip: number, slot: number, pageLow: number, pageHigh: number): boolean {
    const { hart } = this;
    const handler = hart.i32[ip >> 2] & HANDLER_MASK;
    if (handler === SPECIAL.decode || handler === SPECIAL.region || this.fetch.divided(slot)) return false;
    const base = (BigInt(pageHigh) << 32n) | BigInt(pageLow >>> 0);
    const source = new CodeSource(hart, base, slot, this.everything);
    const entry = new RegionFinder(source, (ip - slot) / ENTRY_SCALE).find();
    if (entry === undefined) return false;
    if (this.regions === REGION.count) this.flush();
    const index = this.regions++;
    const bytes = encodeRegion(entry, source, {
      pages: () =>
        source.otherPages().map((page) => ({ ...page, generation: hart.i32[(page.slot + DECODE.generation) >> 2] })),
      inexact: (hart.get(OFFSET.fflags) & 1) !== 0,
      record: this.record(index),
    });
    const instance = new WebAssembly.Instance(new WebAssembly.Module(bytes), this.imports);
    this.host.table.set(index, instance.exports.region);
    this.install(ip, base, index);
    hart.count(EVENT.translations);
    return true;
  }

  private install(ip: number, page: bigint, index: number): void {
    const { hart } = this;
    const record = this.record(index);
    hart.i32.copyWithin((record + REGION.operation) >> 2, ip >> 2, (ip >> 2) + 2);
    hart.view.setBigInt64(record + REGION.page, page, true);
    hart.i32[(record + REGION.index) >> 2] = index;
    hart.i32[(record + REGION.entry) >> 2] = ip;
    hart.i32[(record + REGION.context) >> 2] = 0; // its slots are empty
    hart.i32[(ip >> 2) + 1] = record;
    hart.i32[ip >> 2] = SPECIAL.region;
  }

  /** Drops all translations. */
  private flush(): void {
    for (let index = 0; index < this.regions; index++) this.uninstall(index);
    this.regions = 0;
    this.samples.fill(0);
  }

  private uninstall(index: number): void {
    const { hart } = this;
    const record = this.record(index);
    const ip = hart.i32[(record + REGION.entry) >> 2] >> 2;
    this.host.table.set(index, null);
    this.tlb.forgetJumps();
    const installed = (hart.i32[ip] & HANDLER_MASK) === SPECIAL.region && hart.i32[ip + 1] === record;
    if (installed) hart.i32.copyWithin(ip, (record + REGION.operation) >> 2, ((record + REGION.operation) >> 2) + 2);
  }

  private record(index: number): number {
    return this.hart.base + REGION.records + index * REGION.bytes;
  }
}
