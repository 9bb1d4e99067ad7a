/**
 * One vCPU as its thread serves it: its own instance of the guest's module on the domain's memory, its own IoContext, its own core OS.
 * It is parked until the guest brings the vCPU up, and the thread never sees its event loop while the domain lives.
 */
import type { MessagePort } from 'node:worker_threads';
import { confineThread } from '../process/affinity.js';
import { SHUTDOWN_crash } from './abi.js';
import { CoreOsThread } from './core-os/thread.js';
import { threadCpuNs } from './cpu-clock.js';
import { shutDown } from './domain-state.js';
import { EventChannels } from './event-channels.js';
import { ForeignMemory } from './foreign-memory.js';
import { GuestMemory } from './guest-memory.js';
import { type GuestEntry, instantiateGuest } from './guest-module.js';
import { type HostIo, openHostIo } from './host-io.js';
import { allHypercalls } from './hypercalls/register.js';
import { hypercallEntry } from './hypercalls/table.js';
import { DOM, DomainState, HypervisorMemory, VCPU, VcpuState } from './hypervisor-memory.js';
import { IoQueue } from './io-queue.js';
import { isPaused } from './pause.js';
import { RunstateAccounts, type SchedStat } from './runstate.js';
import { GuestCrash, Vcpu, VcpuStop } from './vcpu.js';
import type { FromVcpu, VcpuThreadConfig } from './vcpu-config.js';

const QUIESCE_ROUNDS = 50;
const PARKED_NS = 1e9;

/** What the thread has whomever it serves. */
export interface ServingThread {
  /** Kernel's id. */
  tid: number;
  stat: SchedStat;
  port: MessagePort | null;
  tell(message: FromVcpu): void;
}

/** Serves a vCPU until its domain has ended, and gives back what the vCPU had of the host. Throws when it could not even be begun. */
export function serveVcpu(config: VcpuThreadConfig, thread: ServingThread): void {
  confineThread(config.hostCpus);
  const hv = new HypervisorMemory(config.hypervisor);
  const host = openHostIo(config);
  try {
    new ServedVcpu(config, thread, hv, host).run();
  } finally {
    host.dispose();
    Atomics.store(hv.i32, hv.vcpuWord(config.domain, config.vcpu) + VCPU.gone, 1);
  }
}

class ServedVcpu {
  private readonly events: EventChannels;
  private readonly coreOs: CoreOsThread;
  private readonly vcpu: Vcpu;
  private readonly i32: Int32Array;
  private readonly stateWord: number;

  constructor(
    private readonly config: VcpuThreadConfig,
    private readonly thread: ServingThread,
    private readonly hv: HypervisorMemory,
    private readonly host: HostIo,
  ) {
    const { domain, vcpu: id } = config;
    const self = hv.vcpuWord(domain, id);
    this.i32 = hv.i32;
    this.stateWord = self + VCPU.state;
    this.events = new EventChannels(hv, host.kicker, self);
    this.coreOs = new CoreOsThread(host.io, new IoQueue(hv, this.events), host.disk, host.port);
    this.vcpu = this.build(self);
    this.coreOs.attach(this.vcpu);
    hv.f64[hv.vcpuF64(domain, id) + VCPU.cpuBaseF64] = threadCpuNs(thread.tid) ?? 0;
    this.i32[self + VCPU.kickSlot] = config.slot;
    Atomics.store(this.i32, self + VCPU.tid, thread.tid);
    thread.tell({ type: 'facts', facts: host.facts });
  }

  private build(self: number): Vcpu {
    const { config, thread, hv, host, events, coreOs } = this;
    const { domain, vcpu: id } = config;
    const frames = hv.domainWord(domain) + DOM.frames;
    const { port } = thread;
    const ask = (other: number): void => thread.tell({ type: 'memory', domain: other });
    const foreign = port === null ? undefined : new ForeignMemory(hv, self, port, ask);
    return new Vcpu({
      domain,
      id,
      hv,
      memory: new GuestMemory(config.memory, config.frames, () => Atomics.load(hv.i32, frames)),
      events,
      io: host.io,
      coreOs,
      accounts: new RunstateAccounts(hv, domain, id, thread.stat),
      notifyMain: () => thread.tell({ type: 'console' }),
      memoryOf: (other) => foreign?.get(other),
    });
  }

  run(): void {
    try {
      this.untilItsEnd();
    } catch (error) {
      if (!(error instanceof VcpuStop) && this.alive()) {
        this.thread.tell({ type: 'crash', reason: `vCPU ${this.config.vcpu} ${crashReason(error)}` });
        shutDown(this.hv, this.events, this.config.domain, SHUTDOWN_crash);
      }
    } finally {
      this.coreOs.quiesce(QUIESCE_ROUNDS);
    }
  }

  private alive(): boolean {
    return Atomics.load(this.i32, this.vcpu.domainWord + DOM.state) === DomainState.running;
  }

  private get paused(): boolean {
    return isPaused(this.hv, this.vcpu.domainWord);
  }

  /** From up to down, again and again, until the domain ends. Guest code runs nowhere else. */
  private untilItsEnd(): void {
    const { config, vcpu } = this;
    const guest = instantiateGuest(config.module, config.memory, hypercallEntry(vcpu, allHypercalls()));
    while (this.untilUp()) {
      vcpu.accounts.up();
      try {
        this.enter(guest);
      } catch (error) {
        if (!(error instanceof VcpuStop)) throw error;
      }
      if (!this.alive()) return;
      vcpu.goesDown();
      Atomics.store(this.i32, this.stateWord, VcpuState.offline);
    }
  }

  /** Waits for VCPUOP_up, and goes on with what its queues have under way; false when the domain ends before. */
  private untilUp(): boolean {
    const { i32, vcpu, stateWord } = this;
    while (this.alive()) {
      if (this.mayStart()) return true;
      Atomics.store(i32, vcpu.word + VCPU.parked, 1);
      this.coreOs.service();
      // Whoever changes the state or asks for attention does that first and kicks then; a kick that comes before the sleep ends it.
      const stays = Atomics.load(i32, stateWord) === VcpuState.offline || this.paused;
      if (stays && this.alive()) this.host.io.wait(Math.min(PARKED_NS, this.coreOs.dueInNs()));
      Atomics.store(i32, vcpu.word + VCPU.parked, 0);
    }
    return false;
  }

  private mayStart(): boolean {
    const { starting, running } = VcpuState;
    return !this.paused && Atomics.compareExchange(this.i32, this.stateWord, starting, running) === starting;
  }

  private enter(guest: GuestEntry): void {
    if (this.config.vcpu !== 0) {
      const { word } = this.vcpu;
      const { i32 } = this;
      guest.startSecondary(i32[word + VCPU.stackPointer], i32[word + VCPU.tls], i32[word + VCPU.arg]);
      return; // returning is as good as VCPUOP_down
    }
    guest.start();
    throw new GuestCrash('returned from para_start()');
  }
}

/** Of V8; a guest's recursion. Other range errors are the hypervisor's own. */
const STACK_OVERFLOW = /call stack/;

function crashReason(error: unknown): string {
  if (error instanceof GuestCrash) return error.message;
  if (error instanceof WebAssembly.RuntimeError || error instanceof WebAssembly.LinkError)
    return `trapped: ${error.message}`;
  if (error instanceof RangeError && STACK_OVERFLOW.test(error.message)) return `trapped: ${error.message}`;
  return `failed inside of the hypervisor: ${error instanceof Error ? error.stack : String(error)}`;
}
