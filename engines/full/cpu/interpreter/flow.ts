import { EVENT, OFFSET, REGION, TARGETS } from '../layout.js';
import type { Body, FunctionRef, Label, Local } from '../wasm/body.js';
import { type F64, f64, type I32, type I64, i32, i64, select } from '../wasm/value.js';
import { SPECIAL } from './handlers.js';
import type { HostRefs } from './host.js';
import { ENTRY_SCALE, HANDLER_MASK } from './operation.js';
import { countEvent } from './region-support.js';
import { executeIndex } from './tlb-code.js';
import type { TrapFunctions } from './trap-code.js';
import type { WalkFunctions } from './walk-code.js';

/** What every handler has: the hart's state, where it is in the decode cache, instructions left, its own operation. */
export interface Registers {
  base: Local<'i32'>;
  ip: Local<'i32'>;
  count: Local<'i32'>;
  op: Local<'i64'>;
}

/** See region-support.ts. */
interface SupportFunctions {
  readonly mayEnter: FunctionRef;
  readonly poll: FunctionRef;
  /** See exact-code.ts. */
  readonly exact: FunctionRef;
}

/** The host samples where one slice in so many ends. */
export const SAMPLED_SLICES = 4;
/**
 * The host samples one way in so many from regions, after they had executed LONG_RUN instructions, to where none begins. A prime,
 * so that it does not go along with a loop of the guest's. Short runs do not count: code that is executed once a request, as
 * Debian's read on the 53C895A is, leaves regions each 50 instructions, and took 330 instead of 250 µs when that counted too.
 */
export const SAMPLED_MISSES = 17;
const LONG_RUN = 512;

/**
 * The way from one instruction to the next. All handlers are cases of one br_table in one function, so that what is
 * hot stays in its locals, which V8 keeps in machine registers:
 *
 *   resume: from OFFSET.pc, or out of the function when OFFSET.exit says so
 *     fetch: at `pc`: finds the page in the execute TLB; asks the host at the end of the slice and on a miss
 *       dispatch: one handler, by the operation at ip
 */
export class Flow {
  readonly registers: Registers;
  private readonly pc: Local<'i64'>;
  private resumeLabel: Label | undefined;
  private fetchLabel: Label | undefined;
  private dispatchLabel: Label | undefined;

  constructor(
    private readonly body: Body,
    readonly host: HostRefs & TrapFunctions & WalkFunctions & SupportFunctions,
    private readonly regionType: number,
  ) {
    const base = body.parameter(0, 'i32');
    this.registers = { base, ip: body.local('i32'), count: body.local('i32'), op: body.local('i64') };
    this.pc = body.local('i64');
  }

  /** Emits the whole function; `handlers` emit one case each, and must not fall out of it. */
  build(handlers: readonly (() => void)[]): void {
    const { body } = this;
    const { base, count } = this.registers;
    body.loop((resume) => {
      this.resumeLabel = resume;
      body.if(i32.load(base, OFFSET.exit), () => body.return(i32.load(base, OFFSET.exit)));
      body.set(count, i32.load(base, OFFSET.count));
      body.set(this.pc, i64.load(base, OFFSET.pc));
      body.loop((fetch) => {
        this.fetchLabel = fetch;
        this.emitFetch();
        body.loop((dispatch) => {
          this.dispatchLabel = dispatch;
          this.emitCases(handlers, handlers.length - 1, []);
        });
      });
    });
    body.unreachable();
  }

  /** This instruction is done; on with the one `bytes` of code later. */
  next(bytes: number): void {
    const { ip, count } = this.registers;
    this.body.set(ip, i32.add(ip, i32.const(bytes * ENTRY_SCALE)));
    this.body.set(count, i32.sub(count, i32.const(1)));
    this.dispatchHere();
  }

  /** This instruction is done; on with the entry `distance` away, unless the slice is used up. */
  near(distance: I32): void {
    const { body } = this;
    const { ip, count } = this.registers;
    body.set(ip, i32.add(ip, distance));
    body.set(count, i32.sub(count, i32.const(1)));
    body.unlikely(i32.leS(count, i32.const(0)), () => this.fetchHere());
    this.dispatchHere();
  }

  /** This instruction is done; on at `pc`. */
  jump(pc: I64): void {
    const { count } = this.registers;
    this.body.set(this.pc, pc);
    this.body.set(count, i32.sub(count, i32.const(1)));
    this.body.br(this.fetchLabel as Label);
  }

  /** For the translator: this instruction, an indirect jump, leads to `target`. See TARGETS. */
  noteTarget(target: Local<'i64'>): void {
    const { body } = this;
    const { base, ip } = this.registers;
    const index = body.keep(i32.and(i32.shrU(ip, i32.const(3)), i32.const(TARGETS.entries - 1)));
    const key = body.keep(i32.add(base, i32.shl(index, i32.const(2))));
    const targets = body.keep(i32.add(base, i32.shl(index, i32.const(Math.log2(TARGETS.ways * 8)))));
    const distance = i64.sub(target, i64.load(base, OFFSET.slotPage));
    const note = body.keep(i64.or(distance, i64.const(1)));
    body.if(i32.ne(i32.load(key, TARGETS.keys), ip), () => {
      const first = i32.add(targets, i32.const(TARGETS.targets));
      body.store('i32', key, ip, TARGETS.keys);
      body.fill(first, i32.const(0), i32.const(TARGETS.ways * 8));
    });
    const low = i32.wrap(target as I64);
    const hash = i32.xor(i32.shrU(low, i32.const(1)), i32.shrU(low, i32.const(5)));
    const first = body.keep(hash);
    const place = body.local('i32');
    const setPlace = (way: number): void => {
      const index = i32.and(i32.add(first, i32.const(way)), i32.const(TARGETS.ways - 1));
      body.set(place, i32.add(targets, i32.shl(index, i32.const(3))));
    };
    body.block((found) => {
      for (let way = 0; way < TARGETS.places; way++) {
        setPlace(way);
        const held = body.keep(i64.load(place, TARGETS.targets));
        body.brIf(i32.or(i64.eqz(held), i64.eq(held, note)), found);
      }
      setPlace(0);
    });
    body.store('i64', place, note, TARGETS.targets);
  }

  /** This instruction is not done but an exception, which has set OFFSET.pc; on there. The slice pays for it all the same. */
  trapped(): void {
    const { base, count } = this.registers;
    this.body.set(count, i32.sub(count, i32.const(1)));
    this.body.set(this.pc, i64.load(base, OFFSET.pc));
    this.body.br(this.fetchLabel as Label);
  }

  /** The hart was redirected by the host. */
  redirected(): void {
    this.body.br(this.resumeLabel as Label);
  }

  /** Executes what ip points to. */
  dispatchHere(): void {
    this.dispatch(i64.load(this.registers.ip));
  }

  /** Executes an operation as if ip pointed to it. */
  dispatch(operation: I64): void {
    this.body.set(this.registers.op, operation);
    this.body.br(this.dispatchLabel as Label);
  }

  /** Looks up the page of what ip points to, which may lie beyond its page; nothing has been executed. */
  fetchHere(): void {
    this.body.set(this.pc, this.currentPc());
    this.body.br(this.fetchLabel as Label);
  }

  /** Writes back what the host may want to see. */
  sync(): void {
    const { base, ip, count } = this.registers;
    this.body.store('i32', base, ip, OFFSET.ip);
    this.body.store('i32', base, count, OFFSET.count);
  }

  /**
   * The operation stands for translated code: executes it, unless its other pages are not around it here. From now on
   * other regions find it in the jump table. It comes back with OFFSET.pc and OFFSET.count.
   */
  enterRegion(): void {
    const { body, host } = this;
    const { base, count, op } = this.registers;
    const record = body.keep(i32.wrap(i64.shrU(op, i64.const(32))));
    const pc = body.keep(this.currentPc());
    const original = i64.load(record, REGION.operation);
    body.if(i32.eqz(body.call('i32', host.mayEnter, base, pc, record)), () => this.dispatch(original));
    const before = body.keep(this.retired());
    const index = i32.load(record, REGION.index);
    const exit = body.keep(body.callIndirect('i32', this.regionType, index, base, count, pc, record));
    body.set(count, i32.load(base, OFFSET.count));
    body.set(this.pc, i64.load(base, OFFSET.pc));
    countEvent(body, base, EVENT.regionEntries);
    const run = body.keep(f64.sub(this.retired(), before));
    countEvent(body, base, EVENT.translatedInstructions, run);
    const goesOn = body.keep(i32.gtS(count, i32.const(0)));
    body.if(goesOn, () => body.store('i32', base, i32.const(0), OFFSET.region));
    body.if(goesOn, () => {
      body.if(exit, () => this.interpretOnce());
      body.unlikely(f64.ge(run, f64.const(LONG_RUN)), () => this.noteMiss());
    });
    body.br(this.fetchLabel as Label);
  }

  /**
   * A region was left for where the jump table knows none. Few slices end there when regions have most of the time, so without
   * this such places were interpreted for ever, at every turn of the hot code around them.
   */
  private noteMiss(): void {
    const { body, host } = this;
    const { base } = this.registers;
    const left = body.keep(i32.sub(i32.load(base, OFFSET.unsampledMisses), i32.const(1)));
    const more = body.keep(i32.gtS(left, i32.const(0)));
    body.store('i32', base, select(more, left, i32.const(SAMPLED_MISSES)), OFFSET.unsampledMisses);
    body.if(i32.eqz(more), () => body.callVoid(host.missed));
  }

  /** Instructions retired since reset. */
  private retired(): F64 {
    const { base, count } = this.registers;
    const inSlice = i32.sub(i32.load(base, OFFSET.sliceLength), count);
    return f64.add(f64.load(base, OFFSET.instret), f64.convertI32S(inSlice));
  }

  /** Executes the instruction at `pc` without translated code; falls through when its page must be looked up first. */
  private interpretOnce(): void {
    const { body } = this;
    const { base, op } = this.registers;
    countEvent(body, base, EVENT.regionInterprets);
    const entry = this.executeEntry();
    body.if(i64.eq(i64.load(entry), this.pageOf()), () => {
      this.arrive(entry);
      const translated = i32.eq(i32.and(i32.wrap(op), i32.const(HANDLER_MASK)), i32.const(SPECIAL.region));
      body.if(translated, () => body.set(op, i64.load(i32.wrap(i64.shrU(op, i64.const(32))), REGION.operation)));
      body.store('i32', base, i32.const(1), OFFSET.once);
      body.br(this.dispatchLabel as Label);
    });
  }

  /** Address of the instruction whose entry ip is. */
  currentPc(): I64 {
    const { base, ip } = this.registers;
    const offset = i32.shrU(i32.sub(ip, i32.load(base, OFFSET.slot)), i32.const(Math.log2(ENTRY_SCALE)));
    return i64.add(i64.load(base, OFFSET.slotPage), i64.extendU(offset));
  }

  /** Block n encloses block n - 1 and ends before case n; the innermost one branches. */
  private emitCases(handlers: readonly (() => void)[], index: number, labels: Label[]): void {
    const { body } = this;
    body.block((label) => {
      labels.unshift(label);
      if (index > 0) {
        this.emitCases(handlers, index - 1, labels);
        return;
      }
      const handler = i32.and(i32.wrap(this.registers.op), i32.const(HANDLER_MASK));
      body.brTable(handler, labels, labels[0]);
    });
    body.scope(handlers[index]);
  }

  private emitFetch(): void {
    const { body, pc, host } = this;
    const { base, count } = this.registers;
    const ask = (function_: HostRefs['fetch']): void => {
      body.store('i32', base, count, OFFSET.count);
      body.store('i64', base, pc, OFFSET.pc);
      body.callVoid(function_);
      this.redirected();
    };
    body.unlikely(i32.leS(count, i32.const(0)), () => {
      this.emitNextSlice();
      body.if(i32.leS(count, i32.const(0)), () => ask(host.boundary));
    });
    const entry = this.executeEntry();
    body.unlikely(i64.ne(i64.load(entry), this.pageOf()), () => {
      body.if(body.call('i32', host.fillExecute, base, pc), () => body.br(this.fetchLabel as Label));
      ask(host.fetch);
    });
    this.arrive(entry);
  }

  /** Goes on without the host when it has nothing to look at, three times in four: a call of it costs as much as 30 instructions. */
  private emitNextSlice(): void {
    const { body, host } = this;
    const { base, count } = this.registers;
    body.if(i32.load(base, OFFSET.sliceLength), () => {
      const left = body.keep(i32.sub(i32.load(base, OFFSET.unsampled), i32.const(1)));
      const more = body.keep(i32.gtS(left, i32.const(0)));
      body.store('i32', base, select(more, left, i32.const(SAMPLED_SLICES)), OFFSET.unsampled);
      body.if(more, () => {
        const next = body.keep(body.call('i32', host.poll, base, count));
        body.if(next, () => {
          body.set(count, next);
          body.store('i32', base, i32.const(0), OFFSET.region);
        });
      });
    });
  }

  private pageOf(): I64 {
    return i64.and(this.pc, i64.const(-4096));
  }

  /** The entry of the execute TLB that may hold the page of `pc`. */
  private executeEntry(): Local<'i32'> {
    const { body, pc } = this;
    return body.keep(i32.add(i32.load(this.registers.base, OFFSET.tlbExecute), executeIndex(pc)));
  }

  /** ip and op for `pc`, whose page's entry is known. */
  private arrive(entry: I32): void {
    const { body, pc } = this;
    const { base, ip, op } = this.registers;
    const slot = body.keep(i32.load(entry, 8));
    body.store('i32', base, slot, OFFSET.slot);
    body.store('i64', base, this.pageOf(), OFFSET.slotPage);
    const offset = i32.and(i32.wrap(pc), i32.const(0xffe));
    body.set(ip, i32.add(slot, i32.shl(offset, i32.const(Math.log2(ENTRY_SCALE)))));
    body.set(op, i64.load(ip));
  }
}
