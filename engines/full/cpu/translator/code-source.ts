import { type Decoded, decode } from '../host/decoder.js';
import { DECODE, REGION, TARGETS, TLB } from '../layout.js';
import type { Chosen } from './choices.js';
import type { PageVersion } from './compile.js';

/** One instruction of a region; `at`: bytes from the start of the page that the region is entered in. */
export interface Instruction extends Decoded {
  readonly at: number;
  /** It is part of a choice, in place of a branch. */
  readonly chosen?: Chosen;
}

/** A page that a region's code lies in. */
export interface CodePage {
  /** Bytes from the page that the region is entered in, in virtual memory. */
  readonly distance: number;
  /** Its slot in the decode cache. */
  readonly slot: number;
}

/** The machine's memory. */
export interface CodeMemory {
  readonly i32: Int32Array;
  readonly view: DataView;
}

/** Where code is, and how it is fetched: see RegionRequest. */
export interface CodePlace {
  readonly page: bigint;
  readonly slot: number;
  readonly tlbExecute: number;
  readonly privilege: number;
  /** Where TARGETS.keys lies. */
  readonly targets: number;
}

/** Bytes to what one region can be made of, at most. */
const FARTHEST = 1n << 31n;

/**
 * The code around one page as the hart would fetch it now: out of the copies in the decode cache, by the execute TLB,
 * and, unless `everything`, only what has been executed since its page was loaded: translating what never runs costs
 * time and makes what does run slower.
 */
export class CodeSource {
  /** The mode that the code is executed in. */
  readonly privilege: number;
  private readonly base: bigint;
  private readonly tlbExecute: number;
  private readonly noted: number;
  private readonly slots = new Map<number, number | undefined>();
  /** How often each slot had been loaded when it was found. */
  private readonly generations = new Map<number, number>();

  constructor(
    private readonly memory: CodeMemory,
    { page, slot, tlbExecute, privilege, targets }: CodePlace,
    private readonly everything: boolean,
  ) {
    this.privilege = privilege;
    this.base = page;
    this.tlbExecute = tlbExecute;
    this.noted = targets;
    this.slots.set(0, slot);
  }

  /** The instruction at `at`; undefined when it cannot be had, is illegal or was never executed. */
  instruction(at: number): Instruction | undefined {
    const slot = this.slot(at);
    if (slot === undefined || !this.wanted(slot, at & 0xfff)) return undefined;
    const first = this.half(slot, at);
    if ((first & 3) !== 3) return this.decoded(at, first);
    const next = this.slot(at + 2);
    return next === undefined ? undefined : this.decoded(at, first | (this.half(next, at + 2) << 16));
  }

  /** Where an indirect jump has led to when it was interpreted: hints, since others may have taken its place since. */
  targets({ at }: Instruction): number[] {
    const slot = this.slot(at);
    if (slot === undefined) return [];
    const { i32, view } = this.memory;
    const ip = slot + (at & 0xfff) * (DECODE.entryBytes / 2);
    const index = (ip >>> 3) & (TARGETS.entries - 1);
    if (i32[(this.noted >> 2) + index] !== ip) return [];
    const first = this.noted + TARGETS.targets - TARGETS.keys + index * TARGETS.ways * 8;
    return Array.from({ length: TARGETS.ways }, (_, way) => view.getBigInt64(first + way * 8, true))
      .filter((distance) => distance !== 0n && distance > -FARTHEST && distance < FARTHEST)
      .map((distance) => (at & ~0xfff) + Number(distance) - 1);
  }

  /** Virtual address of `at`. */
  private address(at: number): bigint {
    return BigInt.asUintN(64, this.base + BigInt(at));
  }

  /** The pages besides the first that were found. */
  otherPages(): PageVersion[] {
    return [...this.slots]
      .filter((entry): entry is [number, number] => entry[0] !== 0 && entry[1] !== undefined)
      .map(([page, slot]) => ({
        distance: page * 4096,
        slot,
        generation: this.generations.get(slot) ?? 0,
      }));
  }

  private decoded(at: number, insn: number): Instruction | undefined {
    const decoded = decode(insn);
    if (decoded === undefined) return undefined;
    const { definition, operands, length } = decoded;
    return { definition, operands, length, at };
  }

  /** An instruction in two pages never has an entry: it is taken as executed. */
  private wanted(slot: number, offset: number): boolean {
    if (this.everything) return true;
    const low = this.memory.i32[(slot + offset * (DECODE.entryBytes / 2)) >> 2];
    return low !== 0 || offset === 4094;
  }

  private half(slot: number, at: number): number {
    return this.memory.view.getUint16(slot + DECODE.copy + (at & 0xfff), true);
  }

  private slot(at: number): number | undefined {
    const page = Math.floor(at / 4096);
    if (!this.slots.has(page)) {
      const slot = this.generations.size < REGION.mostPages ? this.lookUp(this.address(page * 4096)) : undefined;
      this.slots.set(page, slot);
      if (slot !== undefined) {
        this.generations.set(slot, Atomics.load(this.memory.i32, (slot + DECODE.generation) >> 2));
      }
    }
    return this.slots.get(page);
  }

  private lookUp(address: bigint): number | undefined {
    const { i32 } = this.memory;
    const low = Number(BigInt.asIntN(32, address));
    const index = (low >>> 12) & (TLB.executeEntries - 1);
    const entry = (this.tlbExecute + index * TLB.entryBytes) >> 2;
    const hit = i32[entry] === low && i32[entry + 1] === Number(BigInt.asIntN(32, address >> 32n));
    return hit ? i32[entry + 2] : undefined;
  }
}
