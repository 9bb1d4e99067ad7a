/**
 * The thread of one vCPU (worker entry point): its own instance of the guest's module on the domain's memory, its own IoContext,
 * its own core OS. It is parked until the guest brings the vCPU up, and never sees its event loop while the guest runs.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { libc } from '../backends/libc.js';
import { minimizeTimerSlack } from '../process/libc.js';
import { SHUTDOWN_crash } from './abi.js';
import { CoreOsThread } from './core-os/thread.js';
import { shutDown } from './domain-state.js';
import { EventChannels } from './event-channels.js';
import { ForeignMemory } from './foreign-memory.js';
import { GuestMemory } from './guest-memory.js';
import { type GuestEntry, instantiateGuest } from './guest-module.js';
import { openHostIo } from './host-io.js';
import { allHypercalls } from './hypercalls/register.js';
import { hypercallEntry } from './hypercalls/table.js';
import { DOM, DomainState, HypervisorMemory, VCPU, VcpuState } from './hypervisor-memory.js';
import { IoQueue } from './io-queue.js';
import { isPaused } from './pause.js';
import { RunstateAccounts, SchedStat } from './runstate.js';
import { GuestCrash, Vcpu, VcpuStop } from './vcpu.js';
import type { FromVcpu, VcpuThreadConfig } from './vcpu-config.js';

const QUIESCE_ROUNDS = 50;
const PARKED_NS = 1e9;

// As the other engines' threads: sleeps end when they should.
minimizeTimerSlack();

const config = workerData as VcpuThreadConfig;
const tell = (message: FromVcpu): void => parentPort?.postMessage(message);

const hv = new HypervisorMemory(config.hypervisor);
const host = openHostIo(config);
const events = new EventChannels(hv, host.kicker, hv.vcpuWord(config.domain, config.vcpu));
const coreOs = new CoreOsThread(host.io, new IoQueue(hv, events), host.disk, host.port);
const domainWord = hv.domainWord(config.domain);
const self = hv.vcpuWord(config.domain, config.vcpu);
const foreign =
  parentPort === null
    ? undefined
    : new ForeignMemory(hv, self, parentPort, (domain) => tell({ type: 'memory', domain }));
const tid = libc()?.gettid() ?? 0;
const accounts = new RunstateAccounts(hv, config.domain, config.vcpu, new SchedStat(tid));
const vcpu = new Vcpu({
  domain: config.domain,
  id: config.vcpu,
  hv,
  memory: new GuestMemory(config.memory, config.frames, () => Atomics.load(hv.i32, domainWord + DOM.frames)),
  events,
  io: host.io,
  coreOs,
  accounts,
  notifyMain: () => tell({ type: 'console' }),
  memoryOf: (domain) => foreign?.get(domain),
});
coreOs.attach(vcpu);
const { i32 } = hv;
const stateWord = vcpu.word + VCPU.state;
i32[vcpu.word + VCPU.kickSlot] = config.slot;
Atomics.store(i32, vcpu.word + VCPU.tid, tid);
tell({ type: 'facts', facts: host.facts });

const alive = (): boolean => Atomics.load(i32, vcpu.domainWord + DOM.state) === DomainState.running;

const mayStart = (): boolean =>
  !isPaused(hv, domainWord) &&
  Atomics.compareExchange(i32, stateWord, VcpuState.starting, VcpuState.running) === VcpuState.starting;

/** Waits for VCPUOP_up, and goes on with what its queues have under way; false when the domain ends before. */
function untilUp(): boolean {
  while (alive()) {
    if (mayStart()) return true;
    Atomics.store(i32, vcpu.word + VCPU.parked, 1);
    coreOs.service();
    // Whoever changes the state or asks for attention does that first and kicks then; a kick that comes before the sleep ends it.
    const stays = Atomics.load(i32, stateWord) === VcpuState.offline || isPaused(hv, domainWord);
    if (stays && alive()) host.io.wait(Math.min(PARKED_NS, coreOs.dueInNs()));
    Atomics.store(i32, vcpu.word + VCPU.parked, 0);
  }
  return false;
}

function enter(guest: GuestEntry): void {
  if (config.vcpu !== 0) {
    const word = vcpu.word;
    guest.startSecondary(i32[word + VCPU.stackPointer], i32[word + VCPU.tls], i32[word + VCPU.arg]);
    return; // returning is as good as VCPUOP_down
  }
  guest.start();
  throw new GuestCrash('returned from para_start()');
}

/** From up to down, again and again, until the domain ends. Guest code runs nowhere else. */
function run(): void {
  const guest = instantiateGuest(config.module, config.memory, hypercallEntry(vcpu, allHypercalls()));
  while (untilUp()) {
    accounts.up();
    try {
      enter(guest);
    } catch (error) {
      if (!(error instanceof VcpuStop)) throw error;
    }
    if (!alive()) return;
    vcpu.goesDown();
    Atomics.store(i32, stateWord, VcpuState.offline);
  }
}

function crashReason(error: unknown): string {
  if (error instanceof GuestCrash) return error.message;
  if (error instanceof WebAssembly.RuntimeError || error instanceof WebAssembly.LinkError)
    return `trapped: ${error.message}`;
  if (error instanceof RangeError) return `trapped: ${error.message}`; // stack overflow
  return `failed inside of the hypervisor: ${error instanceof Error ? error.stack : String(error)}`;
}

try {
  run();
} catch (error) {
  if (!(error instanceof VcpuStop) && alive()) {
    tell({ type: 'crash', reason: `vCPU ${config.vcpu} ${crashReason(error)}` });
    shutDown(hv, events, config.domain, SHUTDOWN_crash);
  }
} finally {
  coreOs.quiesce(QUIESCE_ROUNDS);
  host.dispose();
  Atomics.store(i32, vcpu.word + VCPU.gone, 1);
}
