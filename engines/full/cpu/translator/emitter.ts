import { type ExactOperation, exactCode } from '../float/exact.js';
import { MODE } from '../host/status.js';
import type { TrapFunctions } from '../interpreter/trap-code.js';
import { emitAmo, emitLoadReserved, emitStoreConditional } from '../isa/atomic-code.js';
import type { AmoChange, CsrOperation, Emitter, MemoryKind, SystemOperation } from '../isa/emitter.js';
import { OFFSET } from '../layout.js';
import type { Body, FunctionRef, Local } from '../wasm/body.js';
import {
  boxed,
  type F32,
  type F64,
  f32,
  f64,
  type I32,
  type I64,
  i32,
  i64,
  select,
  Value,
  type ValueType,
} from '../wasm/value.js';
import { type Choice, mostOf } from './choices.js';
import type { CodeSource, Instruction } from './code-source.js';
import { CsrCode } from './csr-code.js';
import type { MemoryCode, Site } from './memory-code.js';
import { type Block, type Edge, isNoted } from './region.js';
import { type Registers, unboxed } from './registers.js';
import { singlesAfter, singlesAtStarts, writesSingle } from './singles.js';
import { isIn, wordsAfter, wordsAtStarts } from './words.js';

/** So many targets of an indirect jump are compared with one after the other. */
const FEW_TARGETS = 3;
/** The rounding mode in frm. */
const DYNAMIC = 7;
const LAST_MODE = 4;

/** The ways out of an instruction that only the region's code as a whole can emit. */
export interface Ways {
  /** Virtual address of a place in the code. */
  address(at: number): I64;
  /** An address, to be compared with the edges' places, which are in order. */
  distance(to: Local<'i64'>, edges: readonly Edge[]): Place;
  go(from: Block, edge: Edge): void;
  /** So many instructions of the block are not executed. */
  giveBack(instructions: I32): void;
  /** To an address that is known only when it is reached. */
  leaveTo(from: Block, target: I64): void;
  /** The same of an indirect jump at `at` to where it was not seen to lead to: the interpreter notes it now and then. */
  noteAndLeave(from: Block, at: number, undone: number, target: I64): void;
  /** Gives the instruction to the interpreter; registers are as before it. `undone`: from it to the block's end. */
  interpret(from: Block, at: number, undone: number): void;
  /** To OFFSET.pc, where a trap or a return from one has set it; `undone` as above. */
  redirected(from: Block, undone: number): void;
  /** fcsr is not what the region was made for. */
  declined(): void;
}

/** An address, and what places are to be compared with it, unsigned. */
export interface Place {
  readonly value: I64;
  of(at: number): I64;
}

/** What instructions other than memory accesses call. */
export type OutsideFunctions = TrapFunctions & { readonly time: FunctionRef; readonly exact: FunctionRef };

/** What a region's code takes for granted, and its prologue must check. */
export interface Assumptions {
  /** mstatus.FS is not Off. */
  float: boolean;
  /** The dynamic rounding mode is "to nearest, ties to even". */
  roundsToNearest: boolean;
  /** NX is raised already: nobody can tell which results are inexact. Given, not found out. */
  readonly inexact: boolean;
  /** The same of the dynamic rounding mode: where it is not given, the code looks. */
  readonly nearest: boolean;
}

/** Emits instructions of a region: registers are locals, operands are constants. */
export class TranslatorEmitter implements Emitter {
  private block!: Block;
  private instruction!: Instruction;
  private undone = 0;
  private wordsAtStarts: ReadonlyMap<Block, number> = new Map();
  private singlesAtStarts: ReadonlyMap<Block, number> = new Map();
  /** f registers whose singles have locals of their own now: see singles.ts. */
  private singles = 0;
  /** Registers that hold words now: see words.ts. */
  private words = 0;
  /** Takes a branch's condition, where that is all that is wanted of it. */
  private condition: ((taken: I32) => void) | undefined;
  private readonly csrs: CsrCode;

  constructor(
    readonly body: Body,
    private readonly base: I32,
    private readonly source: CodeSource,
    private readonly registers: Registers,
    private readonly memory: MemoryCode,
    private readonly ways: Ways,
    private readonly assumptions: Assumptions,
    private readonly outside: OutsideFunctions,
  ) {
    this.csrs = new CsrCode(body, base, registers, assumptions, outside, {
      interpret: () => this.interpret(),
      leaveBehind: () => this.leaveBehind(),
      interrupted: () => this.interrupted(),
    });
  }

  /** Must come before the blocks' code: what is known of the region, in reverse postorder. */
  prepare(blocks: readonly Block[]): void {
    this.memory.prepare(blocks);
    this.wordsAtStarts = wordsAtStarts(blocks);
    this.singlesAtStarts = singlesAtStarts(blocks);
  }

  emitBlock(block: Block): void {
    const { instructions, end } = block;
    this.words = this.wordsAtStarts.get(block) ?? 0;
    this.singles = this.singlesAtStarts.get(block) ?? 0;
    instructions.forEach((instruction, index) => {
      this.block = block;
      this.instruction = instruction;
      this.undone = mostOf(instructions.slice(index));
      const { chosen } = instruction;
      this.body.scope(() => {
        if (chosen === undefined) instruction.definition.emit(this);
        else if (chosen.first) this.choose(chosen.choice);
      });
      this.memory.copy(block, instruction);
      this.words = wordsAfter(instruction, this.words);
      this.singles = singlesAfter(instruction, this.singles);
    });
    if (end.kind === 'next') this.ways.go(block, end.next);
  }

  get rs1(): I64 {
    return this.registers.getX(this.operands.rs1);
  }
  get rs2(): I64 {
    return this.registers.getX(this.operands.rs2);
  }
  get rs1Word(): I32 {
    return i32.wrap(this.rs1);
  }
  get rs2Word(): I32 {
    return i32.wrap(this.rs2);
  }
  isWord(operand: 1 | 2): boolean {
    return isIn(this.words, this.operands[`rs${operand}`]);
  }
  get imm(): I64 {
    return i64.const(this.operands.imm);
  }
  get immWord(): I32 {
    return i32.const(this.operands.imm);
  }
  get pc(): I64 {
    return this.ways.address(this.instruction.at);
  }

  setRd(value: I64): void {
    this.registers.setX(this.operands.rd, value);
  }

  load({ bytes, signed }: MemoryKind, address: I64): I64 {
    const read = signed
      ? ({ 1: i64.load8S, 2: i64.load16S, 4: i64.load32S, 8: i64.load } as const)[bytes]
      : ({ 1: i64.load8U, 2: i64.load16U, 4: i64.load32U, 8: i64.load } as const)[bytes];
    return this.loaded('i64', address, bytes, read);
  }

  store({ bytes }: MemoryKind, address: I64, value: I64): void {
    const kind = ({ 1: 'i64_8', 2: 'i64_16', 4: 'i64_32', 8: 'i64' } as const)[bytes];
    this.stored(kind, address, bytes, value);
  }

  loadDouble(address: I64): F64 {
    return this.loaded('f64', address, 8, f64.load);
  }

  storeDouble(address: I64, value: F64): void {
    this.stored('f64', address, 8, value);
  }

  loadSingle(address: I64): F32 {
    return this.loaded('f32', address, 4, f32.load);
  }

  storeSingle(address: I64): void {
    this.stored('f32', address, 4, boxed.low(this.fs64(2)));
  }

  amo(width: 4 | 8, change: AmoChange): I64 {
    return emitAmo(this.body, width, change, this.atomicAddress(width, true), this.rs2);
  }

  loadReserved(width: 4 | 8): void {
    this.setRd(emitLoadReserved(this.body, this.base, width, this.atomicAddress(width, false)));
  }

  storeConditional(width: 4 | 8): void {
    const address = this.atomicAddress(width, true);
    this.setRd(emitStoreConditional(this.body, this.base, width, address, this.rs2));
  }

  branch(taken: I32): void {
    const { block, ways } = this;
    if (this.condition !== undefined) {
      this.condition(taken);
      return;
    }
    const { end } = block;
    if (end.kind !== 'branch') throw new Error('a branch within a block');
    const go = (edge: Edge) => () => ways.go(block, edge);
    this.hinted(taken, end, go(end.taken), go(end.next));
  }

  /** What is not in the region was not executed when it was made, or lies far away: V8 need not keep registers for it. */
  private hinted(condition: I32, edges: { taken: Edge; next: Edge }, then: () => void, otherwise: () => void): void {
    const { body } = this;
    const [a, b] = [edges.taken.to !== undefined, edges.next.to !== undefined];
    if (a === b) body.if(condition, then, otherwise);
    else if (a) body.likely(condition, then, otherwise);
    else {
      body.unlikely(condition, then);
      otherwise();
    }
  }

  jumpRelative(): void {
    const { end } = this.block;
    this.setRd(this.nextPc);
    if (this.undone === 1 && end.kind === 'jump') this.ways.go(this.block, end.next);
  }

  jump(target: I64): void {
    const { block, body, ways } = this;
    const { end } = block;
    if (end.kind !== 'indirect') throw new Error('an indirect jump within a block');
    const to = body.keep(target);
    this.setRd(this.nextPc);
    const { instruction, undone } = this; // of this block, before others are emitted
    const { rd, rs1 } = instruction.operands;
    const edges = [...end.likely].sort((a, b) => a.at - b.at);
    if (edges.length > 0) this.search(block, ways.distance(to, edges), edges);
    // It can be executed once more unless it has overwritten its own operand.
    if (isNoted(instruction) && rd !== rs1) ways.noteAndLeave(block, instruction.at, undone, to);
    else ways.leaveTo(block, to);
  }

  /** Computes both ways of a choice, and takes the results of one. */
  private choose({ branch, taken, next, written, takenCount, nextCount }: Choice): void {
    const { body, registers } = this;
    const condition = body.keep(this.conditionOf(branch));
    const [ifTaken, ifNot] = [taken, next].map((way) => registers.aside(() => this.emitWay(way)));
    const fewer = takenCount - nextCount;
    if (fewer !== 0) {
      const other = fewer < 0 ? condition : i32.eqz(condition);
      this.ways.giveBack(i32.mul(other, i32.const(Math.abs(fewer))));
    }
    for (const register of written) {
      const now = registers.getX(register);
      registers.setX(register, select(condition, ifTaken.get(register) ?? now, ifNot.get(register) ?? now));
    }
  }

  private emitWay(way: readonly Instruction[]): void {
    const { words } = this;
    for (const instruction of way) {
      this.instruction = instruction;
      instruction.definition.emit(this);
      this.words = wordsAfter(instruction, this.words);
    }
    this.words = words;
  }

  private conditionOf(branch: Instruction): I32 {
    let found: I32 | undefined;
    this.instruction = branch;
    this.condition = (taken) => {
      found = taken;
    };
    branch.definition.emit(this);
    this.condition = undefined;
    return found as I32;
  }

  /** On to one of the edges, in order of their places, if it leads where `target` says. */
  private search(block: Block, target: Place, edges: readonly Edge[]): void {
    const { body, ways } = this;
    if (edges.length <= FEW_TARGETS) {
      edges.forEach((edge, index) => {
        const found = i64.eq(target.value, target.of(edge.at));
        const go = (): void => ways.go(block, edge);
        if (index < edges.length - 1) body.if(found, go);
        else body.likely(found, go, () => {});
      });
      return;
    }
    const middle = edges.length >> 1;
    body.if(
      i64.ltU(target.value, target.of(edges[middle].at)),
      () => this.search(block, target, edges.slice(0, middle)),
      () => this.search(block, target, edges.slice(middle)),
    );
  }

  csr(operation: CsrOperation, uses: 'register' | 'immediate'): void {
    const { rs1, imm } = this.operands;
    const operand = uses === 'register' ? this.rs1 : i64.const(rs1);
    const writes = operation === 'write' || rs1 !== 0;
    this.csrs.emit(imm, { operation, operand, writes }, (old) => this.setRd(old));
  }

  readTime(): I64 {
    const { body, base } = this;
    const { privilege } = this.source;
    const hiddenBy = (register: number): void =>
      body.unlikely(i32.eqz(i32.and(i32.load(base, register), i32.const(2))), () => this.interpret());
    if (privilege !== MODE.M) hiddenBy(OFFSET.mcounteren);
    if (privilege === MODE.U) hiddenBy(OFFSET.scounteren);
    return i64.truncF64U(body.call('f64', this.outside.time));
  }

  system(operation: SystemOperation): void {
    const { body, base, outside } = this;
    if (operation === 'ecall') {
      body.store('i64', base, this.pc, OFFSET.pc);
      body.callVoid(outside.environmentCall, base);
      this.ways.redirected(this.block, this.undone - 1); // an exception: not executed, but paid for
      return;
    }
    const back = { mret: outside.machineReturn, sret: outside.supervisorReturn }[operation as string];
    if (back === undefined) throw new Error(`${operation} is not translated`);
    body.if(i32.eqz(body.call('i32', back, base)), () => this.interpret());
    this.ways.redirected(this.block, this.undone - 1);
  }

  requireFloat(): void {
    this.assumptions.float = true;
  }

  fs(operand: 1 | 2 | 3): I64 {
    return i64.reinterpret(this.fs64(operand));
  }

  fs32(operand: 1 | 2 | 3): F32 {
    const register = this.operands[`rs${operand}`];
    return isIn(this.singles, register) ? this.registers.getSingle(register) : unboxed(this.body, this.fs(operand));
  }

  fs64(operand: 1 | 2 | 3): F64 {
    return this.registers.getF(this.operands[`rs${operand}`]);
  }

  setFd(bits: I64): void {
    if (writesSingle(this.instruction)) this.registers.setSingle(this.operands.rd, f32.reinterpret(i32.wrap(bits)));
    else this.setFd64(f64.reinterpret(bits));
  }

  get sameOperands(): boolean {
    return this.operands.rs1 === this.operands.rs2;
  }

  setFd32(value: F32): void {
    this.registers.setSingle(this.operands.rd, value);
  }

  setFd64(value: F64): void {
    this.registers.setF(this.operands.rd, value);
  }

  roundingMode(): I32 {
    const mode = this.operands.imm;
    if (mode !== DYNAMIC) return i32.const(mode);
    if (this.assumptions.nearest) {
      this.assumptions.roundsToNearest = true;
      return i32.const(0);
    }
    const dynamic = this.body.keep(i32.load(this.base, OFFSET.frm));
    this.body.unlikely(i32.gtU(dynamic, i32.const(LAST_MODE)), () => this.interpret());
    return dynamic;
  }

  get knownRounding(): number | undefined {
    const mode = this.operands.imm;
    if (mode !== DYNAMIC) return mode;
    return this.assumptions.nearest ? 0 : undefined;
  }

  get inexact(): I32 {
    if (this.assumptions.inexact) return i32.const(1);
    return i32.and(this.registers.fflags, i32.const(1));
  }

  raiseFlags(flags: I32): void {
    this.registers.raise(flags);
  }

  exact(operation: ExactOperation, format: 0 | 1, rounding: I32, ...operands: readonly I64[]): I64 {
    const { body, base, outside } = this;
    const [a, b, c] = [0, 1, 2].map((index) => operands[index] ?? i64.const(0));
    const code = i32.const(exactCode(operation, format));
    // Called whatever becomes of the result: it raises flags, and x0 takes no value.
    return body.keep(body.call('i64', outside.exact, base, code, rounding, a, b, c));
  }

  /** This instruction is done; on with the next one, but not in this region. */
  private leaveBehind(): void {
    this.ways.declined();
    this.body.store('i64', this.base, this.nextPc, OFFSET.pc);
    this.ways.redirected(this.block, this.undone - 1);
  }

  private interrupted(): void {
    const { body, base, outside } = this;
    body.store('i64', base, this.nextPc, OFFSET.pc);
    body.keep(body.call('i32', outside.takeInterrupt, base));
    this.ways.redirected(this.block, this.undone - 1);
  }

  private get operands(): Instruction['operands'] {
    return this.instruction.operands;
  }

  private get nextPc(): I64 {
    return this.ways.address(this.instruction.at + this.instruction.length);
  }

  private interpret(): void {
    this.ways.interpret(this.block, this.instruction.at, this.undone);
  }

  private loaded<T extends ValueType>(
    type: T,
    address: I64,
    bytes: number,
    read: (address: I32, offset?: number) => Value<T>,
  ): Value<T> {
    const { body } = this;
    const value = body.local(type);
    this.accessed(address, bytes, false, (at, offset) => body.set(value, read(at, offset)));
    return new Value(type, value.code);
  }

  private stored(kind: Parameters<Body['store']>[0], address: I64, bytes: number, value: Value<ValueType>): void {
    this.accessed(address, bytes, true, (at, offset) => this.body.store(kind, at, value, offset));
  }

  private accessed(address: I64, bytes: number, writing: boolean, use: (at: I32, offset: number) => void): void {
    this.memory.access(this.site, { address, bytes, writing }, use);
  }

  private get site(): Site {
    const { block, instruction, rs1 } = this;
    return { block, instruction, base: rs1, fail: () => this.interpret() };
  }

  private atomicAddress(width: 4 | 8, writing: boolean): Local<'i32'> {
    const { body } = this;
    body.unlikely(i32.and(this.rs1Word, i32.const(width - 1)), () => this.interpret());
    return body.keep(this.memory.address(this.site, { address: this.rs1, bytes: width, writing }));
  }
}
