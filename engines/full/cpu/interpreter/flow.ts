import { OFFSET, TLB } from '../layout.js';
import type { Body, Local } from '../wasm/body.js';
import type { Declared, ModuleBuilder } from '../wasm/module.js';
import { type I32, type I64, i32, i64, type ValueType } from '../wasm/value.js';
import { DecodeResult, type HostRefs } from './host.js';
import { ENTRY_SCALE, HANDLER_MASK } from './operation.js';

/** What every handler has: the hart's state, where it is in the decode cache, instructions left, its own operation. */
export interface Registers {
  base: Local<'i32'>;
  ip: Local<'i32'>;
  count: Local<'i32'>;
  op: Local<'i64'>;
}

const HANDLER_PARAMETERS: readonly ValueType[] = ['i32', 'i32', 'i32', 'i64'];
const RESULT: readonly ValueType[] = ['i32'];

/**
 * The way from one instruction to the next. Each handler is a function that ends in a tail call to the next one's
 * through the table; what is hot stays in the parameters, so in the machine's registers.
 */
export class Flow {
  readonly handlerType: number;
  /** (base): goes on at OFFSET.pc, or leaves when OFFSET.exit says so. */
  readonly resume: Declared;
  /** (base, count, pc): finds the page of pc, and goes on there. */
  private readonly fetch: Declared;

  constructor(
    private readonly module: ModuleBuilder,
    readonly host: HostRefs,
  ) {
    this.handlerType = module.type(HANDLER_PARAMETERS, RESULT);
    this.resume = module.declare(['i32'], RESULT);
    this.fetch = module.declare(['i32', 'i32', 'i64'], RESULT);
    module.define(this.resume, (body) => this.buildResume(body));
    module.define(this.fetch, (body) => this.buildFetch(body));
  }

  /** Declares and builds one handler. */
  handler(build: (body: Body, registers: Registers) => void): Declared {
    const declared = this.module.declare(HANDLER_PARAMETERS, RESULT);
    this.module.define(declared, (body) =>
      build(body, {
        base: body.parameter(0, 'i32'),
        ip: body.parameter(1, 'i32'),
        count: body.parameter(2, 'i32'),
        op: body.parameter(3, 'i64'),
      }),
    );
    return declared;
  }

  /** This instruction is done; on with the one `bytes` of code later. */
  next(body: Body, r: Registers, bytes: number): void {
    this.at(body, r, i32.add(r.ip, i32.const(bytes * ENTRY_SCALE)), i32.sub(r.count, i32.const(1)));
  }

  /** This instruction is done; on with the entry `distance` away, unless the slice is used up. */
  near(body: Body, r: Registers, distance: I32): void {
    body.set(r.ip, i32.add(r.ip, distance));
    body.set(r.count, i32.sub(r.count, i32.const(1)));
    body.if(i32.leS(r.count, i32.const(0)), () => body.returnCall(this.fetch, r.base, r.count, this.pcOf(r)));
    this.at(body, r, r.ip, r.count);
  }

  /** This instruction is done; on at `pc`. */
  jump(body: Body, r: Registers, pc: I64): void {
    body.returnCall(this.fetch, r.base, i32.sub(r.count, i32.const(1)), pc);
  }

  /** The hart was redirected by the host. */
  redirected(body: Body, r: Registers): void {
    body.returnCall(this.resume, r.base);
  }

  /** Writes back what the host may want to see. */
  sync(body: Body, r: Registers): void {
    body.store('i32', r.base, r.ip, OFFSET.ip);
    body.store('i32', r.base, r.count, OFFSET.count);
  }

  /** Address of the instruction whose entry ip is. */
  pcOf(r: Registers): I64 {
    const offset = i32.shrU(i32.sub(r.ip, i32.load(r.base, OFFSET.slot)), i32.const(2));
    return i64.add(i64.load(r.base, OFFSET.slotPage), i64.extendU(offset));
  }

  /** The handler of entries that are not decoded. */
  decodeHandler(): Declared {
    return this.handler((body, r) => {
      this.sync(body, r);
      const result = body.keep(body.call('i32', this.host.decode));
      body.if(i32.eq(result, i32.const(DecodeResult.Redirected)), () => this.redirected(body, r));
      body.if(i32.eq(result, i32.const(DecodeResult.Once)), () =>
        this.dispatch(body, r, r.ip, r.count, body.keep(i64.load(r.base, OFFSET.scratchOp))),
      );
      this.at(body, r, r.ip, r.count);
    });
  }

  /** The handler of the entries beyond a page: nothing was executed yet. */
  pageEndHandler(): Declared {
    return this.handler((body, r) => body.returnCall(this.fetch, r.base, r.count, this.pcOf(r)));
  }

  private at(body: Body, r: Registers, ip: I32, count: I32): void {
    const target = body.keep(ip);
    this.dispatch(body, r, target, count, body.keep(i64.load(target)));
  }

  private dispatch(body: Body, r: Registers, ip: I32, count: I32, op: I64): void {
    const handler = i32.and(i32.wrap(op), i32.const(HANDLER_MASK));
    body.returnCallIndirect(this.handlerType, handler, r.base, ip, count, op);
  }

  private buildResume(body: Body): void {
    const base = body.parameter(0, 'i32');
    const exit = body.keep(i32.load(base, OFFSET.exit));
    body.if(exit, () => body.return(exit));
    body.returnCall(this.fetch, base, i32.load(base, OFFSET.count), i64.load(base, OFFSET.pc));
    body.unreachable();
  }

  private buildFetch(body: Body): void {
    const base = body.parameter(0, 'i32');
    const count = body.parameter(1, 'i32');
    const pc = body.parameter(2, 'i64');
    const writeBack = () => {
      body.store('i32', base, count, OFFSET.count);
      body.store('i64', base, pc, OFFSET.pc);
    };
    body.if(i32.leS(count, i32.const(0)), () => {
      writeBack();
      body.callVoid(this.host.boundary);
      body.returnCall(this.resume, base);
    });
    const page = body.keep(i64.and(pc, i64.const(-4096)));
    const index = i32.and(i32.shrU(i32.wrap(pc), i32.const(8)), i32.const((TLB.executeEntries - 1) * TLB.entryBytes));
    const entry = body.keep(i32.add(i32.load(base, OFFSET.tlbExecute), index));
    body.if(i64.ne(i64.load(entry), page), () => {
      writeBack();
      body.callVoid(this.host.fetch);
      body.returnCall(this.resume, base);
    });
    const slot = body.keep(i32.load(entry, 8));
    body.store('i32', base, slot, OFFSET.slot);
    body.store('i64', base, page, OFFSET.slotPage);
    const offset = i32.and(i32.wrap(pc), i32.const(0xffe));
    const ip = body.keep(i32.add(slot, i32.shl(offset, i32.const(Math.log2(ENTRY_SCALE)))));
    const r: Registers = { base, ip, count, op: body.local('i64') };
    this.at(body, r, ip, count);
    body.unreachable();
  }
}
