/**
 * A domain as the hypervisor's main thread keeps it: its threads, its console, its watchdog. Nothing of this is needed for a
 * hypercall; it is what Xen leaves to the toolstack.
 */
import { wantHugePages } from '../backends/huge-pages.js';
import type { KickArea } from '../backends/kick.js';
import { createFlowMemory } from '../backends/user-network.js';
import { createThreadGroup } from '../process/cgroup.js';
import {
  BLKIF_MAX_INDIRECT_SEGMENTS,
  PARA_FRAME_BYTES,
  PARA_HANG_CPU_MS,
  PARA_MAX_FRAMES,
  PARA_MAX_VCPUS,
  SHUTDOWN_crash,
  SHUTDOWN_poweroff,
} from './abi.js';
import { consoleDrain, consoleFeed, RECORD_DOORBELL } from './console.js';
import type { CoreOs } from './core-os/core-os.js';
import { type DiskSource, diskSource } from './core-os/disk-source.js';
import { LentDrivers } from './core-os/lent-drivers.js';
import { COUNTER_COUNT, HYPERCALL_COUNTERS, namedCounters, sumCounters } from './counters.js';
import { domainCpuSeconds, vcpuCpuSeconds } from './cpu-clock.js';
import { CpuShare } from './cpu-share.js';
import { DomainControl } from './domain-control.js';
import { shutDown } from './domain-state.js';
import { DomainThreads } from './domain-threads.js';
import { EventChannels } from './event-channels.js';
import type { MemoryAnswer } from './foreign-memory.js';
import type { HostIoShared } from './host-io.js';
import { DOM, DomainState, type HypervisorMemory, POOL, VCPU, VcpuState } from './hypervisor-memory.js';
import { IoQueue } from './io-queue.js';
import type { DomainConfig, DoorbellMessage, EndKind } from './messages.js';
import { DomainPause } from './pause.js';
import { giveToHost, giveToPool, takeFromPool } from './reservation.js';
import { beginAccounts, type Runstate, runstateOf } from './runstate.js';
import { Store } from './store.js';
import type { ThreadPool } from './thread-pool.js';
import type { FromVcpu } from './vcpu-config.js';

const WASM_PAGE = 65536;

export interface DomainParts {
  hv: HypervisorMemory;
  io: HostIoShared;
  kicker: KickArea;
  coreOs: CoreOs;
  pool: ThreadPool;
  module: WebAssembly.Module;
  /** Another domain's memory, for those whom it has granted some of it. */
  memoryOf: (domain: number) => MemoryAnswer | undefined;
  /** First of PARA_MAX_VCPUS kick slots. */
  firstSlot: number;
}

export interface DomainListener {
  output(bytes: Uint8Array): void;
  doorbell(stamp: DoorbellMessage): void;
  facts(facts: Record<string, string>): void;
  /** Its threads are gone and all it had is given back. */
  ended(reason: string, how: EndKind, counters: Record<string, number>): void;
}

export class Domain {
  private readonly events: EventChannels;
  /** Its part of the store, for the toolstack. */
  readonly store: Store;
  /** What its guest is asked to do by the store: more or fewer vCPUs, memory, shutdown. */
  readonly control: DomainControl;
  readonly pause: DomainPause;
  readonly share: CpuShare;
  /** The block drivers on its vCPUs' threads. */
  readonly drivers: LentDrivers;
  private readonly threads: DomainThreads;
  private readonly word: number;
  private readonly input: Uint8Array[] = [];
  /** Bytes of output that its reader has not taken. */
  private underWay = 0;
  private readonly watch: { calls: number; cpu: number }[] = [];
  private readonly flows: SharedArrayBuffer | undefined;
  private readonly disk: DiskSource | undefined;
  private memory: WebAssembly.Memory | undefined;
  private verdict: { reason: string; how: EndKind } | undefined;

  constructor(
    readonly id: number,
    private readonly config: DomainConfig,
    private readonly parts: DomainParts,
    private readonly listener: DomainListener,
  ) {
    this.events = new EventChannels(parts.hv, parts.kicker);
    this.store = new Store(parts.hv, id, this.events);
    this.word = parts.hv.domainWord(id);
    this.control = new DomainControl(parts.hv, id, this.store, (vcpu) => this.startThread(vcpu));
    this.threads = new DomainThreads(parts.hv, id, parts, {
      hear: (vcpu, message) => this.hear(vcpu, message),
      failed: (vcpu, reason) => this.crash(`the thread of vCPU ${vcpu} failed: ${reason}`),
      over: (tid) => this.threadEnded(tid),
    });
    this.pause = new DomainPause(parts.hv, id, parts.kicker, () => this.threads.vcpus);
    this.drivers = new LentDrivers(parts.hv, id, this.store, parts.kicker, () => this.threads.vcpus);
    this.share = new CpuShare(
      () => this.threads.tids,
      () => createThreadGroup(`${id}`),
    );
    this.disk = config.disk === undefined ? undefined : diskSource(config.disk);
    this.flows = config.mac === undefined ? undefined : createFlowMemory();
  }

  get name(): string {
    return this.config.name;
  }

  /** It has not begun to end. */
  get runs(): boolean {
    return Atomics.load(this.parts.hv.i32, this.word + DOM.state) === DomainState.running;
  }

  /** Of all its vCPUs' threads. */
  get cpuSeconds(): number {
    return domainCpuSeconds(this.parts.hv, this.id, this.maxVcpus);
  }

  private get maxVcpus(): number {
    return Math.max(this.config.vcpus, this.config.maxVcpus ?? 0);
  }

  /** Builds the domain and lets vCPU 0 run. */
  start(): void {
    const { hv } = this.parts;
    const frames = framesOf(this.config.memoryBytes);
    const maxFrames = Math.max(frames, framesOf(this.config.maxMemoryBytes ?? 0));
    checkSize(this.maxVcpus, maxFrames);
    if (!takeFromPool(hv, frames)) throw new Error(poolProblem(hv, frames));
    const memory = createMemory(frames, maxFrames, () => giveToPool(hv, frames));
    wantHugePages(memory);
    this.memory = memory;
    hv.clearDomain(this.id);
    hv.i32[this.word + DOM.vcpus] = this.maxVcpus;
    hv.i32[this.word + DOM.available] = this.config.vcpus;
    hv.i32[this.word + DOM.maxFrames] = maxFrames;
    for (const field of [DOM.frames, DOM.growingTo, DOM.populated, DOM.allowed]) hv.i32[this.word + field] = frames;
    beginAccounts(hv, this.id, this.maxVcpus);
    this.fillStore();
    hv.i32[hv.vcpuWord(this.id, 0) + VCPU.state] = VcpuState.starting;
    if (this.config.paused) this.pause.begin();
    Atomics.store(hv.i32, this.word + DOM.state, DomainState.running);
    const { disk } = this;
    if (disk !== undefined) this.parts.coreOs.serve({ domain: this.id, memory, frames, disk });
    for (let vcpu = 0; vcpu < this.config.vcpus; vcpu++) this.startThread(vcpu);
  }

  private fillStore(): void {
    const store = this.store;
    store.set('domid', String(this.id));
    store.set('name', this.config.name);
    store.set('bootargs', this.config.bootargs);
    this.control.fillStore(this.config.vcpus);
    if (this.disk !== undefined) this.describeDisk(this.disk);
    if (this.config.mac !== undefined) {
      store.set('device/vif/0/mac', this.config.mac);
      store.set('device/vif/0/multi-queue-max-queues', String(this.maxVcpus));
    }
  }

  private describeDisk({ bytes, discards }: DiskSource): void {
    const set = (key: string, value: number): void => this.store.set(`device/vbd/0/${key}`, String(value));
    set('bytes', bytes);
    set('multi-queue-max-queues', this.maxVcpus);
    set('feature-max-indirect-segments', BLKIF_MAX_INDIRECT_SEGMENTS);
    set('feature-discard', discards ? 1 : 0);
    set('feature-flush-cache', 1);
    this.drivers.tell();
  }

  /** Of a vCPU that may have one. */
  private startThread(vcpu: number): void {
    const { memory, flows, disk } = this;
    const { hostCpus, pollUs } = this.config;
    if (memory === undefined || this.threads.has(vcpu)) return;
    this.threads.start(vcpu, {
      hypervisor: this.parts.hv.buffer,
      io: this.parts.io,
      pollUs,
      module: this.parts.module,
      memory,
      frames: Atomics.load(this.parts.hv.i32, this.word + DOM.frames),
      ...(disk === undefined ? {} : { disk }),
      ...(flows === undefined ? {} : { flows }),
      ...(hostCpus === undefined ? {} : { hostCpus }),
    });
  }

  private hear(vcpu: number, message: FromVcpu): void {
    if (message.type === 'console') this.drainConsole();
    else if (message.type === 'memory') this.answerMemory(vcpu, message.domain);
    else if (message.type === 'facts') {
      this.applyShare(vcpu);
      this.listener.facts(message.facts);
    } else this.crash(message.reason);
  }

  private applyShare(vcpu: number): void {
    try {
      this.share.applyTo(this.threads.tidOf(vcpu));
    } catch (error) {
      this.crash(
        `vCPU ${vcpu} cannot be put under the domain's cap: ${error instanceof Error ? error.message : error}`,
      );
    }
  }

  /** The vCPU's thread waits in a hypercall: it takes the message when its reply word says that it is there. */
  private answerMemory(vcpu: number, domain: number): void {
    const { hv, memoryOf } = this.parts;
    const answer = memoryOf(domain);
    if (answer !== undefined) this.threads.post(vcpu, { type: 'memory', ...answer });
    const reply = hv.vcpuWord(this.id, vcpu) + VCPU.reply;
    Atomics.store(hv.i32, reply, 1);
    Atomics.notify(hv.i32, reply);
  }

  /** Its memory, for threads of other domains; undefined once it is going. */
  sharedMemory(): MemoryAnswer | undefined {
    const { i32 } = this.parts.hv;
    if (this.memory === undefined || !this.runs) return undefined;
    const generation = i32[this.word + DOM.generation];
    return { domain: this.id, generation, memory: this.memory, frames: i32[this.word + DOM.frames] };
  }

  private drainConsole(): void {
    const { outputWindow = Number.POSITIVE_INFINITY } = this.config;
    this.drainUpTo(outputWindow - this.underWay);
  }

  private drainUpTo(bytes: number): void {
    for (const { kind, payload } of consoleDrain(this.parts.hv, this.id, bytes)) {
      if (kind === RECORD_DOORBELL) this.listener.doorbell(doorbellOf(payload));
      else {
        this.underWay += payload.length;
        this.listener.output(payload);
      }
    }
  }

  /** So much of the output has reached its reader: the guest may write on. Matters with config.outputWindow alone. */
  outputTaken(bytes: number): void {
    this.underWay = Math.max(0, this.underWay - bytes);
    this.drainConsole();
  }

  /* ---- console input ---- */

  feed(bytes: Uint8Array): void {
    this.input.push(bytes);
    this.pumpInput();
  }

  /** What does not fit now is tried again by tick(). */
  private pumpInput(): void {
    const { hv } = this.parts;
    let fed = false;
    while (this.input.length > 0) {
      const taken = consoleFeed(hv, this.id, this.input[0]);
      fed ||= taken > 0;
      if (taken < this.input[0].length) {
        this.input[0] = this.input[0].subarray(taken);
        break;
      }
      this.input.shift();
    }
    const port = Atomics.load(hv.i32, this.word + DOM.consolePort);
    if (fed && port !== 0) this.events.setPending(this.id, port);
  }

  /* ---- its end ---- */

  /** From time to time, by the hypervisor: input that waits for room, and vCPUs that never come out of the guest. */
  tick(): void {
    if (this.input.length > 0) this.pumpInput();
    if (this.growsByItself()) this.crash('it grew its memory by memory.grow instead of XENMEM_populate_physmap');
    for (const vcpu of this.threads.vcpus) if (this.hangs(vcpu)) this.crashHung(vcpu);
  }

  /** A guest may execute memory.grow, but what it gets is not its own: reservations are the hypervisor's accounts. */
  private growsByItself(): boolean {
    const { memory } = this;
    const { i32 } = this.parts.hv;
    if (memory === undefined || !this.runs) return false;
    if (i32[this.word + DOM.growingTo] === i32[this.word + DOM.maxFrames]) return false;
    memory.grow(0); // makes memory.buffer anew if any thread has grown it
    return memory.buffer.byteLength > Atomics.load(i32, this.word + DOM.growingTo) * PARA_FRAME_BYTES;
  }

  private hangs(vcpu: number): boolean {
    const { hv } = this.parts;
    const word = hv.vcpuWord(this.id, vcpu);
    if (hv.i32[word + VCPU.state] === VcpuState.blocked || hv.i32[word + VCPU.parked] === 1) return this.forget(vcpu);
    const calls = hypercallsOf(hv, this.id, vcpu);
    const cpu = vcpuCpuSeconds(hv, this.id, vcpu);
    const last = this.watch[vcpu];
    if (last === undefined || last.calls !== calls) {
      this.watch[vcpu] = { calls, cpu };
      return false;
    }
    return cpu - last.cpu > PARA_HANG_CPU_MS / 1000;
  }

  /** What it does there is not its guest's. */
  private forget(vcpu: number): false {
    delete this.watch[vcpu];
    return false;
  }

  private crashHung(vcpu: number): void {
    this.crash(`vCPU ${vcpu} hung: it made no hypercall for ${PARA_HANG_CPU_MS} ms of its CPU time`);
  }

  crash(reason: string): void {
    this.end({ reason: `crashed: ${reason}`, how: 'crash' }, SHUTDOWN_crash);
  }

  /** Ends the domain from outside. */
  destroy(): void {
    this.end({ reason: 'was destroyed', how: 'destroyed' }, SHUTDOWN_poweroff);
  }

  private end(verdict: { reason: string; how: EndKind }, shutdownReason: number): void {
    this.verdict ??= verdict;
    shutDown(this.parts.hv, this.events, this.id, shutdownReason);
    this.threads.endSoon();
  }

  /** A thread ends when the domain does, and then so must the others. */
  private threadEnded(tid: number): boolean {
    const free = this.share.leave(tid);
    shutDown(this.parts.hv, this.events, this.id, SHUTDOWN_crash);
    this.threads.endSoon();
    if (this.threads.vcpus.length === 0) void this.parts.coreOs.forget(this.id).then(() => this.cleanUp());
    return free;
  }

  private cleanUp(): void {
    const { hv } = this.parts;
    this.drainUpTo(Number.POSITIVE_INFINITY);
    const { reason, how } = this.verdict ?? shutdownVerdict(hv.i32[this.word + DOM.shutdownReason]);
    const counters = this.counters();
    this.store.forget();
    this.events.closeAll(this.id);
    new IoQueue(hv, this.events).removeDomain(this.id);
    giveToPool(hv, hv.i32[this.word + DOM.populated]);
    hv.clearDomain(this.id);
    this.share.dissolve();
    this.dropMemory();
    this.listener.ended(reason, how, counters);
  }

  /** The host has the pages back now, and the addresses when the last thread has collected its garbage. */
  private dropMemory(): void {
    if (this.memory !== undefined) giveToHost(new Uint8Array(this.memory.buffer));
    this.memory = undefined;
  }

  /** Of each vCPU that has a thread, where the host tells. */
  runstates(): Runstate[] {
    const all = this.threads.vcpus.map((vcpu) => runstateOf(this.parts.hv, this.id, vcpu));
    return all.filter((one) => one !== undefined);
  }

  counters(): Record<string, number> {
    const sums = new Float64Array(COUNTER_COUNT);
    sumCounters(this.parts.hv, this.id, this.maxVcpus, sums);
    return namedCounters(sums);
  }
}

const framesOf = (bytes: number): number => Math.floor(bytes / WASM_PAGE) * (WASM_PAGE / PARA_FRAME_BYTES);

function checkSize(vcpus: number, frames: number): void {
  if (vcpus < 1 || vcpus > PARA_MAX_VCPUS) throw new Error(`a domain has 1 to ${PARA_MAX_VCPUS} vCPUs, not ${vcpus}`);
  if (frames >= 1 && frames <= PARA_MAX_FRAMES) return;
  const most = (PARA_MAX_FRAMES * PARA_FRAME_BYTES) / 2 ** 20;
  throw new Error(`a domain has 64 KiB to ${most} MiB of memory, not ${(frames * PARA_FRAME_BYTES) / 2 ** 20} MiB`);
}

function poolProblem(hv: HypervisorMemory, frames: number): string {
  const left = hv.i32[POOL.total] - hv.i32[POOL.taken];
  const mib = (n: number): number => Math.floor((n * PARA_FRAME_BYTES) / 2 ** 20);
  return `the hypervisor's pool has ${mib(left)} MiB left, the domain wants ${mib(frames)}; give it less, or take some from others`;
}

function createMemory(frames: number, maxFrames: number, failed: () => void): WebAssembly.Memory {
  const pages = (n: number): number => (n * PARA_FRAME_BYTES) / WASM_PAGE;
  try {
    return new WebAssembly.Memory({ initial: pages(frames), maximum: pages(maxFrames), shared: true });
  } catch (error) {
    failed();
    throw error;
  }
}

function hypercallsOf(hv: HypervisorMemory, domain: number, vcpu: number): number {
  const base = hv.vcpuF64(domain, vcpu) + VCPU.countersF64;
  let calls = 0;
  for (let at = 0; at < HYPERCALL_COUNTERS; at++) calls += hv.f64[base + at];
  return calls;
}

function shutdownVerdict(reason: number): { reason: string; how: EndKind } {
  if (reason === SHUTDOWN_poweroff) return { reason: 'powered itself off', how: 'poweroff' };
  if (reason === SHUTDOWN_crash) return { reason: 'crashed: the guest said so', how: 'crash' };
  return { reason: 'rebooted itself', how: 'reboot' };
}

/** A doorbell's record (hypercalls/console.ts). */
function doorbellOf(payload: Uint8Array): DoorbellMessage {
  const values = new Float64Array(payload.slice().buffer);
  return {
    which: values[0] === 2 ? 'start' : 'stop',
    ns: BigInt(values[1]),
    cpuSeconds: values[2],
    counters: namedCounters(values.subarray(3)),
  };
}
