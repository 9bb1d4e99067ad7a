import { DECODE, EVENT, JUMP, OFFSET, REGION, SLOT } from '../layout.js';
import type { Body, FunctionRef, Local } from '../wasm/body.js';
import type { Declared, ModuleBuilder } from '../wasm/module.js';
import { type F64, f64, type I32, type I64, i32, i64, select } from '../wasm/value.js';
import type { HostRefs } from './host.js';
import { dataIndex, executeIndex } from './tlb-code.js';
import type { WalkFunctions } from './walk-code.js';

/** Instructions between two looks at the interrupt lines, at most (and the rest of a straight line). */
export const SLICE = 512;

/**
 * A translated region: region(stateBase, count, pc, record) gives a RegionExit, with OFFSET.pc and OFFSET.count written.
 * `pc` is where it begins, and its code lies around it as it did when it was translated; all else is relative.
 */
export const REGION_SIGNATURE = { parameters: ['i32', 'i32', 'i64', 'i32'], results: ['i32'] } as const;

/** How a region was left. */
export const RegionExit = {
  /** At OFFSET.pc, where anything may go on. */
  Chain: 0,
  /** The instruction at OFFSET.pc must be interpreted: only there can it be done, or what the code was made for is not so now. */
  Once: 1,
} as const;

/** Parameters and results of what regions call. */
export const REGION_IMPORTS = {
  /** refill(stateBase, address, bytes, writing, slot): finds the range of an access, see SLOT; 0: it must be interpreted. */
  refill: { parameters: ['i32', 'i64', 'i32', 'i32', 'i32'], results: ['i32'] },
  /**
   * reach(stateBase, address, bytes, writing, slot, back, forth, rounds): finds the range of an access that moves by -back
   * to forth bytes (below 2^41) a round; how many rounds, up to `rounds`, stay in it: the first does not move yet.
   */
  reach: { parameters: ['i32', 'i64', 'i32', 'i32', 'i32', 'i64', 'i64', 'i32'], results: ['i32'] },
  /**
   * chain(stateBase, count, pc): a region has been left for `pc`, which is in OFFSET.pc as well as the count in OFFSET.count:
   * goes on in another one as far as that is possible, then gives the RegionExit.
   */
  chain: { parameters: ['i32', 'i32', 'i64'], results: ['i32'] },
  /** decline(stateBase, record): fcsr is not what a region was made for; where that is often so boundary() drops it. */
  decline: { parameters: ['i32', 'i32'], results: [] },
  /** poll(stateBase, count): the slice is used up; instructions of the next one, or 0 when the region must be left. */
  poll: { parameters: ['i32', 'i32'], results: ['i32'] },
} as const;

/** Exports what translated regions call, and the table that they are called through. */
export function exportRegionSupport(
  module: ModuleBuilder,
  { poll, ...host }: HostRefs & WalkFunctions & { poll: Declared },
): void {
  const refill = module.declare(REGION_IMPORTS.refill.parameters, REGION_IMPORTS.refill.results);
  module.define(refill, (body) => defineRefill(body, host));
  module.export('refill', refill);
  const reach = module.declare(REGION_IMPORTS.reach.parameters, REGION_IMPORTS.reach.results);
  module.define(reach, (body) => defineReach(body, refill));
  module.export('reach', reach);
  const chain = module.declare(REGION_IMPORTS.chain.parameters, REGION_IMPORTS.chain.results);
  module.define(chain, (body) =>
    defineChain(body, poll, module.type(REGION_SIGNATURE.parameters, REGION_SIGNATURE.results)),
  );
  module.export('chain', chain);
  const decline = module.declare(REGION_IMPORTS.decline.parameters, REGION_IMPORTS.decline.results);
  module.define(decline, defineDecline);
  module.export('decline', decline);
}

/** See REGION_IMPORTS. */
export function exportPoll(module: ModuleBuilder): Declared {
  const poll = module.declare(REGION_IMPORTS.poll.parameters, REGION_IMPORTS.poll.results);
  module.define(poll, definePoll);
  module.export('poll', poll);
  return poll;
}

/** See defineMayEnter. */
export function exportMayEnter(module: ModuleBuilder, host: WalkFunctions): FunctionRef {
  const mayEnter = module.declare(['i32', 'i64', 'i32'], ['i32']);
  module.define(mayEnter, (body) => defineMayEnter(body, host));
  module.export('mayEnter', mayEnter);
  return mayEnter;
}

/** Address of the record of the region with an index. */
export function recordOf(base: I32, index: I32): I32 {
  return i32.add(i32.add(base, i32.const(REGION.records)), i32.mul(index, i32.const(REGION.bytes)));
}

/** One more event of EVENT, or `more`. */
export function countEvent(body: Body, base: I32, event: number, more: F64 = f64.const(1)): void {
  const at = OFFSET.events + event * 8;
  body.store('f64', base, f64.add(f64.load(base, at), more), at);
}

/** Address of the entry of the jump table for a region at `pc`. */
export function jumpEntry(base: I32, pc: I64): I32 {
  const low = i32.wrap(pc);
  const index = i32.and(i32.xor(low, i32.shrU(low, i32.const(10))), i32.const((JUMP.entries - 1) * 2));
  return i32.add(i32.load(base, OFFSET.jumps), i32.shl(index, i32.const(Math.log2(JUMP.entryBytes / 2))));
}

/** One more in a field of the record of the region that is being executed. */
function countInRecord(body: Body, base: I32, field: number): void {
  const region = body.keep(i32.load(base, OFFSET.region));
  body.store('i32', region, i32.add(i32.load(region, field), i32.const(1)), field);
}

function defineRefill(body: Body, host: HostRefs & WalkFunctions): void {
  const base = body.parameter(0, 'i32');
  countEvent(body, base, EVENT.rangeMisses);
  countInRecord(body, base, REGION.turns);
  const address = body.parameter(1, 'i64');
  const bytes = body.parameter(2, 'i32');
  const writing = body.parameter(3, 'i32');
  const slot = body.parameter(4, 'i32');
  const page = body.keep(i64.and(address, i64.const(-4096)));
  const index = body.keep(dataIndex(address));
  const table = select(writing, i32.load(base, OFFSET.tlbWrite), i32.load(base, OFFSET.tlbRead));
  const entry = body.local('i32', i32.add(table, index));
  const missing = (): I32 => i64.ne(i64.load(entry), page);
  body.if(missing(), () => {
    const high = i32.wrap(i64.shrU(address, i64.const(32)));
    body.if(i32.eqz(body.call('i32', host.fillData, base, address, writing)), () => {
      const filled = body.call('i32', host.fill, i32.wrap(address), high, bytes, writing);
      body.if(i32.eqz(filled), () => body.return(i32.const(0)));
    });
    body.if(missing(), () => body.return(i32.const(0)));
  });
  const forStores = body.keep(i32.add(i32.load(base, OFFSET.tlbWrite), index));
  const writable = body.keep(i64.eq(i64.load(forStores), page));
  body.if(writable, () => body.set(entry, forStores));
  storeRange(body, slot, page, entry, writable);
  const end = i64.add(i64.load(slot, SLOT.read), i64.sub(i64.const(7), i64.extendU(bytes)));
  body.return(i64.leU(i64.sub(address, i64.load(slot, SLOT.low)), end));
  body.unreachable();
}

function defineReach(body: Body, refill: Declared): void {
  const base = body.parameter(0, 'i32');
  countInRecord(body, base, REGION.reaches);
  const address = body.parameter(1, 'i64');
  const [bytes, writing, slot] = ([2, 3, 4] as const).map((index) => body.parameter(index, 'i32'));
  const rounds = body.parameter(7, 'i32');
  // Not yet a store: D must not be set for what may not be done. Where it is not set the range cannot be written.
  const found = body.call('i32', refill, base, address, bytes, i32.const(0), slot);
  body.if(i32.eqz(found), () => body.return(i32.const(0)));
  body.if(i32.and(writing, i64.eqz(i64.load(slot, SLOT.write))), () => body.return(i32.const(0)));
  const within = body.keep(i64.sub(address, i64.load(slot, SLOT.low)));
  const size = i64.add(i64.load(slot, SLOT.read), i64.const(7));
  const room = body.keep(i64.sub(i64.sub(size, within), i64.extendU(bytes)));
  const limit = (step: Local<'i64'>, space: I64): void =>
    body.if(i64.ne(step, i64.const(0)), () => {
      const most = body.keep(i64.add(i64.divU(space, step), i64.const(1)));
      body.if(i64.ltU(most, i64.extendU(rounds)), () => body.set(rounds, i32.wrap(most)));
    });
  limit(body.parameter(5, 'i64'), within);
  limit(body.parameter(6, 'i64'), room);
  body.return(rounds);
  body.unreachable();
}

/** The range around `page` that its TLB entry tells of. */
function storeRange(body: Body, slot: I32, page: I64, entry: I32, writable: I32): void {
  const around = body.keep(i32.load(entry, 12));
  const before = body.keep(i64.shl(i64.extendU(i32.and(around, i32.const(0xffff))), i64.const(12)));
  const after = i64.shl(i64.extendU(i32.shrU(around, i32.const(16))), i64.const(12));
  const bytes = body.keep(i64.add(i64.add(before, after), i64.const(4096 - 7)));
  body.store('i64', slot, i64.sub(page, before), SLOT.low);
  body.store('i64', slot, bytes, SLOT.read);
  body.store('i64', slot, select(writable, bytes, i64.const(0)), SLOT.write);
  body.store('i32', slot, i32.load(entry, 8), SLOT.delta);
}

/**
 * mayEnter(stateBase, pc, record): 1 when a region may be entered at `pc`, whose own page has been fetched just now: in this
 * mode, and its other pages are as far from there as they were, with the code that they had. The jump table knows it from
 * then on, until OFFSET.codeEpoch changes.
 */
function defineMayEnter(body: Body, host: WalkFunctions): void {
  const base = body.parameter(0, 'i32');
  const pc = body.parameter(1, 'i64');
  const record = body.parameter(2, 'i32');
  const own = body.keep(i64.and(pc, i64.const(-4096)));
  const jump = body.keep(jumpEntry(base, pc));
  const index = body.keep(i32.load(record, REGION.index));
  const known = i32.and(i64.eq(i64.load(jump), pc), i32.eq(i32.load(jump, JUMP.index), index));
  body.if(i32.and(known, i32.eq(i32.load(jump, JUMP.epoch), i32.load(base, OFFSET.codeEpoch))), () =>
    body.return(i32.const(1)),
  );
  body.if(i32.ne(i32.load(record, REGION.privilege), i32.load(base, OFFSET.privilege)), () =>
    body.return(i32.const(0)),
  );
  body.if(i32.load(record, REGION.pageCount), () => checkPages(body, host, { base, record, own }));
  body.store('i64', jump, pc);
  body.store('i32', jump, index, JUMP.index);
  body.store('i32', jump, i32.load(base, OFFSET.codeEpoch), JUMP.epoch);
  body.return(i32.const(1));
  body.unreachable();
}

/** Returns 0 when the pages besides the first are not as they must be. `own`: the first one's virtual address. */
function checkPages(
  body: Body,
  host: WalkFunctions,
  { base, record, own }: { base: Local<'i32'>; record: Local<'i32'>; own: Local<'i64'> },
): void {
  const page = body.local('i32', record);
  const end = body.keep(i32.add(record, i32.shl(i32.load(record, REGION.pageCount), i32.const(4))));
  body.loop((again) => {
    const address = body.keep(i64.add(own, i64.load(page, REGION.pages)));
    const entry = body.keep(i32.add(i32.load(base, OFFSET.tlbExecute), executeIndex(address)));
    const found = body.local('i32', i32.load(entry, 8));
    body.if(i64.ne(i64.load(entry), address), () => {
      const [held, rest] = [body.keep(i64.load(entry)), body.keep(i64.load(entry, 8))];
      const filled = body.call('i32', host.fillExecute, base, address);
      body.if(i32.eqz(filled), () => body.return(i32.const(0)));
      body.set(found, i32.load(entry, 8));
      // The page that is executed stays: without it the region that declines here would be entered again, for ever.
      body.if(i64.eq(held, own), () => {
        body.store('i64', entry, held);
        body.store('i64', entry, rest, 8);
      });
    });
    const slot = body.keep(i32.load(page, REGION.pages + 8));
    const moved = i32.ne(found, slot);
    const reloaded = i32.ne(i32.load(slot, DECODE.generation), i32.load(page, REGION.pages + 12));
    body.if(i32.or(moved, reloaded), () => {
      dropSoon(body, base, record);
      body.return(i32.const(0));
    });
    body.set(page, i32.add(page, i32.const(16)));
    body.brIf(i32.ltU(page, end), again);
  });
}

/** From then on a region is made for any fcsr. */
export const MOST_DECLINES = 200;

function defineDecline(body: Body): void {
  const base = body.parameter(0, 'i32');
  const record = body.parameter(1, 'i32');
  const declines = body.keep(i32.add(i32.load(record, REGION.declines), i32.const(1)));
  body.store('i32', record, declines, REGION.declines);
  body.if(i32.geU(declines, i32.const(MOST_DECLINES)), () => dropSoon(body, base, record));
}

/** For boundary(), which drops it. */
function dropSoon(body: Body, base: I32, record: I32): void {
  body.store('i32', base, record, OFFSET.dead);
  body.store('i32', base, i32.const(1), OFFSET.attention);
}

/**
 * By the jump table; at the end of the slice only if nothing is to be looked at. A slice that ends where no region begins is
 * left to boundary(): it is how the translator learns of places that regions lead to.
 */
function defineChain(body: Body, poll: Declared, regionType: number): void {
  const base = body.parameter(0, 'i32');
  const count = body.parameter(1, 'i32');
  const pc = body.parameter(2, 'i64');
  const jump = body.keep(jumpEntry(base, pc));
  const current = i32.eq(i32.load(jump, JUMP.epoch), i32.load(base, OFFSET.codeEpoch));
  body.if(i32.and(i64.eq(i64.load(jump), pc), current), () => {
    body.unlikely(i32.leS(count, i32.const(0)), () => {
      body.set(count, body.call('i32', poll, base, count));
      body.if(i32.eqz(count), () => body.return(i32.const(RegionExit.Chain)));
      body.store('i32', base, count, OFFSET.count);
    });
    countEvent(body, base, EVENT.regionChains);
    const index = body.keep(i32.load(jump, JUMP.index));
    body.returnCallIndirect(regionType, index, base, count, pc, recordOf(base, index));
  });
  body.return(i32.const(RegionExit.Chain));
  body.unreachable();
}

/** What Hart.boundary() does when there is nothing to look at: see there. */
function definePoll(body: Body): void {
  const base = body.parameter(0, 'i32');
  const count = body.parameter(1, 'i32');
  body.if(i32.atomicLoad(i32.add(base, i32.const(OFFSET.attention))), () => body.return(i32.const(0)));
  const done = body.keep(i32.sub(i32.load(base, OFFSET.sliceLength), count));
  const budget = body.keep(i32.sub(i32.load(base, OFFSET.budget), done));
  body.if(i32.leS(budget, i32.const(0)), () => body.return(i32.const(0)));
  settle(body, base, done);
  body.store('i32', base, budget, OFFSET.budget);
  const length = body.keep(select(i32.ltS(budget, i32.const(SLICE)), budget, i32.const(SLICE)));
  body.store('i32', base, length, OFFSET.sliceLength);
  body.return(length);
  body.unreachable();
}

function settle(body: Body, base: Local<'i32'>, done: I32): void {
  const total = f64.add(f64.load(base, OFFSET.instret), f64.convertI32S(done));
  body.store('f64', base, total, OFFSET.instret);
}
