import { placeOf } from '../host/fetch.js';
import { DECODE } from '../layout.js';
import type { CodeMemory } from './code-source.js';
import type { PageVersion } from './compile.js';
import type { CompiledRegion, RegionRequest } from './compiler.js';

/** Modules that are kept; each holds its machine code, some 20 KiB. */
const MOST_MODULES = 512;
const PAGE = 4096;

/** A page as it was when code was read from it. */
interface KnownPage {
  readonly distance: number;
  /** Number of the physical page. */
  readonly number: number;
  readonly bytes: Uint8Array;
}

interface Made {
  readonly module: WebAssembly.Module;
  /** The first one is that which the region is entered in. */
  readonly pages: readonly KnownPage[];
}

/**
 * Modules by what they were made from: physical pages, and what these held. A region does not depend on virtual addresses,
 * so what one hart or process has had translated serves all others, and the same one again when its decode cache has
 * meanwhile dropped the page.
 */
export class ModuleCache {
  /** In order of last use. */
  private readonly modules = new Map<string, Made>();
  /** The last known content of each page: most regions of a page were read from the same one. */
  private readonly contents = new Map<number, Uint8Array>();
  private readonly f64: Float64Array;
  private readonly u8: Uint8Array;

  constructor(private readonly memory: CodeMemory) {
    this.f64 = new Float64Array(memory.i32.buffer);
    this.u8 = new Uint8Array(memory.i32.buffer);
  }

  /** The module for a request, with the pages besides the first as the hart that asks has them; undefined: none. */
  find(request: RegionRequest): { module: WebAssembly.Module; pages: PageVersion[] } | undefined {
    const key = this.key(request);
    const made = this.modules.get(key);
    if (made === undefined) return undefined;
    const pages = made.pages.map((page) => this.same(page, request));
    if (pages.includes(undefined)) return undefined;
    this.modules.delete(key);
    this.modules.set(key, made);
    return { module: made.module, pages: (pages as PageVersion[]).slice(1) };
  }

  /** `sound`: whether all pages are what they were when the module was made. Asked when they have been copied: the hart runs. */
  add({ request, pages }: Omit<CompiledRegion, 'module'>, module: WebAssembly.Module, sound: () => boolean): void {
    const key = this.key(request);
    const all = [{ distance: 0, slot: request.slot }, ...pages].map(({ distance, slot }) => this.known(distance, slot));
    if (!sound()) return;
    for (const { number, bytes } of all) this.contents.set(number, bytes);
    this.modules.delete(key);
    this.modules.set(key, { module, pages: all });
    if (this.modules.size <= MOST_MODULES) return;
    for (const oldest of this.modules.keys()) {
      this.modules.delete(oldest);
      break;
    }
    if (this.contents.size > MOST_MODULES) this.contents.clear();
  }

  private key({ slot, ip, privilege, stage, inexact, nearest, scattered, plain }: RegionRequest): string {
    return `${this.number(slot)} ${ip - slot} ${privilege} ${stage} ${inexact} ${nearest} ${scattered} ${plain}`;
  }

  private known(distance: number, slot: number): KnownPage {
    const number = this.number(slot);
    const now = this.copy(slot);
    const before = this.contents.get(number);
    return { distance, number, bytes: before !== undefined && equal(before, now) ? before : now.slice() };
  }

  /** The page in the decode cache of the hart that asks, if it holds the same code. */
  private same({ distance, number, bytes }: KnownPage, request: RegionRequest): PageVersion | undefined {
    const slot = distance === 0 ? request.slot : this.slotOf(request.state, number);
    if (slot === undefined) return undefined;
    const generation = Atomics.load(this.memory.i32, (slot + DECODE.generation) >> 2);
    return equal(bytes, this.copy(slot)) ? { distance, slot, generation } : undefined;
  }

  private slotOf(state: number, number: number): number | undefined {
    const slot = this.memory.i32[(state + placeOf(number)) >> 2];
    return slot !== 0 && this.number(slot) === number ? slot : undefined;
  }

  private number(slot: number): number {
    return this.f64[(slot + DECODE.page) >> 3];
  }

  /** The hart's copy of a page. */
  private copy(slot: number): Uint8Array {
    return this.u8.subarray(slot + DECODE.copy, slot + DECODE.copy + PAGE);
  }
}

const equal = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;
