import { type ExactOperation, exactCode } from '../float/exact.js';
import { emitAmo, emitLoadReserved, emitStoreConditional } from '../isa/atomic-code.js';
import type { AmoChange, CsrOperation, Emitter, MemoryKind, SystemOperation } from '../isa/emitter.js';
import { OFFSET } from '../layout.js';
import type { Body, Local } from '../wasm/body.js';
import { type F32, type F64, f32, f64, type I32, type I64, i32, i64, select } from '../wasm/value.js';
import { changedCsr, FLOAT_CSR, PLAIN_CSR, splitFloatCsr } from './fast-csr.js';
import type { Flow, Registers } from './flow.js';
import type { Handler } from './handlers.js';
import { keptAndAdded } from './interrupt-code.js';
import { FIELD } from './operation.js';
import { CSR_OPERATIONS, SYSTEM_OPERATIONS } from './system-codes.js';
import { dataIndex, pageOfLast } from './tlb-code.js';

const BOX = 0xffffffff00000000n;
const CANONICAL_NAN_32 = 0x7fc00000;
const RA = 1;

/** Emits a handler: registers are the hart's state in memory, operands are fields of the decoded operation. */
export class InterpreterEmitter implements Emitter {
  private readonly registers: Registers;

  constructor(
    readonly body: Body,
    private readonly flow: Flow,
    private readonly handler: Handler,
  ) {
    this.registers = flow.registers;
  }

  get rs1(): I64 {
    return i64.load(this.register('rs1'), OFFSET.x);
  }
  get rs2(): I64 {
    return i64.load(this.register('rs2'), OFFSET.x);
  }
  get rs1Word(): I32 {
    return i32.load(this.register('rs1'), OFFSET.x);
  }
  get rs2Word(): I32 {
    return i32.load(this.register('rs2'), OFFSET.x);
  }
  get imm(): I64 {
    return i64.shrS(this.registers.op, i64.const(32));
  }
  get immWord(): I32 {
    return i32.wrap(i64.shrU(this.registers.op, i64.const(32)));
  }
  get pc(): I64 {
    return this.flow.currentPc();
  }

  setRd(value: I64): void {
    this.body.store('i64', this.register('rd'), value, OFFSET.x);
  }

  load({ bytes, signed }: MemoryKind, address: I64): I64 {
    const { body } = this;
    const at = body.keep(address);
    const entry = this.tlbEntry(OFFSET.tlbRead, at);
    const result = body.local('i64');
    const read = signed
      ? ({ 1: i64.load8S, 2: i64.load16S, 4: i64.load32S, 8: i64.load } as const)[bytes]
      : ({ 1: i64.load8U, 2: i64.load16U, 4: i64.load32U, 8: i64.load } as const)[bytes];
    body.block((done) => {
      this.unlessFound(
        entry,
        at,
        () => pageOfLast(at, bytes),
        0,
        () => {
          this.sync();
          this.leaveIf(body.call('i32', this.flow.host.load, i32.wrap(at), this.high(at), i32.const(bytes)));
          body.set(result, read(this.registers.base, OFFSET.value));
          body.br(done);
        },
      );
      body.set(result, read(this.hostAddress(entry, at)));
    });
    return result;
  }

  store({ bytes }: MemoryKind, address: I64, value: I64): void {
    const { body } = this;
    const at = body.keep(address);
    const entry = this.tlbEntry(OFFSET.tlbWrite, at);
    const kind = ({ 1: 'i64_8', 2: 'i64_16', 4: 'i64_32', 8: 'i64' } as const)[bytes];
    body.block((done) => {
      this.unlessFound(
        entry,
        at,
        () => pageOfLast(at, bytes),
        1,
        () => {
          this.sync();
          body.store('i64', this.registers.base, value, OFFSET.value);
          this.leaveIf(body.call('i32', this.flow.host.store, i32.wrap(at), this.high(at), i32.const(bytes)));
          body.br(done);
        },
      );
      body.store(kind, this.hostAddress(entry, at), value);
    });
  }

  loadDouble(address: I64): F64 {
    return f64.reinterpret(this.load({ bytes: 8, signed: false }, address));
  }

  storeDouble(address: I64, value: F64): void {
    this.store({ bytes: 8, signed: false }, address, i64.reinterpret(value));
  }

  loadSingle(address: I64): F32 {
    return f32.reinterpret(i32.wrap(this.load({ bytes: 4, signed: false }, address)));
  }

  storeSingle(address: I64): void {
    this.store({ bytes: 4, signed: false }, address, this.fs(2));
  }

  amo(width: 4 | 8, change: AmoChange): I64 {
    return emitAmo(this.body, width, change, this.atomicAddress(width, false), this.rs2);
  }

  loadReserved(width: 4 | 8): void {
    const address = this.atomicAddress(width, true);
    this.setRd(emitLoadReserved(this.body, this.registers.base, width, address));
  }

  storeConditional(width: 4 | 8): void {
    const address = this.atomicAddress(width, false);
    this.setRd(emitStoreConditional(this.body, this.registers.base, width, address, this.rs2));
  }

  branch(taken: I32): void {
    this.body.if(taken, () => this.goRelative());
  }

  jumpRelative(): void {
    if (this.handler.link) this.setRd(this.nextPc());
    this.goRelative();
  }

  jump(target: I64): void {
    const to = this.body.keep(target);
    if (this.handler.link) this.setRd(this.nextPc());
    if (this.handler.link) this.flow.noteTarget(to);
    else
      this.body.if(i32.ne(this.register('rs1'), i32.add(this.registers.base, i32.const(RA * 8))), () =>
        this.flow.noteTarget(to),
      );
    this.flow.jump(to);
  }

  csr(operation: CsrOperation, uses: 'register' | 'immediate'): void {
    const low = i32.wrap(this.registers.op);
    const field = i32.and(i32.shrU(low, i32.const(16)), i32.const(31));
    const operand = uses === 'register' ? this.rs1 : i64.extendU(field);
    const writes = operation === 'write' ? i32.const(1) : field;
    if (this.handler.csr === 'plain') this.plainCsr(operation, operand);
    else if (this.handler.csr === 'status') this.statusCsr(operation, operand, writes);
    else if (this.handler.csr === 'interrupts') this.interruptCsr(operation, operand, writes);
    else if (this.handler.csr === 'float') this.floatCsr(operation, operand, writes);
    else this.hostCsr(operation, operand, this.immWord);
  }

  private hostCsr(operation: CsrOperation, operand: I64, number: I32): void {
    const { body } = this;
    const { base, op } = this.registers;
    this.sync();
    body.store('i64', base, operand, OFFSET.value);
    const operationCode = i32.const(CSR_OPERATIONS[operation]);
    this.leaveIf(body.call('i32', this.flow.host.csr, operationCode, i32.wrap(op), number));
    this.setRd(i64.load(base, OFFSET.value));
  }

  /** mstatus or sstatus: the operand in the operation is the privilege. */
  private statusCsr(operation: CsrOperation, operand: I64, writes: I32): void {
    const { body, flow } = this;
    const { base } = this.registers;
    const needed = body.keep(this.immWord);
    const old = body.local('i64');
    body.block((done) => {
      body.block((host) => {
        body.brIf(i32.ltU(i32.load(base, OFFSET.privilege), needed), host);
        body.set(old, body.call('i64', flow.host.readStatus, base, needed));
        body.if(writes, () => {
          const written = i32.wrap(changedCsr(operation, old, operand));
          const result = body.keep(body.call('i32', flow.host.writeStatus, base, needed, written));
          body.brIf(i32.eqz(result), host);
          body.unlikely(i32.eq(result, i32.const(2)), () => {
            this.setRd(old);
            this.interrupted();
          });
        });
        this.setRd(old);
        body.br(done);
      });
      this.hostCsr(operation, operand, i32.shl(needed, i32.const(8)));
    });
  }

  /** One of INTERRUPT_CSR. */
  private interruptCsr(operation: CsrOperation, operand: I64, writes: I32): void {
    const { body, flow } = this;
    const { base } = this.registers;
    const number = body.keep(this.immWord);
    const needed = i32.and(i32.shrU(number, i32.const(8)), i32.const(3));
    body.if(i32.ltU(i32.load(base, OFFSET.privilege), needed), () => this.system('illegal'));
    const { keep, or } = keptAndAdded(operation, operand);
    const [kept, added] = [body.keep(keep), body.keep(or)];
    const old = body.keep(body.call('i64', flow.host.readInterrupts, base, number));
    this.setRd(old);
    body.if(writes, () =>
      body.unlikely(body.call('i32', flow.host.changeInterrupts, base, number, kept, added), () => this.interrupted()),
    );
  }

  /** This instruction is done, and has let an interrupt in. */
  private interrupted(): void {
    const { body, flow } = this;
    const { base } = this.registers;
    body.store('i64', base, this.nextPc(), OFFSET.pc);
    body.keep(body.call('i32', flow.host.takeInterrupt, base));
    flow.jump(i64.load(base, OFFSET.pc));
  }

  /** One of FLOAT_CSR: all three in the same code, by masks. */
  private floatCsr(operation: CsrOperation, operand: I64, writes: I32): void {
    const { body } = this;
    const { base } = this.registers;
    this.requireFloat();
    const number = body.keep(this.immWord);
    const fflags = body.keep(i32.load(base, OFFSET.fflags));
    const frm = body.keep(i32.load(base, OFFSET.frm));
    const is = (which: number): I32 => i32.eq(number, i32.const(which));
    const old = select(
      is(FLOAT_CSR.frm),
      frm,
      i32.or(fflags, i32.shl(select(is(FLOAT_CSR.fcsr), frm, i32.const(0)), i32.const(5))),
    );
    const before = body.keep(i64.extendU(old));
    body.if(writes, () => {
      const written = body.keep(i32.wrap(changedCsr(operation, before, operand)));
      for (const which of Object.values(FLOAT_CSR)) {
        body.if(is(which), () => {
          for (const [name, value] of Object.entries(splitFloatCsr(which, written))) {
            body.store('i32', base, value, OFFSET[name as 'fflags' | 'frm']);
          }
        });
      }
      this.setDirty();
    });
    this.setRd(before);
  }

  readTime(): I64 {
    const { body } = this;
    const { base } = this.registers;
    const privilege = body.keep(i32.load(base, OFFSET.privilege));
    const shown = (register: number): I32 => i32.and(i32.load(base, register), i32.const(2));
    body.if(i32.ltU(privilege, i32.const(3)), () => {
      body.if(i32.eqz(shown(OFFSET.mcounteren)), () => this.system('illegal'));
      body.if(i32.eqz(i32.or(privilege, shown(OFFSET.scounteren))), () => this.system('illegal'));
    });
    return i64.truncF64U(body.call('f64', this.flow.host.time));
  }

  system(operation: SystemOperation): void {
    const { body, flow } = this;
    const { base } = this.registers;
    if (operation === 'ecall') {
      body.store('i64', base, this.pc, OFFSET.pc);
      body.callVoid(flow.host.environmentCall, base);
      flow.trapped();
      return;
    }
    const fast = { mret: flow.host.machineReturn, sret: flow.host.supervisorReturn }[operation as string];
    if (fast !== undefined) body.if(body.call('i32', fast, base), () => flow.jump(i64.load(base, OFFSET.pc)));
    this.sync();
    const low = i32.wrap(this.registers.op);
    this.leaveIf(this.body.call('i32', this.flow.host.system, i32.const(SYSTEM_OPERATIONS[operation]), low));
  }

  requireFloat(): void {
    this.body.unlikely(i32.eqz(i32.load(this.registers.base, OFFSET.fpEnabled)), () => this.system('illegal'));
  }

  fs(operand: 1 | 2 | 3): I64 {
    return i64.load(this.register(`rs${operand}`), OFFSET.f);
  }

  fs32(operand: 1 | 2 | 3): F32 {
    const raw = this.body.keep(this.fs(operand));
    const boxed = i64.geU(raw, i64.const(BOX));
    return f32.reinterpret(select(boxed, i32.wrap(raw), i32.const(CANONICAL_NAN_32)));
  }

  fs64(operand: 1 | 2 | 3): F64 {
    return f64.load(this.register(`rs${operand}`), OFFSET.f);
  }

  setFd(bits: I64): void {
    this.body.store('i64', this.register('rd'), bits, OFFSET.f);
    this.setDirty();
  }

  get sameOperands(): boolean {
    return false;
  }

  isWord(): boolean {
    return false;
  }

  setFd32(value: F32): void {
    this.setFd(i64.or(i64.extendU(i32.reinterpret(value)), i64.const(BOX)));
  }

  setFd64(value: F64): void {
    this.body.store('f64', this.register('rd'), value, OFFSET.f);
    this.setDirty();
  }

  roundingMode(): I32 {
    const mode = this.body.local('i32', this.immWord);
    this.body.if(i32.eq(mode, i32.const(7)), () => {
      this.body.set(mode, i32.load(this.registers.base, OFFSET.frm));
      this.body.if(i32.gtU(mode, i32.const(4)), () => this.system('illegal'));
    });
    return mode;
  }

  get knownRounding(): undefined {
    return undefined;
  }

  get inexact(): I32 {
    return i32.and(i32.load(this.registers.base, OFFSET.fflags), i32.const(1));
  }

  raiseFlags(flags: I32): void {
    const { base } = this.registers;
    this.body.store('i32', base, i32.or(i32.load(base, OFFSET.fflags), flags), OFFSET.fflags);
    this.setDirty();
  }

  exact(operation: ExactOperation, format: 0 | 1, rounding: I32, ...operands: readonly I64[]): I64 {
    const { body, flow } = this;
    const [a, b, c] = [0, 1, 2].map((index) => operands[index] ?? i64.const(0));
    const code = i32.const(exactCode(operation, format));
    return body.call('i64', flow.host.exact, this.registers.base, code, rounding, a, b, c);
  }

  /** A set or clear without operand stores what was there, which nothing notices. */
  private plainCsr(operation: CsrOperation, operand: I64): void {
    const { body } = this;
    const how = body.keep(this.immWord);
    const field = (shift: number, mask: number): I32 => i32.and(i32.shrU(how, i32.const(shift)), i32.const(mask));
    const needed = field(PLAIN_CSR.privilegeShift, PLAIN_CSR.privilegeMask);
    const { base } = this.registers;
    body.if(i32.ltU(i32.load(base, OFFSET.privilege), needed), () => this.system('illegal'));
    const at = body.keep(i32.add(base, field(0, PLAIN_CSR.offsetMask)));
    const old = body.keep(i64.load(at));
    const value = changedCsr(operation, old, operand);
    const odd = i64.extendU(field(PLAIN_CSR.evenShift, 1));
    body.store('i64', at, i64.and(value, i64.xor(odd, i64.const(-1))));
    this.setRd(old);
  }

  private setDirty(): void {
    this.body.store('i32', this.registers.base, i32.const(1), OFFSET.fpDirty);
  }

  /** Address in wasm memory of a register, but for OFFSET.x or OFFSET.f. */
  private register(name: keyof typeof FIELD): I32 {
    const { shift, mask } = FIELD[name];
    const low = i32.wrap(this.registers.op);
    return i32.add(this.registers.base, i32.and(i32.shrU(low, i32.const(shift)), i32.const(mask)));
  }

  private nextPc(): I64 {
    return i64.add(this.pc, i64.const(this.handler.length));
  }

  /** Near targets have their distance in the decode cache as immediate, far ones in bytes. */
  private goRelative(): void {
    if (this.handler.near) this.flow.near(this.immWord);
    else this.flow.jump(i64.add(this.pc, this.imm));
  }

  private sync(): void {
    this.flow.sync();
  }

  private leaveIf(redirected: I32): void {
    this.body.unlikely(redirected, () => this.flow.redirected());
  }

  private high(value: I64): I32 {
    return i32.wrap(i64.shrU(value, i64.const(32)));
  }

  private tlbEntry(table: number, address: Local<'i64'>): Local<'i32'> {
    return this.body.keep(i32.add(i32.load(this.registers.base, table), dataIndex(address)));
  }

  /**
   * What happens when the entry's tag, a page, is not what it must be, not even after a walk; must not fall through. Hinted, or V8 would
   * spill registers before each access.
   */
  private unlessFound(entry: I32, address: Local<'i64'>, tag: () => I64, writing: 0 | 1, otherwise: () => void): void {
    const { body } = this;
    body.unlikely(i64.ne(i64.load(entry), tag()), () => {
      body.block((found) => {
        body.block((lost) => {
          const filled = body.call('i32', this.flow.host.fillData, this.registers.base, address, i32.const(writing));
          body.brIf(i32.eqz(filled), lost);
          body.brIf(i64.eq(i64.load(entry), tag()), found);
        });
        otherwise();
      });
    });
  }

  private hostAddress(entry: I32, address: I64): I32 {
    return i32.add(i32.load(entry, 8), i32.wrap(address));
  }

  /** The word that rs1 points to, for LR, SC and AMOs; leaves on an exception. */
  private atomicAddress(width: 4 | 8, reading: boolean): Local<'i32'> {
    const { body } = this;
    const at = body.keep(this.rs1);
    const entry = this.tlbEntry(reading ? OFFSET.tlbRead : OFFSET.tlbWrite, at);
    const address = body.local('i32');
    body.block((done) => {
      this.unlessFound(
        entry,
        at,
        () => i64.and(at, i64.const(-4096 | (width - 1))),
        reading ? 0 : 1,
        () => {
          this.sync();
          const { atomicAddress } = this.flow.host;
          const found = body.call(
            'i32',
            atomicAddress,
            i32.wrap(at),
            this.high(at),
            i32.const(width),
            i32.const(+reading),
          );
          body.set(address, found);
          this.leaveIf(i32.eqz(address));
          body.br(done);
        },
      );
      body.set(address, this.hostAddress(entry, at));
    });
    return address;
  }
}
