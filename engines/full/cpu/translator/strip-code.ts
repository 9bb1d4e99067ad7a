import { SLICE } from '../interpreter/region-support.js';
import { SLOT } from '../layout.js';
import type { Body, FunctionRef, Label, Local } from '../wasm/body.js';
import { type I32, type I64, i32, i64, select } from '../wasm/value.js';
import type { Ranges } from './ranges.js';
import type { Registers } from './registers.js';
import type { Group, Path, Strip, WordPath } from './strips.js';
import type { Trips } from './trips.js';

/** Larger steps that are known only when the loop is entered make it slow: few iterations would fit a range. */
const LARGEST_STEP = 4096;

/** Words are less. */
const WORDS = 2 ** 31;

/** A group, what its addresses need, and the slot with its range. */
interface GroupCheck {
  readonly group: Group;
  readonly delta: Local<'i32'>;
  readonly slot: number;
}

/** Emits the choice between a loop's copies (see Strip), and what the fast one's accesses need. */
export class StripCode {
  /** What makes an address in wasm memory of a base register's low half, less the group's least offset. */
  private readonly deltas = new Map<Group, Local<'i32'>>();
  /** At so many instructions left the fast copy ends; in it `count` is less by as many, so that it ends at 0. */
  private readonly limits = new Map<Strip, Local<'i32'>>();
  private groups = 0;

  constructor(
    private readonly body: Body,
    private readonly base: I32,
    private readonly count: Local<'i32'>,
    private readonly registers: Registers,
    private readonly ranges: Ranges,
    private readonly reach: FunctionRef,
  ) {}

  /**
   * Chooses by how many iterations are safe; emits both ways. Most loops are short, and have room for as many iterations
   * as any slice can last: that is looked at first, with constants; only what is near a range's end is calculated.
   */
  emitChoice(strip: Strip, fast: () => void, slow: () => void): void {
    const { body, count } = this;
    const limit = body.permanent('i32');
    this.limits.set(strip, limit);
    const checks = strip.groups.map((group): GroupCheck => {
      const delta = this.deltas.get(group) ?? body.permanent('i32');
      this.deltas.set(group, delta);
      return { group, delta, slot: this.ranges.slot(`group ${this.groups++}`) };
    });
    body.block((chosen) => {
      body.block((near) => {
        const rounds = Math.ceil(SLICE / strip.shortest);
        for (const check of checks) body.scope(() => this.emitFar(check, rounds, near));
        for (const path of strip.words) body.scope(() => this.emitFarWords(path, rounds, near));
        body.set(limit, i32.const(0));
        body.br(chosen);
      });
      body.scope(() => this.emitNear(strip, checks, limit));
    });
    body.likely(i32.gtS(count, i32.const(0)), fast, () => {
      this.leave(strip);
      slow();
    });
  }

  /** Leaves for `near` unless so many iterations stay in the group's range. */
  private emitFar({ group, delta, slot }: GroupCheck, rounds: number, near: Label): void {
    const { body } = this;
    const behind = i64.sub(this.first(group), this.ranges.field(slot, SLOT.low));
    const within = body.keep(group.back === 0 ? behind : i64.sub(behind, i64.const(rounds * group.back)));
    const extent = group.high - group.low - 7;
    const moving = i64.mul(i64.add(this.forth(group), i64.const(group.back)), i64.const(rounds));
    const length =
      group.steps.length > 0
        ? i64.add(moving, i64.const(extent))
        : i64.const(rounds * (group.forth + group.back) + extent);
    body.brIfUnlikely(i64.ltS(within, i64.const(0)), near);
    const size = this.ranges.field(slot, group.writing ? SLOT.write : SLOT.read);
    body.brIfUnlikely(i64.gtU(i64.add(within, length), size), near);
    this.setDelta(group, delta, slot);
  }

  /** Lessens `count` to what all ranges allow, and sets `limit`. */
  private emitNear(strip: Strip, checks: readonly GroupCheck[], limit: Local<'i32'>): void {
    const { body, count } = this;
    body.set(limit, i32.const(0));
    body.if(i32.gtS(count, i32.const(0)), () => {
      const rounded = i32.add(count, i32.const(strip.shortest - 1));
      const most = body.keep(strip.shortest === 1 ? count : i32.divU(rounded, i32.const(strip.shortest)));
      const wanted = strip.trips === undefined ? most : this.wanted(strip.trips, most);
      const rounds = body.local('i32', wanted);
      for (const check of checks) this.emitGroup(check, rounds);
      for (const path of strip.words) this.emitWords(path, rounds);
      // When all are safe that are wanted the loop ends by itself in time, or because the slice does.
      body.unlikely(i32.ne(rounds, wanted), () => {
        const left = body.keep(i32.sub(count, i32.mul(rounds, i32.const(strip.shortest))));
        body.set(limit, select(i32.gtS(left, i32.const(0)), left, i32.const(0)));
        body.set(count, i32.sub(count, limit));
      });
    });
  }

  /** Not more iterations than the loop has. */
  private wanted({ distance, negated, shift }: Trips, most: Local<'i32'>): Local<'i32'> {
    const { body } = this;
    const value = this.first(distance);
    const signed = negated ? i64.sub(i64.const(0), value) : value;
    const before = body.keep(shift === 0 ? signed : i64.rotr(signed, i64.const(shift)));
    return body.keep(select(i64.ltU(before, i64.extendU(most)), i32.add(i32.wrap(before), i32.const(1)), most));
  }

  /** Whether the fast copy may go on. */
  mayGoOn(): I32 {
    return i32.gtS(this.count, i32.const(0));
  }

  /** Must come first on each way out of the fast copy. */
  leave(strip: Strip): void {
    this.body.set(this.count, i32.add(this.count, this.limits.get(strip) as Local<'i32'>));
  }

  /** Where an access of a group lies in wasm memory, given its base register's value. */
  address(group: Group, value: I64, immediate: number): { at: I32; offset: number } {
    const delta = this.deltas.get(group) as Local<'i32'>;
    return { at: i32.add(i32.wrap(value), delta), offset: immediate - group.leastOffset };
  }

  /** Where in wasm memory a guest address lies that a group's accesses are at. */
  host(group: Group, address: I64): I32 {
    const delta = this.deltas.get(group) as Local<'i32'>;
    return i32.add(i32.wrap(address), i32.sub(delta, i32.const(group.leastOffset)));
  }

  /** Lessens `rounds` to what the group's range allows. */
  private emitGroup({ group, delta, slot }: GroupCheck, rounds: Local<'i32'>): void {
    const { body } = this;
    const first = body.keep(this.first(group));
    const forth = body.keep(this.forth(group));
    const many = i64.extendU(rounds);
    const times = (step: I64): I64 => i64.mul(many, step);
    const back = i64.const(group.back);
    const start = group.back === 0 ? first : i64.sub(first, times(back));
    const within = body.keep(i64.sub(start, this.ranges.field(slot, SLOT.low)));
    const length = i64.add(times(i64.add(forth, back)), i64.const(group.high - group.low - 7));
    const size = body.keep(this.ranges.field(slot, group.writing ? SLOT.write : SLOT.read));
    const fits = i32.and(i64.ltU(within, size), i64.leS(length, i64.sub(size, within)));
    body.unlikely(i32.eqz(fits), () => this.emitReach(group, slot, rounds, first, forth));
    this.setDelta(group, delta, slot);
  }

  private setDelta(group: Group, delta: Local<'i32'>, slot: number): void {
    this.body.set(delta, i32.add(this.ranges.delta(slot), i32.const(group.leastOffset)));
  }

  private emitReach(group: Group, slot: number, rounds: Local<'i32'>, first: I64, forth: I64): void {
    const { body, base, reach } = this;
    const extent = i32.const(group.high - group.low);
    const writing = i32.const(+group.writing);
    const back = i64.const(group.back);
    const address = this.ranges.slotAddress(slot);
    body.set(rounds, body.call('i32', reach, base, first, extent, writing, address, back, forth, rounds));
  }

  /** The same for words that must not overflow. */
  private emitFarWords(path: WordPath, rounds: number, near: Label): void {
    const { body } = this;
    const within = body.keep(i64.sub(this.first(path), i64.const(path.least + rounds * path.back)));
    const each = i64.add(this.forth(path), i64.const(path.back));
    const moving =
      path.steps.length > 0 ? i64.mul(each, i64.const(rounds)) : i64.const(rounds * (path.forth + path.back));
    const end = i64.add(within, i64.add(moving, i64.const(path.high - path.low)));
    body.brIfUnlikely(i64.ltS(within, i64.const(0)), near);
    body.brIfUnlikely(i64.geU(end, i64.const(WORDS - path.least)), near);
  }

  /** No iteration at all unless so many as there are now let no word overflow. */
  private emitWords(path: WordPath, rounds: Local<'i32'>): void {
    const { body } = this;
    const many = i64.extendU(rounds);
    const start = i64.sub(this.first(path), i64.mul(many, i64.const(path.back)));
    const within = body.keep(i64.sub(start, i64.const(path.least)));
    const moving = i64.mul(many, i64.add(this.forth(path), i64.const(path.back)));
    const end = i64.add(within, i64.add(moving, i64.const(path.high - path.low)));
    const size = i64.const(WORDS - path.least);
    const fits = i32.and(i64.geS(within, i64.const(0)), i64.ltU(end, size));
    body.unlikely(i32.eqz(fits), () => body.set(rounds, i32.const(0)));
  }

  /** The least value. */
  private first({ terms, low }: Pick<Path, 'terms' | 'low'>): I64 {
    let sum = i64.const(low);
    for (const [register, factor] of terms) {
      const value = this.registers.getX(register);
      sum = i64.add(sum, factor === 1 ? value : i64.mul(value, i64.const(factor)));
    }
    return sum;
  }

  /** Bytes forward an iteration; too many for any range when a step is large or negative. */
  private forth(group: Path): I64 {
    const { body } = this;
    let sum: I64 = i64.const(group.forth);
    for (const { register, factor } of group.steps) {
      const step = body.keep(this.registers.getX(register));
      const usable = select(i64.ltU(step, i64.const(LARGEST_STEP)), step, i64.const(2 ** 40));
      sum = i64.add(sum, i64.mul(usable, i64.const(factor)));
    }
    return sum;
  }
}
