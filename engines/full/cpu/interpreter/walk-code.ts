import { ACCESS } from '../host/status.js';
import { DECODE, EVENT, FETCHED, LARGE, OFFSET, PLACES, SPOKEN, TLB, WALK } from '../layout.js';
import type { Body, FunctionRef, Label, Local } from '../wasm/body.js';
import type { Declared, ModuleBuilder } from '../wasm/module.js';
import { f64, type I32, type I64, i32, i64, select } from '../wasm/value.js';
import { countEvent } from './region-support.js';
import { dataIndex, executeIndex } from './tlb-code.js';

/**
 * TLB misses without the host: the frequent part of ../host/mmu.ts and ../host/fetch.ts (privileged specification, 4.3.2).
 * A walk gives up on everything else, faults before all, and has then changed nothing: the host does it again.
 */
export interface WalkFunctions {
  /** fillData(stateBase, address, writing): 1 when the TLB that counts now has the page. */
  readonly fillData: FunctionRef;
  /** fillExecute(stateBase, address): the same for fetches. */
  readonly fillExecute: FunctionRef;
}

/** Bits of a page table entry (4.3.1). */
const PTE = { V: 1, R: 2, W: 4, X: 8, U: 16, A: 64, D: 128, RSW: 0x300, reserved: 54 } as const;
const PPN_BITS = (1n << 44n) - 1n;

/** Defines the functions, and exports what TlbControl calls. equal: of exportBulkMemory(). */
export function exportWalks(module: ModuleBuilder, equal: Declared): WalkFunctions {
  const walk = module.declare(['i32', 'i64', 'i32', 'i32'], ['i32']);
  module.define(walk, defineWalk);
  const note = module.declare(['i32', 'i64', 'i64'], []);
  module.define(note, defineNote);
  const fillData = module.declare(['i32', 'i64', 'i32'], ['i32']);
  module.define(fillData, (body) => defineFillData(body, walk, note));
  const fillExecute = module.declare(['i32', 'i64'], ['i32']);
  module.define(fillExecute, (body) => defineFillExecute(body, { walk, note, equal }));
  const flushTlb = module.declare(['i32'], []);
  module.define(flushTlb, defineFlush);
  const flushExecute = module.declare(['i32'], []);
  module.define(flushExecute, defineFlushExecute);
  const flushTlbPage = module.declare(['i32', 'i32', 'i32'], ['i32']);
  module.define(flushTlbPage, (body) => defineFlushPage(body, flushTlb));
  module.export('fillData', fillData);
  module.export('noteLarge', note);
  module.export('flushTlb', flushTlb);
  module.export('flushExecute', flushExecute);
  module.export('flushTlbPage', flushTlbPage);
  return { fillData, fillExecute };
}

const masked = (value: I32, mask: number): I32 => i32.and(value, i32.const(mask));
const pageNumber = (address: I64): I64 => i64.shrU(address, i64.const(12));

/** Whether a physical page, by its number, is in RAM and PMP lets S and U do everything there: see Pmp.publish. */
function isOpen(base: I32, page: I64): I32 {
  return i64.ltU(i64.sub(page, i64.load(base, OFFSET.openFrom)), i64.load(base, OFFSET.openPages));
}

/** Address in wasm memory of a physical page of RAM. */
const ramAddress = (base: I32, page: I64): I32 =>
  i32.add(i32.wrap(i64.shl(page, i64.const(12))), i32.load(base, OFFSET.ramAddend));

/**
 * walk(stateBase, address, access, mode of TLB.contexts): address in wasm memory of the leaf, 0 when the host is needed.
 * Its level is in OFFSET.walkLevel then, and the number of the physical page in OFFSET.walkPage.
 */
function defineWalk(body: Body): void {
  const base = body.parameter(0, 'i32');
  const address = body.parameter(1, 'i64');
  const satp = body.keep(i64.load(base, OFFSET.satp));
  const mode = body.keep(i32.wrap(i64.shrU(satp, i64.const(60))));
  const giveUpIf = (condition: I32): void => body.if(condition, () => body.return(i32.const(0)));
  // satp.MODE 8, 9, 10: Sv39, Sv48, Sv57 with 3, 4, 5 levels. No other mode is ever in the register but 0.
  giveUpIf(i32.eqz(mode));
  const shift = body.local('i32', i32.mul(i32.sub(mode, i32.const(5)), i32.const(9)));
  const unused = body.keep(i64.extendU(i32.sub(i32.const(64 - 12), shift)));
  giveUpIf(i64.ne(i64.shrS(i64.shl(address, unused), unused), address));
  const table = body.local('i64', i64.and(satp, i64.const(PPN_BITS)));
  const place = body.local('i32');
  const entry = body.local('i64');
  body.loop((down) => {
    body.set(shift, i32.sub(shift, i32.const(9)));
    giveUpIf(i32.or(i32.ltS(shift, i32.const(0)), i32.eqz(isOpen(base, table))));
    const index = i32.wrap(i64.shrU(pageNumber(address), i64.extendU(shift)));
    body.set(place, i32.add(ramAddress(base, table), i32.shl(masked(index, 511), i32.const(3))));
    body.set(entry, i64.atomicLoad(place));
    giveUpIf(i64.ne(i64.shrU(entry, i64.const(PTE.reserved)), i64.const(0)));
    giveUpIf(i32.eqz(masked(i32.wrap(entry), PTE.V)));
    body.set(table, i64.and(i64.shrU(entry, i64.const(10)), i64.const(PPN_BITS)));
    const inner = i32.eqz(masked(i32.wrap(entry), PTE.R | PTE.W | PTE.X));
    body.if(inner, () => {
      giveUpIf(masked(i32.wrap(entry), PTE.A | PTE.D | PTE.U));
      body.br(down);
    });
  });
  checkLeaf(body, i32.wrap(entry), giveUpIf);
  const within = body.keep(i64.sub(i64.shl(i64.const(1), i64.extendU(shift)), i64.const(1)));
  giveUpIf(i64.ne(i64.and(table, within), i64.const(0)));
  const page = body.keep(i64.or(table, i64.and(pageNumber(address), within)));
  giveUpIf(i32.eqz(isOpen(base, page)));
  body.store('i32', base, shift, OFFSET.walkLevel);
  body.store('i64', base, page, OFFSET.walkPage);
  body.return(place);
  body.unreachable();
}

/** Permissions, and that nothing needs to be marked. */
function checkLeaf(body: Body, leaf: I32, giveUpIf: (condition: I32) => void): void {
  const access = body.parameter(2, 'i32');
  const mode = body.parameter(3, 'i32');
  const { read, write } = ACCESS;
  const needed = select(
    i32.eq(access, i32.const(read)),
    i32.const(PTE.R | PTE.A),
    select(i32.eq(access, i32.const(write)), i32.const(PTE.R | PTE.W | PTE.A | PTE.D), i32.const(PTE.X | PTE.A)),
  );
  const wants = body.keep(needed);
  giveUpIf(i32.ne(i32.and(leaf, wants), wants));
  // W without R is reserved; what is written or read has R in `wants`.
  giveUpIf(i32.eq(masked(leaf, PTE.R | PTE.W), i32.const(PTE.W)));
  const userPage = i32.ne(masked(leaf, PTE.U), i32.const(0));
  const wrong = i32.eq(userPage, i32.ne(mode, i32.const(TLB.contexts.user)));
  giveUpIf(i32.and(wrong, i32.ne(mode, i32.const(TLB.contexts.supervisorUserMemory))));
}

/** A list of a TLB's entries: see WALK and FETCHED. */
interface Noted {
  readonly count: number;
  readonly most: number;
  readonly entries: number;
}

const FILLED: Noted = { count: WALK.filledCount, most: WALK.filledMost, entries: WALK.filled };

function noteEntry(body: Body, base: I32, entry: I32, { count, most, entries }: Noted): void {
  const noted = body.keep(i32.load(base, count));
  body.if(i32.ltU(noted, i32.const(most)), () => {
    body.store('i32', i32.add(base, i32.shl(noted, i32.const(2))), entry, entries);
    body.store('i32', base, i32.add(noted, i32.const(1)), count);
  });
}

/** Empties those that were noted, or, where they were too many, whatever `all` does; then returns. */
function flushNoted(body: Body, base: I32, { count, most, entries }: Noted, all: () => void): void {
  const noted = body.keep(i32.load(base, count));
  body.store('i32', base, i32.const(0), count);
  body.if(i32.geU(noted, i32.const(most)), () => {
    all();
    body.returnVoid();
  });
  const at = body.local('i32', base);
  const end = body.keep(i32.add(base, i32.shl(noted, i32.const(2))));
  body.block((done) => {
    body.loop((again) => {
      body.brIf(i32.geU(at, end), done);
      body.store('i64', i32.load(at, entries), i64.const(-1));
      body.set(at, i32.add(at, i32.const(4)));
      body.br(again);
    });
  });
}

/** flushExecute(stateBase): see TlbControl.flushExecute. */
function defineFlushExecute(body: Body): void {
  const base = body.parameter(0, 'i32');
  flushNoted(body, base, FETCHED, () => {
    const tables = i32.add(base, i32.const(TLB.executeTable(0)));
    body.fill(tables, i32.const(0xff), i32.const(3 * TLB.executeEntries * TLB.entryBytes));
  });
}

/** Writes an entry of a TLB, and notes that it was. */
function fill(body: Body, base: I32, entry: Local<'i32'>, address: I64, words: { addend: I32; around?: I32 }): void {
  body.store('i64', entry, i64.and(address, i64.const(-4096)));
  body.store('i32', entry, words.addend, 8);
  body.store('i32', entry, words.around ?? i32.const(0), 12);
  noteEntry(body, base, entry, FILLED);
  if (words.around === undefined) noteEntry(body, base, entry, FETCHED);
  const page = i32.shrU(i32.wrap(address), i32.const(12));
  if (words.around === undefined) noteSpoken(body, base, SPOKEN.code, page, i32.const(1));
  else {
    const around = body.keep(i32.load(entry, 12));
    const before = body.keep(masked(around, 0xffff));
    const count = body.keep(i32.add(i32.add(before, i32.shrU(around, i32.const(16))), i32.const(1)));
    body.if(i32.leU(count, i32.const(2 * TLB.mergedSmall + 1)), () =>
      noteSpoken(body, base, SPOKEN.data, i32.sub(page, before), count),
    );
  }
}

/** Sets the bits of `count` pages (below 64) from `page` on: see SPOKEN. */
function noteSpoken(body: Body, base: I32, bits: number, page: I32, count: I32): void {
  const first = body.keep(masked(page, SPOKEN.pages - 1));
  const shift = body.keep(i64.extendU(masked(first, 63)));
  const mask = body.keep(i64.sub(i64.shl(i64.const(1), i64.extendU(count)), i64.const(1)));
  const word = body.local('i32', i32.shrU(first, i32.const(6)));
  const or = (value: I64): void => {
    const at = body.keep(i32.add(base, i32.shl(word, i32.const(3))));
    body.store('i64', at, i64.or(i64.load(at, bits), value), bits);
  };
  or(i64.shl(mask, shift));
  body.set(word, masked(i32.add(word, i32.const(1)), SPOKEN.pages / 64 - 1));
  or(i64.shrU(i64.shrU(mask, i64.const(1)), i64.sub(i64.const(63), shift)));
}

/** Whether a page's bit is set, as a number of 0 or 1. */
function isSpoken(base: I32, bits: number, page: I32): I32 {
  const byte = i32.add(base, i32.shrU(masked(page, SPOKEN.pages - 1), i32.const(3)));
  return masked(i32.shrU(i32.load8U(byte, bits), masked(page, 7)), 1);
}

function defineFillData(body: Body, walk: Declared, note: Declared): void {
  const base = body.parameter(0, 'i32');
  const address = body.parameter(1, 'i64');
  const writing = body.parameter(2, 'i32');
  const read = i32.load(base, OFFSET.tlbRead);
  const context = body.keep(
    i32.shrU(i32.sub(read, i32.add(base, i32.const(TLB.readTable(0)))), i32.const(Math.log2(2 * TLB.tableBytes))),
  );
  body.if(i32.eq(context, i32.const(TLB.contexts.machine)), () => body.return(i32.const(0)));
  const table = select(writing, i32.load(base, OFFSET.tlbWrite), i32.load(base, OFFSET.tlbRead));
  const index = dataIndex(address);
  const entry = body.keep(i32.add(table, index));
  // There already, so the access is one that never hits.
  const known = i64.eq(i64.load(entry), i64.and(address, i64.const(-4096)));
  body.if(known, () => body.return(i32.const(0)));
  const leaf = body.keep(body.call('i32', walk, base, address, i32.ne(writing, i32.const(0)), context));
  body.if(i32.eqz(leaf), () => body.return(i32.const(0)));
  countEvent(body, base, EVENT.tlbMisses);
  const page = body.keep(i64.load(base, OFFSET.walkPage));
  const around = emitAround(body, base, { leaf, page, address }, note);
  const addend = i32.sub(ramAddress(base, page), masked(i32.wrap(address), -4096));
  fill(body, base, entry, address, { addend, around });
  body.return(i32.const(1));
  body.unreachable();
}

/** See TLB: how many pages around are translated and protected the same way, as a word. */
function emitAround(
  body: Body,
  base: Local<'i32'>,
  found: { leaf: Local<'i32'>; page: Local<'i64'>; address: I64 },
  note: Declared,
): I32 {
  const { leaf, page, address } = found;
  const level = i64.extendU(i32.load(base, OFFSET.walkLevel));
  const pages = body.keep(i64.shl(i64.const(1), level));
  const inLeaf = body.keep(i64.and(pageNumber(address), i64.sub(pages, i64.const(1))));
  const large = body.keep(i64.gtU(pages, i64.const(1)));
  const most = body.keep(select(large, i32.const(TLB.mergedLarge), i32.const(TLB.mergedSmall)));
  const down = i64.mul(emitNeighbours(body, leaf, pages, most, -1), pages);
  const up = i64.mul(emitNeighbours(body, leaf, pages, most, 1), pages);
  const toStart = i64.sub(page, i64.load(base, OFFSET.openFrom));
  const toEnd = i64.sub(i64.sub(i64.load(base, OFFSET.openPages), toStart), i64.const(1));
  const before = body.keep(least(body, i64.add(inLeaf, down), toStart));
  const after = body.keep(least(body, i64.add(i64.sub(i64.sub(pages, i64.const(1)), inLeaf), up), toEnd));
  body.if(large, () => {
    const own = pageNumber(address);
    body.callVoid(note, base, i64.sub(own, before), i64.add(own, after));
  });
  return i32.or(i32.wrap(before), i32.shl(i32.wrap(after), i32.const(16)));
}

/** The least of two and of what fits into a TLB entry. */
function least(body: Body, a: I64, b: I64): I64 {
  const [x, y] = [body.keep(a), body.keep(b)];
  const smaller = body.keep(select(i64.ltU(x, y), x, y));
  return select(i64.ltU(smaller, i64.const(0xffff)), smaller, i64.const(0xffff));
}

/** As Mmu.neighbours, but at most `most`. */
function emitNeighbours(body: Body, leaf: Local<'i32'>, pages: I64, most: I32, step: 1 | -1): I64 {
  const count = body.local('i64', i64.const(0));
  const place = body.local('i32', leaf);
  const left = masked(i32.shrU(leaf, i32.const(3)), 511);
  const inTable = body.keep(step === 1 ? i32.sub(i32.const(511), left) : left);
  const limit = body.keep(i64.extendU(select(i32.ltU(inTable, most), inTable, most)));
  const shape = (at: I32): I64 => i64.and(i64.load(at), i64.const(~PTE.RSW));
  const stride = i64.mul(i64.shl(pages, i64.const(10)), i64.const(step));
  const expected = body.local('i64', shape(leaf));
  body.block((end) => {
    body.loop((again) => {
      body.brIf(i64.geU(count, limit), end);
      body.set(place, i32.add(place, i32.const(step * 8)));
      body.set(expected, i64.add(expected, stride));
      body.brIf(i64.ne(shape(place), expected), end);
      body.set(count, i64.add(count, i64.const(1)));
      body.br(again);
    });
  });
  return count;
}

function defineFillExecute(
  body: Body,
  { walk, note, equal }: { walk: Declared; note: Declared; equal: Declared },
): void {
  const base = body.parameter(0, 'i32');
  const address = body.parameter(1, 'i64');
  const mode = body.keep(i32.load(base, OFFSET.privilege));
  const giveUpIf = (condition: I32): void => body.if(condition, () => body.return(i32.const(0)));
  giveUpIf(i32.eq(mode, i32.const(3)));
  giveUpIf(i32.eqz(body.call('i32', walk, base, address, i32.const(ACCESS.execute), mode)));
  const page = body.keep(i64.load(base, OFFSET.walkPage));
  const slot = body.local('i32');
  body.block((found) => {
    const place = i32.add(base, i32.shl(masked(i32.wrap(page), PLACES.entries - 1), i32.const(2)));
    body.set(slot, i32.load(place, PLACES.slots));
    giveUpIf(i32.eqz(slot));
    lookAtSlot(body, { base, slot, page, equal }, found);
    body.return(i32.const(0));
  });
  countEvent(body, base, EVENT.fetchMisses);
  const pages = body.keep(i64.shl(i64.const(1), i64.extendU(i32.load(base, OFFSET.walkLevel))));
  body.if(i64.gtU(pages, i64.const(1)), () => {
    const first = body.keep(i64.and(pageNumber(address), i64.sub(i64.const(0), pages)));
    body.callVoid(note, base, first, i64.add(first, i64.sub(pages, i64.const(1))));
  });
  const entry = body.keep(i32.add(i32.load(base, OFFSET.tlbExecute), executeIndex(address)));
  fill(body, base, entry, address, { addend: slot });
  body.return(i32.const(1));
  body.unreachable();
}

/** To `found` when the slot holds the page, and its copy is as memory is: compared once for each value of OFFSET.fences. */
function lookAtSlot(
  body: Body,
  { base, slot, page, equal }: { base: I32; slot: Local<'i32'>; page: I64; equal: Declared },
  found: Label,
): void {
  body.if(f64.eq(f64.load(slot, DECODE.page), f64.convertI64U(page)), () => {
    const fences = body.keep(i32.load(base, OFFSET.fences));
    body.brIf(i32.eq(i32.load(slot, DECODE.compared), fences), found);
    const copy = i32.add(slot, i32.const(DECODE.copy));
    const same = body.call('i32', equal, copy, ramAddress(base, page), i32.const(4096));
    body.if(same, () => {
      body.store('i32', slot, fences, DECODE.compared);
      body.br(found);
    });
  });
}

/** note(stateBase, first page, last page): entries of the TLBs speak for these virtual pages together: see LARGE. */
function defineNote(body: Body): void {
  const base = body.parameter(0, 'i32');
  const [first, last] = [body.parameter(1, 'i64'), body.parameter(2, 'i64')];
  const count = body.keep(i32.load(base, LARGE.count));
  const index = body.local('i32', i32.const(0));
  const at = body.local('i32', base);
  body.block((unknown) => {
    body.loop((again) => {
      body.brIf(i32.geU(index, count), unknown);
      const covered = i32.and(
        i64.leU(i64.load(at, LARGE.ranges), first),
        i64.geU(i64.load(at, LARGE.ranges + 8), last),
      );
      body.if(covered, () => body.returnVoid());
      body.set(index, i32.add(index, i32.const(1)));
      body.set(at, i32.add(at, i32.const(16)));
      body.br(again);
    });
  });
  body.if(
    i32.ltU(count, i32.const(LARGE.most)),
    () => {
      body.store('i64', at, first, LARGE.ranges);
      body.store('i64', at, last, LARGE.ranges + 8);
      body.store('i32', base, i32.add(count, i32.const(1)), LARGE.count);
    },
    () => {
      // Too many: the last one grows to hold this one too.
      body.set(at, i32.add(base, i32.const((LARGE.most - 1) * 16)));
      const [from, to] = [body.keep(i64.load(at, LARGE.ranges)), body.keep(i64.load(at, LARGE.ranges + 8))];
      body.store('i64', at, select(i64.ltU(from, first), from, first), LARGE.ranges);
      body.store('i64', at, select(i64.gtU(to, last), to, last), LARGE.ranges + 8);
    },
  );
}

const { user, supervisor, supervisorUserMemory } = TLB.contexts;
const TRANSLATED = [user, supervisor, supervisorUserMemory];

/** flushTlb(stateBase): see TlbControl.flushTranslations. What was filled since the last time, if that was noted. */
function defineFlush(body: Body): void {
  const base = body.parameter(0, 'i32');
  body.store('i32', base, i32.const(0), LARGE.count);
  body.fill(i32.add(base, i32.const(SPOKEN.data)), i32.const(0), i32.const(2 * SPOKEN.bytes));
  flushNoted(body, base, FILLED, () => {
    for (const context of TRANSLATED) {
      const table = i32.add(base, i32.const(TLB.readTable(context)));
      body.fill(table, i32.const(0xff), i32.const(2 * TLB.tableBytes));
    }
    const execute = i32.add(base, i32.const(TLB.executeTable(user)));
    body.fill(execute, i32.const(0xff), i32.const(2 * TLB.executeEntries * TLB.entryBytes));
  });
}

/**
 * flushTlbPage(stateBase, low, high): forgets one virtual page, or everything when it is one of LARGE. Other entries that
 * speak for it lie at most TLB.mergedSmall pages away. Gives what of SPOKEN has known it.
 */
function defineFlushPage(body: Body, flushTlb: Declared): void {
  const base = body.parameter(0, 'i32');
  const low = body.parameter(1, 'i32');
  const high = i64.shl(i64.extendU(body.parameter(2, 'i32')), i64.const(20));
  const page = body.keep(i64.or(high, i64.extendU(i32.shrU(low, i32.const(12)))));
  const at = body.local('i32', base);
  const end = body.keep(i32.add(base, i32.shl(i32.load(base, LARGE.count), i32.const(4))));
  body.block((small) => {
    body.loop((again) => {
      body.brIf(i32.geU(at, end), small);
      const from = i64.load(at, LARGE.ranges);
      const to = i64.load(at, LARGE.ranges + 8);
      body.if(i32.and(i64.geU(page, from), i64.leU(page, to)), () => {
        body.callVoid(flushTlb, base);
        body.return(i32.const(SPOKEN.dataBit | SPOKEN.codeBit));
      });
      body.set(at, i32.add(at, i32.const(16)));
      body.br(again);
    });
  });
  const data = body.keep(isSpoken(base, SPOKEN.data, i32.wrap(page)));
  const code = body.keep(isSpoken(base, SPOKEN.code, i32.wrap(page)));
  body.if(data, () => flushData(body, base, page));
  body.if(code, () => {
    const fetch = masked(i32.wrap(page), TLB.executeEntries - 1);
    body.set(at, i32.add(base, i32.shl(fetch, i32.const(Math.log2(TLB.entryBytes)))));
    for (const context of [user, supervisor]) body.store('i64', at, i64.const(-1), TLB.executeTable(context));
  });
  body.return(i32.or(i32.mul(data, i32.const(SPOKEN.dataBit)), i32.mul(code, i32.const(SPOKEN.codeBit))));
  body.unreachable();
}

/** The entries of loads and stores that may speak for a page. */
function flushData(body: Body, base: I32, page: I64): void {
  const at = body.local('i32');
  const distance = body.local('i32', i32.const(-TLB.mergedSmall));
  body.loop((again) => {
    const near = i32.add(i32.wrap(page), distance);
    const index = body.keep(i32.shl(masked(near, TLB.entries - 1), i32.const(Math.log2(TLB.entryBytes))));
    body.set(at, i32.add(base, index));
    for (const context of TRANSLATED) {
      body.store('i64', at, i64.const(-1), TLB.readTable(context));
      body.store('i64', at, i64.const(-1), TLB.writeTable(context));
    }
    body.set(distance, i32.add(distance, i32.const(1)));
    body.brIf(i32.leS(distance, i32.const(TLB.mergedSmall)), again);
  });
}
