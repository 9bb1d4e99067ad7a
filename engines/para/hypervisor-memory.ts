/**
 * The hypervisor's own memory: one SharedArrayBuffer that every vCPU thread has and no guest's module imports. All state of all
 * domains lies here (DESIGN rule 1), so any thread executes any hypercall itself, and nothing in it can be forged by a guest.
 *
 *     header   global locks
 *     queue    the I/O queue: header, slots, records of flows and devices (io-queue.ts)
 *     domain 0 (the core OS: identity only), domain 1, … domain 63, each:
 *       header | vCPUs | event channels | grants in use | frames given back | console out | console in | store
 *
 * Offsets are in 32-bit words (`word`), 64-bit floats (`f64`) or bytes (`byte`), as their names say. Float64 holds nanoseconds
 * of CLOCK_MONOTONIC exactly for 104 days of uptime, and counters for ever.
 */
import {
  BLKIF_MAX_INDIRECT_SEGMENTS,
  PARA_MAX_FRAMES,
  PARA_MAX_GRANTS,
  PARA_MAX_PORTS,
  PARA_MAX_VCPUS,
  PARA_STORE_TRANSACTIONS,
  PARA_STORE_WATCHES,
} from './abi.js';
import {
  DEFAULT_DEPTH,
  DEFAULT_PRIORITY,
  DEFAULT_WEIGHT,
  DEVICES,
  REC,
  RECORD_WORDS,
  UNLIMITED,
} from './io-queue/records.js';

export const MAX_DOMAINS = 64;

/**
 * Words of the header: locks, a cache line apart. No thread is terminated while it holds one: hypervisor.ts terminates only
 * threads that have not come out of the guest.
 */
export const LOCK_EVENTS = 16;
export const LOCK_QUEUE = 32;
/** How many watches there are on other domains' parts of the store. */
export const FOREIGN_WATCHES = 50;
/** Frames that domains may have in all, and have; -1: no limit (reservation.ts). */
export const POOL = { total: 48, taken: 49 } as const;

/**
 * The core OS (core-os/): how many threads of its own it has, whether vCPUs' threads may drive their own requests, how often its
 * block driver was started, and for each of its threads two words: bit d: domain d has something for it (DOM.coreAttention).
 */
export const CORE = { threads: 64, lending: 65, generation: 66, inbox: 80 } as const;

const HEADER_BYTES = 4096;
export const QUEUE_SLOTS = 16384;
export const QUEUE_SLOT_WORDS = 64;
const QUEUE_HEADER_BYTES = 256;
const RECORDS_AT = QUEUE_HEADER_BYTES + QUEUE_SLOTS * QUEUE_SLOT_WORDS * 4;
const FLOWS = MAX_DOMAINS * DEVICES;
const QUEUE_BYTES = RECORDS_AT + (FLOWS + DEVICES) * RECORD_WORDS * 4;
export const QUEUE_HEADER_WORD = HEADER_BYTES / 4;
export const QUEUE_SLOTS_WORD = (HEADER_BYTES + QUEUE_HEADER_BYTES) / 4;
const RECORDS_WORD = (HEADER_BYTES + RECORDS_AT) / 4;

/** Of the I/O queue's header, in words. Lists are linked through SLOT.next; -1 ends them. */
export const QUEUE = {
  /** List of free slots. */
  free: 0,
  /** Slots that wait, of all flows. */
  waiting: 1,
  /** Place in ORDERS (io-queue/order.ts). */
  order: 2,
  /** 1: somebody has a latency target, so what is finished is timed. */
  targets: 3,
  /** Bit f % 32 of word f / 32: flow f has slots that wait. */
  backlog: 4, // 4 words
  // Indices into the header's 64-bit view.
  /** Slots that were ever admitted. */
  sequence: 4, // word 8
  /** Head start of a priority class over the next, ns. */
  ageing: 5,
} as const;
export const BACKLOG_WORDS = FLOWS / 32;
/** Of a slot of the queue, in words: one request of one vCPU, copied from its ring and checked. */
export const SLOT = {
  next: 0,
  domain: 1,
  vcpu: 2,
  operation: 3,
  segments: 4,
  /** What it moves: of all segments together, or of a burst of frames. */
  bytes: 5,
  status: 6,
  idLow: 7,
  idHigh: 8,
  /** SlotState. */
  state: 9,
  /** First byte on the disk: index into the 64-bit view is (slot word + this) / 2. */
  offset: 10,
  /** When it was admitted (ns) and as which in order, 64-bit as `offset`. */
  admitted: 12,
  sequence: 14,
  /** As how many operations it counts: a burst of frames as so many. */
  operations: 16,
  /** Device (io-queue/records.ts). */
  device: 17,
  /** The next slot of the same operation of the device (requests that were merged); -1: the last. */
  together: 18,
  /** Kick slot of the thread whose driver has it; -1: none yet. */
  driver: 19,
  /** SEGMENT_WORDS each: grant reference, checked address in guest memory, bytes. */
  segment: 20,
  /** Table of its segments (core-os/segment-tables.ts), if they are more than the slot holds; -1: none. */
  table: 29,
  /** How many bytes of the disk it is about, from `offset` on, 64-bit as that one. 0: a flush, malformed, or frames. */
  extent: 30,
} as const;
export const SEGMENT_WORDS = 3;
/** begun: released by the policy; done: a driver has done it, and its answer is being written. */
export const SlotState = { free: 0, waiting: 1, begun: 2, done: 3 } as const;

/** Word of a flow's record (io-queue/records.ts); its index in the 64-bit view is half of it. */
export const flowWord = (flow: number): number => RECORDS_WORD + flow * RECORD_WORDS;
export const deviceWord = (device: number): number => flowWord(FLOWS + device);

function initialiseQueue({ i32, f64 }: HypervisorMemory): void {
  for (let slot = 0; slot < QUEUE_SLOTS; slot++) {
    i32[QUEUE_SLOTS_WORD + slot * QUEUE_SLOT_WORDS + SLOT.next] = slot + 1 < QUEUE_SLOTS ? slot + 1 : -1;
  }
  for (let flow = 0; flow < FLOWS; flow++) initialiseFlow(i32, f64, flow);
  for (let device = 0; device < DEVICES; device++) i32[deviceWord(device) + REC.limit] = DEFAULT_DEPTH;
}

/** Puts a flow's record into the state in which it was never used, with no policy. */
export function initialiseFlow(i32: Int32Array, f64: Float64Array, flow: number): void {
  const word = flowWord(flow);
  i32.fill(0, word, word + RECORD_WORDS);
  i32[word + REC.head] = -1;
  i32[word + REC.tail] = -1;
  i32[word + REC.limit] = UNLIMITED;
  i32[word + REC.priority] = DEFAULT_PRIORITY;
  f64[word / 2 + REC.weight] = DEFAULT_WEIGHT;
}

/** Of a domain's header, in words. */
export const DOM = {
  /** DomainState. */
  state: 0,
  vcpus: 1,
  /** Of its memory, populated or not: addresses end there. */
  frames: 2,
  shutdownReason: 3,
  grantTable: 4,
  grantEntries: 5,
  /** 1: the main thread has been told that console output waits. */
  consoleFlag: 6,
  inputEnded: 7,
  /** Port of VIRQ_CONSOLE, 0: unbound. */
  consolePort: 8,
  /** Counts the domains that this place has held: who remembers one can tell whether it is still the same. */
  generation: 9,
  /** 1 once an event channel has had another priority than the default. */
  prioritized: 10,
  /** Populated frames; how many it may have now, and ever. */
  populated: 11,
  allowed: 12,
  maxFrames: 13,
  /** As far as memory may have grown already, ahead of `frames`. */
  growingTo: 14,
  /** vCPUs 0 .. available - 1 may be up. */
  available: 15,
  consoleLock: 16,
  storeLock: 32,
  memoryLock: 48,
  /** Port of VIRQ_STORE, 0: unbound. */
  storePort: 33,
  /** Counts the changes of its part. */
  storeGeneration: 34,
  /** Entries that count against its quota. */
  storeEntries: 35,
  /** Watch that is looked at first for the next event. */
  watchNext: 36,
  /** Counts transactions, so that numbers do not come again soon. */
  transactions: 37,
  /** 1: its vCPUs are to stop (pause.ts). */
  paused: 38,
  /** Bit v: the core OS's own threads are to look at the block queue of vCPU v. */
  coreAttention: 39,
  /** Bit t: segment table t is in use; two words. Bit v of the third: vCPU v's block queue waits for one. */
  tables: 40,
  tableWaiters: 42,
} as const;
const DOM_HEADER_BYTES = 256;

export const DomainState = { free: 0, building: 1, running: 2, dying: 3 } as const;

/** Of a vCPU, in words. */
export const VCPU = {
  /** VcpuState. */
  state: 0,
  /** Of its IoContext, for kicks. */
  kickSlot: 1,
  /** Kernel's thread id, for its CPU clock; 0: unknown. */
  tid: 2,
  initialised: 3,
  stackPointer: 4,
  tls: 5,
  arg: 6,
  /** Address of its vcpu_info; 0: none. */
  info: 7,
  /** Port of VIRQ_TIMER, 0: unbound. */
  timerPort: 8,
  /** Back ends that another thread wants run here: bit 0 block, bit 1 network. */
  attention: 9,
  /** Singly linked list of I/O queue slots that the policy released and this vCPU's thread must start; -1: empty. */
  readyHead: 10,
  readyTail: 11,
  /** 1 once the thread has left the guest for good and has given its host resources back. */
  gone: 12,
  /** Set by the main thread when it has answered (foreign-memory.ts). */
  reply: 13,
  /** Odd while its thread changes its run-state accounts (runstate.ts). */
  runstateEpoch: 14,
  /** Bit w: pending[w] is not empty. */
  pendingSelector: 15,
  pending: 16, // 32 words
  blk: 48, // BackEndRing
  tx: 56,
  rx: 64,
  /** As readyHead and readyTail, of bursts of frames. */
  burstHead: 72,
  burstTail: 73,
  /** Frames of the tx ring that the queue's slots stand for. */
  burstFrames: 74,
  // Indices into the vCPU's 64-bit view.
  /** The next of both timers is due; 0: none runs. */
  timerF64: 40, // word 80
  countersF64: 48, // word 96; COUNTER_COUNT of them, up to word 212 at most
  singleshotF64: 106, // word 212
  periodicF64: 107,
  periodF64: 108,
  runstateF64: 109, // word 218: RUNSTATE_F64
  /** CPU time that its thread had when it began to serve it, nanoseconds. */
  cpuBaseF64: 117, // word 234
  /** 1: its thread waits for VCPUOP_up, and does what its queues need meanwhile. */
  parked: 254,
  /** Address of its registered vcpu_runstate_info; 0: none. */
  runstateArea: 255,
  /** CORE.generation at which its thread's block driver was started last. */
  driverGeneration: 253,
  /** Of a core OS thread: StopRequest (core-os/core-thread.ts). */
  stop: 252,
} as const;
export const VCPU_WORDS = 256;
/** Of VCPU.runstateF64: nanoseconds. Sums are of the times before `since`. */
export const RUNSTATE_F64 = {
  since: 0,
  upSince: 1,
  running: 2,
  runnable: 3,
  blocked: 4,
  offline: 5,
  cpu: 6,
  delay: 7,
} as const;
/** Of a ring as a back end holds it, in words: nothing of this is ever read from guest memory again. */
export const RING = { address: 0, reqCons: 1, rspProd: 2, port: 3, gref: 4, connected: 5, lock: 6 } as const;

export const VcpuState = { offline: 0, starting: 1, running: 2, blocked: 3 } as const;

export const CONSOLE_OUT_BYTES = 65536;
export const CONSOLE_IN_BYTES = 8192;
/** Of a console ring's header, in words: free-running byte counters. */
export const CONSOLE = { produced: 0, consumed: 1, data: 16 } as const;

/** Of a domain's part of the store (store/): entries, watches, transactions. */
export const STORE_ENTRIES = 512;
export const STORE_ENTRY_BYTES = 592;
export const WATCH_WORDS = 40;

/** Bytes from the start of a domain. */
const VCPUS_AT = DOM_HEADER_BYTES;
const EVENTS_AT = VCPUS_AT + PARA_MAX_VCPUS * VCPU_WORDS * 4;
const GRANTS_AT = EVENTS_AT + PARA_MAX_PORTS * 4;
const BALLOON_AT = GRANTS_AT + PARA_MAX_GRANTS * 4;
const CONSOLE_OUT_AT = BALLOON_AT + PARA_MAX_FRAMES / 8;
const CONSOLE_IN_AT = CONSOLE_OUT_AT + CONSOLE.data * 4 + CONSOLE_OUT_BYTES;
const STORE_AT = CONSOLE_IN_AT + CONSOLE.data * 4 + CONSOLE_IN_BYTES;
const WATCHES_AT = STORE_AT + STORE_ENTRIES * STORE_ENTRY_BYTES;
const TRANSACTIONS_AT = WATCHES_AT + PARA_STORE_WATCHES * WATCH_WORDS * 4;
const OVERLAPS_AT = TRANSACTIONS_AT + PARA_STORE_TRANSACTIONS * 8;
/** Of core-os/overlaps.ts: 16-bit counters of what is in flight, and of what of it writes. */
export const OVERLAP_ENTRIES = 4096;
const DOMAIN_END = OVERLAPS_AT + 2 * OVERLAP_ENTRIES * 2;
const DOMAIN_BYTES = Math.ceil(DOMAIN_END / 4096) * 4096;
const DOMAINS_BYTE = Math.ceil((HEADER_BYTES + QUEUE_BYTES) / 4096) * 4096;

/** Segments of indirect requests: so many tables a domain, behind all domains. */
export const SEGMENT_TABLES = 64;
const TABLE_BYTES = BLKIF_MAX_INDIRECT_SEGMENTS * SEGMENT_WORDS * 4;
const TABLES_BYTE = DOMAINS_BYTE + MAX_DOMAINS * DOMAIN_BYTES;

export const HYPERVISOR_MEMORY_BYTES = TABLES_BYTE + MAX_DOMAINS * SEGMENT_TABLES * TABLE_BYTES;

/** Views on the hypervisor's memory, and where the parts of a domain lie in them. */
export class HypervisorMemory {
  readonly i32: Int32Array;
  readonly f64: Float64Array;
  readonly u8: Uint8Array;
  readonly u16: Uint16Array;

  constructor(readonly buffer: SharedArrayBuffer) {
    this.i32 = new Int32Array(buffer);
    this.f64 = new Float64Array(buffer);
    this.u8 = new Uint8Array(buffer);
    this.u16 = new Uint16Array(buffer);
  }

  static create(): HypervisorMemory {
    const memory = new HypervisorMemory(new SharedArrayBuffer(HYPERVISOR_MEMORY_BYTES));
    initialiseQueue(memory);
    memory.i32[POOL.total] = -1;
    memory.i32[CORE.lending] = 1;
    memory.i32[CORE.generation] = 1;
    return memory;
  }

  domainWord(domain: number): number {
    return (DOMAINS_BYTE + domain * DOMAIN_BYTES) / 4;
  }

  vcpuWord(domain: number, vcpu: number): number {
    return this.domainWord(domain) + VCPUS_AT / 4 + vcpu * VCPU_WORDS;
  }

  /** Index into f64 of the vCPU's first 64-bit field. */
  vcpuF64(domain: number, vcpu: number): number {
    return this.vcpuWord(domain, vcpu) / 2;
  }

  /** Word of the event channel: see event-channels.ts. */
  channelWord(domain: number, port: number): number {
    return this.domainWord(domain) + EVENTS_AT / 4 + port;
  }

  /** Word that counts the uses of a grant by requests in flight. */
  grantWord(domain: number, ref: number): number {
    return this.domainWord(domain) + GRANTS_AT / 4 + ref;
  }

  /** Bit f % 32 of word f / 32: frame f was given back. */
  balloonWord(domain: number): number {
    return this.domainWord(domain) + BALLOON_AT / 4;
  }

  consoleOutWord(domain: number): number {
    return this.domainWord(domain) + CONSOLE_OUT_AT / 4;
  }

  consoleInWord(domain: number): number {
    return this.domainWord(domain) + CONSOLE_IN_AT / 4;
  }

  storeByte(domain: number): number {
    return DOMAINS_BYTE + domain * DOMAIN_BYTES + STORE_AT;
  }

  /** Word of a watch of a domain. */
  watchWord(domain: number, watch: number): number {
    return this.domainWord(domain) + WATCHES_AT / 4 + watch * WATCH_WORDS;
  }

  /** Two words: number (0: free), generation at its start. */
  transactionWord(domain: number, slot: number): number {
    return this.domainWord(domain) + TRANSACTIONS_AT / 4 + slot * 2;
  }

  /** Word of the first segment of a segment table. */
  tableWord(domain: number, table: number): number {
    return (TABLES_BYTE + (domain * SEGMENT_TABLES + table) * TABLE_BYTES) / 4;
  }

  /** Index into u16 of the domain's overlap counters. */
  overlapsAt(domain: number): number {
    return (DOMAINS_BYTE + domain * DOMAIN_BYTES + OVERLAPS_AT) / 2;
  }

  /** Puts a domain's part into the state in which it was never used. Only while no thread of the domain lives. */
  clearDomain(domain: number): void {
    const start = this.domainWord(domain);
    const generation = this.i32[start + DOM.generation];
    this.i32.fill(0, start, start + DOMAIN_BYTES / 4);
    this.i32[start + DOM.generation] = generation + 1;
    for (let vcpu = 0; vcpu < PARA_MAX_VCPUS; vcpu++) {
      const word = this.vcpuWord(domain, vcpu);
      this.i32[word + VCPU.readyHead] = -1;
      this.i32[word + VCPU.readyTail] = -1;
      this.i32[word + VCPU.burstHead] = -1;
      this.i32[word + VCPU.burstTail] = -1;
    }
  }
}
