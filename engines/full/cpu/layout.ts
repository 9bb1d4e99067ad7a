/**
 * Where everything about one hart lies in the machine's shared memory, below guest RAM.
 * All state is here, so that any thread can see it and a snapshot is a copy; what the interpreter
 * keeps in its own parameters (instruction pointer, instructions left in the slice) is written back
 * before anything outside of it runs.
 */

/** Guest-physical address of the first byte of RAM, as on QEMU's `virt`. */
export const RAM_BASE = 0x8000_0000;

/** Byte offsets from the hart's `stateBase`. `…64` fields are little-endian 64-bit words. */
export const OFFSET = {
  /** x0 to x31; x0 is always 0. Word 32 takes what is written to x0. */
  x: 0x000,
  f: 0x110,
  pc: 0x210,

  /** irqLines: bits as in mip, set and cleared by any thread with atomics. */
  irqLines: 0x218,
  /** Not 0: the hart must look at irqLines and stop before it goes on. Set by any thread, after the cause. */
  attention: 0x21c,
  /** Not 0: run() returns Stopped. Set by any thread. */
  stop: 0x220,
  /** 0 U, 1 S, 3 M. */
  privilege: 0x224,

  /** The interpreter's instruction pointer (an address in the decode cache) and slice counter, when written back. */
  ip: 0x228,
  count: 0x22c,
  /** The page that is executing: its slot in the decode cache, and its virtual address. */
  slot: 0x230,
  /** Why run() must return (HartExit + 1), or 0. */
  exit: 0x234,
  slotPage: 0x238,
  /** Addresses (in wasm memory) of the TLBs that count now: read, write, execute. */
  tlbRead: 0x240,
  tlbWrite: 0x244,
  tlbExecute: 0x248,
  /** 0 while mstatus.FS is Off: floating-point instructions are illegal. */
  fpEnabled: 0x24c,
  /** Not 0: FS has become Dirty since mstatus was written. */
  fpDirty: 0x250,
  /** Accrued exceptions (fcsr bits 4:0) and dynamic rounding mode (bits 7:5 as a number 0 to 7). */
  fflags: 0x254,
  frm: 0x258,
  /** Operand and result of calls out of the interpreter: one 64-bit word, and an instruction decoded for one use. */
  value: 0x260,
  scratchOp: 0x268,

  /** LR/SC: address in wasm memory that is reserved (0: none) and the value that was read. */
  reservation: 0x270,
  pauses: 0x274,
  reservedValue: 0x278,

  mstatus: 0x280,
  medeleg: 0x288,
  mideleg: 0x290,
  mie: 0x298,
  /** The bits of mip that software has set; reading mip combines them with irqLines. */
  mipSoft: 0x2a0,
  mtvec: 0x2a8,
  mscratch: 0x2b0,
  mepc: 0x2b8,
  mcause: 0x2c0,
  mtval: 0x2c8,
  mcounteren: 0x2d0,
  stvec: 0x2e0,
  sscratch: 0x2e8,
  sepc: 0x2f0,
  scause: 0x2f8,
  stval: 0x300,
  scounteren: 0x308,
  satp: 0x310,
  /** Retired instructions up to the start of the slice (a double); the slice adds (its length - count). */
  instret: 0x318,
  cycleDelta: 0x320,
  menvcfg: 0x328,
  senvcfg: 0x330,
  pmpcfg: 0x338,
  pmpaddr: 0x348,
  /** Length of the current slice, and instructions that the budget still has beyond it. */
  sliceLength: 0x3c8,
  budget: 0x3cc,
  instretDelta: 0x3d0,
  /** Not 0: the instruction must be interpreted, though it may be the first of a translated region. */
  once: 0x3f4,
  /** Changes whenever translations may have. */
  epoch: 0x3f8,
  /** Event counters, doubles: see EVENT. */
  events: 0x400,

  /** Address (in wasm memory) of the jump table that counts now: see JUMP. */
  jumps: 0xe00,
  /** Changes whenever copies of code must be compared with memory before they are believed. */
  fences: 0xe38,
  /** Record of the region that the slice ended in, or 0, and the virtual address that it was entered at. */
  region: 0xe3c,
  regionPc: 0xe40,
  /** Slices until the host samples one. */
  unsampled: 0xe48,
  /** Ways from a region to where none is known to begin, until the host samples one. */
  unsampledMisses: 0xe4c,
  /** Record of a region whose code has changed, or 0: boundary() drops it. */
  dead: 0xe34,
  /** Not 0: the compiler has answered. Set by its thread. */
  compiled: 0xe30,
  /** Changes whenever code may lie elsewhere, or a region may be gone: entries of jump tables count for one value of it. */
  codeEpoch: 0xe04,
  /** What makes an address in wasm memory of a physical one. */
  ramAddend: 0xe08,
  /** What walk() found: log2 of the pages that its leaf maps, and the number of the physical page. */
  walkLevel: 0xe0c,
  walkPage: 0xe10,
  /** Physical pages of RAM, by number, where PMP lets S and U do everything: the first, and how many. */
  openFrom: 0xe18,
  openPages: 0xe20,
  /** The supervisor's timer (Sstc). */
  stimecmp: 0xe28,

  /** TLBs: for each context read, write; then execute. See TLB. */
  tlb: 0x1000,
  decode: 0x1_4000,
} as const;

/** Index of each event counter in OFFSET.events. */
export const EVENT = {
  exceptions: 0,
  interrupts: 1,
  mmioReads: 2,
  mmioWrites: 3,
  tlbMisses: 4,
  fetchMisses: 5,
  pagesDecoded: 6,
  instructionsDecoded: 7,
  csrAccesses: 8,
  fpSlowPaths: 9,
  tlbFlushes: 10,
  wfi: 11,
  translations: 12,
  rangeMisses: 13,
  regionEntries: 14,
  regionInterprets: 15,
  regionChains: 16,
  /** Instructions that translated code has executed. */
  translatedInstructions: 17,
  /** Interrupts by cause 1, 3, 5, 7, 9 and 11. */
  interruptsSsip: 18,
  interruptsMsip: 19,
  interruptsStip: 20,
  interruptsMtip: 21,
  interruptsSeip: 22,
  interruptsMeip: 23,
} as const;

/** Bits of irqLines, as in mip (privileged specification, 3.1.9). */
export const IRQ = { SSIP: 1 << 1, MSIP: 1 << 3, STIP: 1 << 5, MTIP: 1 << 7, SEIP: 1 << 9, MEIP: 1 << 11 } as const;

/**
 * Direct-mapped TLBs. An entry is 16 bytes: the tag (the page's virtual address; TLB.empty when unused), then a
 * 32-bit addend that turns the low half of a virtual address into an address in wasm memory (execute: the
 * address of the page's slot in the decode cache), then (loads and stores) how many pages before it (bits 15:0) and
 * after it (31:16) have the same addend and permission. Permission is in the fact that an entry is in the table.
 */
export const TLB = {
  entries: 512,
  entryBytes: 16,
  tableBytes: 512 * 16,
  /** No page address has its low bits set. */
  empty: 0xfff,
  /** Contexts of loads and stores; fetches have the first three. */
  contexts: { user: 0, supervisor: 1, machine: 2, supervisorUserMemory: 3 },
  readTable: (context: number): number => OFFSET.tlb + context * 2 * TLB.tableBytes,
  writeTable: (context: number): number => OFFSET.tlb + (context * 2 + 1) * TLB.tableBytes,
  /** Fetches have half as many entries. */
  executeEntries: 256,
  /** Pages (large ones) on either side that an entry speaks for at most, beyond its own page's. */
  mergedSmall: 31,
  mergedLarge: 64,
  executeTable: (context: number): number => OFFSET.tlb + 8 * TLB.tableBytes + context * 256 * 16,
} as const;

/** The decode cache: slots of one physical page each. */
export const DECODE = {
  slots: 1024,
  /** One decoded instruction a half-word, and two beyond the page that lead to the next one. */
  entryBytes: 8,
  entries: 2048 + 2,
  /** The copy of the page that is decoded: what an instruction cache would hold. */
  copy: 2050 * 8,
  /** Physical page number as a double (0: free), then a 32-bit word: the value of OFFSET.fences when the copy was last compared. */
  page: 2050 * 8 + 4096,
  compared: 2050 * 8 + 4096 + 8,
  /** Counts up before and after the slot is loaded: odd meanwhile. */
  generation: 2050 * 8 + 4096 + 16,
  slotBytes: 20544,
} as const;

/**
 * Where translated code may be entered. A record holds the operation that its entry in the decode cache would have, the
 * mode that the code was made for, and the function's index in the interpreter's table. Nothing of it depends on where the
 * code's pages lie in virtual memory: only on how far they lie apart.
 */
export const REGION = {
  records: OFFSET.decode + DECODE.slots * DECODE.slotBytes,
  count: 2048,
  /** The fields, the slots and the pages. */
  bytes: 32 + 47 * 32 + 8 + 8 * 16 + 16,
  operation: 0,
  privilege: 8,
  index: 16,
  /** Address of the entry in the decode cache. */
  entry: 20,
  /** The values of OFFSET.tlbRead and OFFSET.epoch that the slots count for. */
  context: 24,
  epoch: 28,
  slots: 32,
  slotCount: 47,
  /** Counts accesses outside of their slots' ranges: now and then a slot follows. */
  turns: 32 + 47 * 32,
  /** Pages besides the first that its code was read from, and for each: bytes from the first one, slot, the slot's generation. */
  pageCount: 32 + 47 * 32 + 4,
  pages: 32 + 47 * 32 + 8,
  mostPages: 8,
  /** How often it was left by an indirect jump to where none was seen to lead to when it was made. */
  misses: 32 + 47 * 32 + 8 + 8 * 16,
  /** How often fcsr was not what the code was made for. */
  declines: 32 + 47 * 32 + 8 + 8 * 16 + 4,
  /** How often a loop was begun, or gone on with, outside of the ranges of its last accesses. */
  reaches: 32 + 47 * 32 + 8 + 8 * 16 + 8,
} as const;

/**
 * Where regions are entered from other regions, by virtual address: direct-mapped tables, one for each privilege level.
 * An entry is 16 bytes: the address, the function's index in the interpreter's table, and the value of OFFSET.codeEpoch
 * that it counts for. Address 0 is never entered so: zeroed memory holds no entries.
 */
export const JUMP = {
  entries: 1024,
  entryBytes: 16,
  index: 8,
  epoch: 12,
  /** `context`: one of TLB.contexts that fetches have. */
  table: (context: number): number => REGION.records + REGION.count * REGION.bytes + context * 1024 * 16,
} as const;

/** Ranges of virtual pages, by number, that entries of the TLBs speak for as a whole, because of large pages. */
export const LARGE = { count: JUMP.table(3), most: 8, ranges: JUMP.table(3) + 8 } as const;

/** Entries of the TLBs (addresses in wasm memory) that were filled since all were flushed; unknown when there are `filledMost`. */
export const WALK = {
  filledCount: LARGE.ranges + LARGE.most * 16,
  filledMost: 512,
  filled: LARGE.ranges + LARGE.most * 16 + 8,
} as const;

/**
 * Where indirect jumps other than returns have led to when they were interpreted, for the translator: a direct-mapped table by the address of
 * the jump's entry in the decode cache, which is the key; for each some targets (bytes from the jump's page, plus 1; 0: none).
 */
export const TARGETS = {
  entries: 1024,
  ways: 32,
  /** Ways that a target may be in: the first one's is by its address. */
  places: 4,
  keys: WALK.filled + WALK.filledMost * 4,
  targets: WALK.filled + WALK.filledMost * 4 + 1024 * 4,
} as const;

/**
 * Virtual pages that the TLBs have spoken for since all were flushed, as bits by the low bits of their numbers: for loads and
 * stores, and for fetches. Most pages that a guest flushes alone have only just been mapped: nothing knows them, and nothing
 * has to be forgotten. Pages in LARGE need not be here.
 */
export const SPOKEN = {
  pages: 16_384,
  bytes: 16_384 / 8,
  data: TARGETS.targets + TARGETS.entries * TARGETS.ways * 8,
  code: TARGETS.targets + TARGETS.entries * TARGETS.ways * 8 + 16_384 / 8,
  /** What flushTlbPage() answers. */
  dataBit: 1,
  codeBit: 2,
} as const;

/**
 * Where in the decode cache physical pages are: by the low bits of a page's number the address of the slot that may hold it,
 * or 0. Any page may be in any slot: with sets of four the paths of a fork through Linux, which are some 500 pages, drove each
 * other out, 50 pages for each process. Then the slot that is to be replaced next, by number.
 */
export const PLACES = {
  entries: 8192,
  slots: SPOKEN.code + SPOKEN.bytes,
  next: SPOKEN.code + SPOKEN.bytes + 8192 * 4,
} as const;

/**
 * Entries of the execute TLBs that were filled since these were flushed, as in WALK. Linux executes fence.i after each place in its
 * code that it patches, 40,000 times at its start, and a dozen pages of code in between.
 */
export const FETCHED = { count: PLACES.next + 4, most: 64, entries: PLACES.next + 8 } as const;

/**
 * A slot of a region: a range of virtual addresses that lies in RAM in one piece, where its code has found it last. First
 * address, how far it may be read and written (bytes, less 7, so that an access of 8 bytes fits; 0: not at all), and what
 * makes an address in wasm memory of the low half of a virtual one.
 */
export const SLOT = { bytes: 32, low: 0, read: 8, write: 16, delta: 24 } as const;

/** Bytes of shared memory that one hart needs; a multiple of 64 KiB. */
export const HART_STATE_BYTES = Math.ceil((FETCHED.entries + FETCHED.most * 4) / 65536) * 65536;
