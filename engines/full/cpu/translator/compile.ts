import { EXACT_SIGNATURE } from '../float/exact.js';
import { REGION_IMPORTS, REGION_SIGNATURE, RegionExit } from '../interpreter/region-support.js';
import { importTraps } from '../interpreter/trap-code.js';
import { OFFSET, REGION } from '../layout.js';
import { Body, type FunctionRef, type Label, type Local } from '../wasm/body.js';
import { ModuleBuilder } from '../wasm/module.js';
import { type I32, type I64, i32, i64 } from '../wasm/value.js';
import { straighten } from './choices.js';
import type { CodePage, CodeSource } from './code-source.js';
import { Counting } from './counting.js';
import { type Assumptions, type OutsideFunctions, type Place, TranslatorEmitter, type Ways } from './emitter.js';
import { analyze } from './graph.js';
import { MemoryCode } from './memory-code.js';
import { Ranges } from './ranges.js';
import type { Block, Edge, End } from './region.js';
import { Registers } from './registers.js';
import { StripCode } from './strip-code.js';
import { mineStrips } from './strips.js';
import { Structure } from './structure.js';
import { VectorCode } from './vector-code.js';

/** A page as it must still be for the code to be entered. */
export interface PageVersion extends CodePage {
  readonly generation: number;
}

/** What is known when a region is made: of fcsr (see Assumptions), and whether what it accesses lies scattered. */
export interface RegionFacts {
  readonly inexact: boolean;
  readonly nearest: boolean;
  readonly scattered: boolean;
  /** Loops have no copies but those for SIMD. */
  readonly plain: boolean;
}

/**
 * One region as a module's bytes, which exports `region` (see REGION_SIGNATURE). They depend on the code alone, not on where
 * it lies or who executes it, and on the memory's size: of one that can grow V8 takes the place for a variable, which each
 * call may change, so that it was moved about wherever an access's slow path meets the fast one.
 */
export function encodeRegion(
  entry: Block,
  source: CodeSource,
  facts: RegionFacts,
  memoryPages: number,
): Uint8Array<ArrayBuffer> {
  const module = new ModuleBuilder(memoryPages, memoryPages);
  const imported = (name: keyof typeof REGION_IMPORTS): FunctionRef =>
    module.importIfUsed('cpu', name, REGION_IMPORTS[name]);
  const imports = {
    refill: imported('refill'),
    reach: imported('reach'),
    chain: imported('chain'),
    decline: imported('decline'),
    poll: imported('poll'),
    ...importTraps(module),
    time: module.importIfUsed('cpu', 'time', { parameters: [], results: ['f64'] }),
    exact: module.importIfUsed('cpu', 'exact', EXACT_SIGNATURE),
  };
  const body = new Body(REGION_SIGNATURE.parameters);
  new RegionCode(body, { source, imports, facts, entryAt: entry.at }).emit(entry);
  const region = module.declare(REGION_SIGNATURE.parameters, REGION_SIGNATURE.results);
  module.defineAs(region, body);
  module.export('region', region);
  return module.encode();
}

type RegionImports = Record<keyof typeof REGION_IMPORTS, FunctionRef> & OutsideFunctions;

interface Parts {
  readonly source: CodeSource;
  readonly imports: RegionImports;
  readonly facts: RegionFacts;
  /** The place that the region is entered at. */
  readonly entryAt: number;
}

/**
 * The function of a region: a prologue that checks assumptions and loads registers, the blocks, and one epilogue that
 * stores registers. Each way out says where execution goes on and how, and branches to the epilogue.
 */
class RegionCode {
  private readonly base: Local<'i32'>;
  /** Instructions left in the slice, but for those that are owed: see Counting. */
  private readonly count: Local<'i32'>;
  /** Virtual address of the place that it is entered at. All others follow from it: code is the same wherever it is mapped. */
  private readonly pc: Local<'i64'>;
  private readonly record: Local<'i32'>;
  private readonly exitPc: Local<'i64'>;
  private readonly exit: Local<'i32'>;
  private readonly imports: RegionImports;
  private readonly entryAt: number;
  private readonly plain: boolean;
  private readonly registers: Registers;
  private readonly ranges: Ranges;
  private readonly strips: StripCode;
  private readonly vectors: VectorCode;
  private readonly structure: Structure;
  private readonly emitter: TranslatorEmitter;
  private readonly assumptions: Assumptions;
  private epilogue!: Label;
  private counting!: Counting;

  constructor(
    private readonly body: Body,
    { source, imports, facts, entryAt }: Parts,
  ) {
    const { inexact, nearest } = facts;
    this.imports = imports;
    this.entryAt = entryAt;
    this.plain = facts.plain;
    this.assumptions = { float: false, roundsToNearest: false, inexact, nearest };
    this.base = body.parameter(0, 'i32');
    this.count = body.parameter(1, 'i32');
    this.pc = body.parameter(2, 'i64');
    this.record = body.parameter(3, 'i32');
    this.exitPc = body.permanent('i64');
    this.exit = body.permanent('i32');
    this.registers = new Registers(body, this.base);
    this.structure = new Structure(
      body,
      (block) => this.emitBlock(block),
      (head, again) => this.emitBack(head, again),
      (at) => this.leave(at),
    );
    this.ranges = new Ranges(body, this.base, imports.refill, this.record, facts.scattered);
    this.strips = new StripCode(body, this.base, this.count, this.registers, this.ranges, imports.reach);
    this.vectors = new VectorCode(body, this.count, this.registers, this.strips, inexact);
    const ways: Ways = {
      address: (at) => this.address(at),
      distance: (to, edges) => this.distance(to, edges),
      giveBack: (instructions) => body.set(this.count, i32.add(this.count, instructions)),
      go: (from, edge) => this.go(from, edge),
      leaveTo: (from, target) => {
        this.settle(from, 0);
        this.leaveTo(target);
      },
      noteAndLeave: (from, at, undone, target) => {
        this.settle(from, 0);
        this.noteAndLeave(at, undone, target);
      },
      interpret: (from, at, undone) => {
        this.settle(from, undone);
        this.interpret(at);
      },
      declined: () => body.callVoid(imports.decline, this.base, this.record),
      redirected: (from, undone) => {
        this.settle(from, undone);
        this.leaveTo(i64.load(this.base, OFFSET.pc));
      },
    };
    this.emitter = new TranslatorEmitter(
      body,
      this.base,
      source,
      this.registers,
      new MemoryCode(body, this.ranges, this.strips),
      ways,
      this.assumptions,
      imports,
    );
  }

  emit(entry: Block): void {
    const { body, base, registers } = this;
    straighten(entry);
    const blocks = analyze(entry);
    const mined = mineStrips(blocks, this.plain) ? analyze(entry) : blocks;
    this.counting = new Counting(mined);
    this.emitter.prepare(mined);
    const prologue = body.later();
    body.block((epilogue) => {
      this.epilogue = epilogue;
      this.structure.emit(entry);
    });
    registers.store();
    body.store('i64', base, this.exitPc, OFFSET.pc);
    body.store('i32', base, this.count, OFFSET.count);
    this.emitChain();
    prologue(() => {
      this.emitChecks();
      body.store('i32', base, this.record, OFFSET.region);
      body.store('i64', base, this.pc, OFFSET.regionPc);
      registers.load();
    });
  }

  /** On in the region at exitPc, when there is one. */
  private emitChain(): void {
    const { body, base, count, exitPc, exit, imports } = this;
    body.if(exit, () => body.return(exit));
    body.returnCall(imports.chain, base, count, exitPc);
  }

  private emitBlock(block: Block): void {
    const { end } = block;
    this.registers.forgetHalves();
    if (end.kind === 'strip' || end.kind === 'gate') {
      this.emitStrip(block, end);
      return;
    }
    this.emitter.emitBlock(block);
  }

  /** On from a block's end. */
  private go(from: Block, edge: Edge): void {
    if (from.strip !== undefined && from.strip !== edge.to?.strip) this.strips.leave(from.strip);
    this.pay(this.counting.onEdge(from, edge));
    this.structure.go(from, edge);
  }

  /** Before the region is left: `undone` instructions before the block's end. */
  private settle(from: Block, undone: number): void {
    if (from.strip !== undefined) this.strips.leave(from.strip);
    this.pay(this.counting.atEnd(from) - undone);
  }

  private pay(instructions: number): void {
    if (instructions !== 0) this.body.set(this.count, i32.sub(this.count, i32.const(instructions)));
  }

  private emitStrip(block: Block, end: Extract<End, { kind: 'strip' | 'gate' }>): void {
    const { body, strips } = this;
    const go = (edge: Edge) => () => this.go(block, edge);
    if (end.kind === 'strip') {
      const { strip, fast, slow, over } = end;
      const vectors = (): void => {
        if (strip.vector !== undefined && over !== undefined && this.assumptions.nearest) {
          this.vectors.emit(strip.vector, () => {
            strips.leave(strip);
            this.go(block, over);
          });
          const gate = fast.to as Block;
          body.unlikely(i32.eqz(strips.mayGoOn()), () =>
            this.leaveStrip(gate, gate.end as Extract<End, { kind: 'gate' }>),
          );
        }
        go(fast)();
      };
      strips.emitChoice(strip, vectors, go(slow));
      return;
    }
    go(end.on)();
  }

  /**
   * Loops are interrupted at their ends: what registers hold of an iteration that is over is there already, whereas at the
   * loop's head all of them would have to be carried into the next one, those too that it writes before it reads them.
   */
  private emitBack(head: Block, again: () => void): void {
    const { body, base, count, strips } = this;
    const { end } = head;
    if (end.kind === 'gate') {
      body.likely(strips.mayGoOn(), again, () => this.leaveStrip(head, end));
      return;
    }
    body.unlikely(i32.leS(count, i32.const(0)), () => {
      body.scope(() => {
        const next = body.local('i32', body.call('i32', this.imports.poll, base, count));
        body.if(i32.eqz(next), () => this.leave(head.at));
        body.set(count, next);
      });
    });
    again();
  }

  /** Where the fast copy leads when the slice is over. */
  private leaveStrip(gate: Block, { strip, over }: Extract<End, { kind: 'gate' }>): void {
    this.strips.leave(strip);
    this.pay(this.counting.onEdge(gate, over));
    this.structure.go(gate, over);
  }

  private address(at: number): I64 {
    return at === this.entryAt ? this.pc : i64.add(this.pc, i64.const(at - this.entryAt));
  }

  /** Of several places the differences from the first one are constants; of one V8 may know how it was made: by a call. */
  private distance(to: Local<'i64'>, edges: readonly Edge[]): Place {
    if (edges.length === 1) return { value: to, of: (at) => this.address(at) };
    const first = edges[0].at;
    return { value: this.body.keep(i64.sub(to, this.address(first))), of: (at) => i64.const(at - first) };
  }

  private leave(at: number): void {
    this.leaveTo(this.address(at));
  }

  private leaveTo(target: I64): void {
    this.body.set(this.exitPc, target);
    this.body.br(this.epilogue);
  }

  /** One time in 8 the interpreter executes the jump: this is seldom known to be the last time. */
  private noteAndLeave(at: number, undone: number, target: I64): void {
    const { body, count } = this;
    body.if(i32.eqz(i32.and(count, i32.const(7))), () => {
      this.pay(-undone);
      this.interpret(at);
    });
    const misses = i32.add(i32.load(this.record, REGION.misses), i32.const(1));
    body.store('i32', this.record, misses, REGION.misses);
    this.leaveTo(target);
  }

  private interpret(at: number): void {
    this.body.set(this.exit, i32.const(RegionExit.Once));
    this.leave(at);
  }

  /** Leaves before anything has been executed when what the code was made for is not so now. */
  private emitChecks(): void {
    const { body, base, count, pc, assumptions } = this;
    body.block((sound) => {
      body.block((declined) => {
        const declineIf: Decline = (condition) => body.brIfUnlikely(condition, declined);
        if (assumptions.float) declineIf(i32.eqz(i32.load(base, OFFSET.fpEnabled)));
        this.checkRounding(declineIf);
        this.ranges.emitPrologue();
        body.br(sound);
      });
      body.store('i64', base, pc, OFFSET.pc);
      body.store('i32', base, count, OFFSET.count);
      body.return(i32.const(RegionExit.Once));
    });
  }

  /** What fcsr must be like. */
  private checkRounding(declineIf: Decline): void {
    const { body, base, assumptions, imports } = this;
    const exact = i32.eqz(i32.and(i32.load(base, OFFSET.fflags), i32.const(1)));
    const wrong: I32[] = [];
    if (assumptions.roundsToNearest) wrong.push(i32.load(base, OFFSET.frm));
    if (assumptions.float && assumptions.inexact) wrong.push(exact);
    if (wrong.length === 0) return;
    body.unlikely(wrong.reduce(i32.or), () => {
      body.callVoid(imports.decline, base, this.record);
      declineIf(i32.const(1));
    });
  }
}

type Decline = (condition: I32) => void;
