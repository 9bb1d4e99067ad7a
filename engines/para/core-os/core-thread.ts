/**
 * A thread of the core OS (worker entry point): a vCPU of domain 0. It drives the block requests of domains whose own threads do not,
 * and may be killed at any time: what it has taken on is in the hypervisor's memory (io-queue.ts).
 */
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { createIoContext } from '../../backends/io-context.js';
import { libc } from '../../backends/libc.js';
import { minimizeTimerSlack } from '../../process/libc.js';
import { DOMID_CORE_OS, SHUTDOWN_crash } from '../abi.js';
import { clockNs } from '../clock.js';
import { collectGarbage } from '../collect-garbage.js';
import { shutDown } from '../domain-state.js';
import { EventChannels } from '../event-channels.js';
import { kickerOf } from '../host-io.js';
import { CORE, DOM, HypervisorMemory, VCPU, VcpuState } from '../hypervisor-memory.js';
import { IoQueue } from '../io-queue.js';
import { GuestCrash } from '../vcpu.js';
import { Client, type ClientHost } from './clients.js';
import { type CoreThreadConfig, type FromCoreThread, StopRequest, type ToCoreThread } from './core-config.js';
import { mayLend } from './rouse.js';

minimizeTimerSlack();

const config = workerData as CoreThreadConfig;
const hv = new HypervisorMemory(config.hypervisor);
const { i32 } = hv;
const word = hv.vcpuWord(DOMID_CORE_OS, config.thread);
const inbox = CORE.inbox + 2 * config.thread;
const events = new EventChannels(hv, kickerOf(config.io), word);
const io = createIoContext(config.io.kicks, config.thread, { waiting: { pollUs: 0 } });
const host: ClientHost = {
  ...{ hv, events, io, marks: config.io.marks, queue: new IoQueue(hv, events) },
  thread: { domain: DOMID_CORE_OS, id: config.thread },
};
const clients = new Map<number, Client>();
/** Those whose domains end, until nothing of them is in flight. */
const leaving = new Map<number, Client>();
const FINISH_NS = 10e6;
/**
 * vCPUs (domain << 5 | vcpu) that run, and until when what they asked for is left to them. A thread that is woken for a request which its
 * own vCPU starts at its next sched_op costs more than that, and where it has to wait for a processor itself, it makes the request late.
 */
const patience = new Map<number, number>();
const PATIENCE_NS = 500_000;
const tell = (message: FromCoreThread): void => parentPort?.postMessage(message);

function hear(message: ToCoreThread): void {
  const { domain } = message;
  if (message.type === 'serve') {
    clients.set(domain, new Client(host, message));
    return;
  }
  const client = clients.get(domain);
  clients.delete(domain);
  if (client === undefined) tell({ type: 'forgotten', domain });
  else leaving.set(domain, client);
}

function takeMessages(): void {
  if (i32[word + VCPU.attention] === 0) return;
  Atomics.store(i32, word + VCPU.attention, 0);
  if (parentPort === null) return;
  for (let one = receiveMessageOnPort(parentPort); one !== undefined; one = receiveMessageOnPort(parentPort)) {
    hear(one.message as ToCoreThread);
  }
}

/** The queues that somebody asked it to look at. */
function lookAtQueues(): void {
  for (let half = 0; half < 2; half++) {
    if (i32[inbox + half] === 0) continue;
    const domains = Atomics.exchange(i32, inbox + half, 0);
    for (let bits = domains; bits !== 0; bits &= bits - 1) lookAt(32 * half + 31 - Math.clz32(bits & -bits));
  }
}

function lookAt(domain: number): void {
  const vcpus = Atomics.load(i32, hv.domainWord(domain) + DOM.coreAttention);
  for (let bits = vcpus; bits !== 0; bits &= bits - 1) {
    const vcpu = 31 - Math.clz32(bits & -bits);
    if (isBusy(domain, vcpu)) leaveAlone(domain, vcpu);
    else look(domain, vcpu);
  }
}

/** Its thread will look at its queues by itself, at its next sched_op. */
function isBusy(domain: number, vcpu: number): boolean {
  const self = hv.vcpuWord(domain, vcpu);
  const runs = Atomics.load(i32, self + VCPU.state) === VcpuState.running && i32[self + VCPU.parked] === 0;
  return runs && mayLend(hv) && clients.has(domain);
}

function leaveAlone(domain: number, vcpu: number): void {
  const queue = (domain << 5) | vcpu;
  if (!patience.has(queue)) patience.set(queue, clockNs() + PATIENCE_NS);
}

/** Those that were left alone for long enough. */
function lookAtTheBusy(): void {
  if (patience.size === 0) return;
  const now = clockNs();
  for (const [queue, end] of patience) {
    if (end > now) continue;
    patience.delete(queue);
    look(queue >> 5, queue & 31);
  }
}

function look(domain: number, vcpu: number): void {
  Atomics.and(i32, hv.domainWord(domain) + DOM.coreAttention, ~(1 << vcpu)); // before the look: who asks now asks anew
  const client = clients.get(domain);
  if (client === undefined) return;
  try {
    client.look(vcpu);
  } catch (error) {
    if (!(error instanceof GuestCrash)) throw error;
    tell({ type: 'crash', domain, reason: error.message });
    shutDown(hv, events, domain, SHUTDOWN_crash);
  }
}

/** So many domains' memories may wait for garbage collection, which this thread by itself hardly ever needs. */
const UNCOLLECTED = 16;
let uncollected = 0;

function partFromLeaving(): void {
  for (const [domain, client] of leaving) {
    if (!client.leave()) continue;
    leaving.delete(domain);
    tell({ type: 'forgotten', domain });
    uncollected++;
  }
  if (uncollected < UNCOLLECTED) return;
  uncollected = 0;
  collectGarbage();
}

/** Killed: what is in flight stays so. This is the only place where the thread is terminated, so it holds no lock then. */
function stopIfAsked(): void {
  if (Atomics.load(i32, word + VCPU.stop) !== StopRequest.now) return;
  const unmarked = [...clients.values(), ...leaving.values()];
  while (unmarked.some(({ mustFinish }) => mustFinish)) io.wait(FINISH_NS);
  Atomics.store(i32, word + VCPU.stop, StopRequest.stopped);
  for (;;) Atomics.wait(i32, word + VCPU.stop, StopRequest.stopped);
}

const quiet = (): boolean =>
  Atomics.load(i32, word + VCPU.attention) === 0 &&
  Atomics.load(i32, inbox) === 0 &&
  Atomics.load(i32, inbox + 1) === 0 &&
  Atomics.load(i32, word + VCPU.stop) === StopRequest.none;

/** Until a completion or a kick. Who asks for something says so first and looks at the state then. */
function sleep(): void {
  Atomics.store(i32, word + VCPU.state, VcpuState.blocked);
  if (quiet()) io.wait(patience.size === 0 ? Number.POSITIVE_INFINITY : PATIENCE_NS);
  Atomics.store(i32, word + VCPU.state, VcpuState.running);
}

i32[word + VCPU.kickSlot] = config.thread;
Atomics.store(i32, word + VCPU.state, VcpuState.running);
Atomics.store(i32, word + VCPU.tid, libc()?.gettid() ?? 0);
Atomics.store(i32, word + VCPU.driverGeneration, Atomics.load(i32, CORE.generation));
Atomics.store(i32, word + VCPU.attention, 1); // messages may have come before it could be told
for (;;) {
  takeMessages();
  lookAtQueues();
  lookAtTheBusy();
  io.submit();
  stopIfAsked();
  io.poll();
  partFromLeaving();
  sleep();
}
