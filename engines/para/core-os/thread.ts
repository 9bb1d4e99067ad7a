/**
 * The core OS as one vCPU's thread runs it: the back ends of this vCPU's queues and their drivers (DESIGN rule 7: a thread that
 * would only wait may work). Instances hold no state that another thread could need; that is in the hypervisor's memory.
 */
import type { IoContext } from '../../backends/io.js';
import type { NetPort } from '../../backends/net-port.js';
import { PARA_EBUSY, PARA_EINVAL, PARA_ENOENT } from '../abi.js';
import { CORE, VCPU } from '../hypervisor-memory.js';
import { ATTENTION_BURST, ATTENTION_READY, ATTENTION_RESTART, type IoQueue, NO_SLOT, type Slot } from '../io-queue.js';
import { Store } from '../store.js';
import type { Vcpu } from '../vcpu.js';
import { BlockBackEnd } from './blkback.js';
import type { BlockDevice } from './block-device.js';
import { BlockDriver } from './block-driver.js';
import type { DiskLimits } from './block-request.js';
import { NetBackEnd } from './netback.js';
import { queueSetting } from './ring.js';
import { mayLend, rouse } from './rouse.js';

/** Who in the core OS an event channel leads to: kind << 5 | queue. */
const KIND_BLOCK = 0;
const KIND_NET = 1;
const QUEUE_BITS = 5;

/** Requests that are handed to the host at once: of more the kernel starts none before all are prepared (backends/ring.ts). */
const STARTED_TOGETHER = 2;
const QUIESCE_NS = 10_000_000;

/** The domain's disk, as this thread has opened it. */
export interface LentDisk {
  device: BlockDevice;
  limits: DiskLimits;
}

export class CoreOsThread {
  private block: BlockBackEnd | undefined;
  /** undefined: there is no disk, or its driver was killed and what it had under way has not ended. */
  private driver: BlockDriver | undefined;
  private killed: BlockDriver | undefined;
  private net: NetBackEnd | undefined;
  private vcpu: Vcpu | undefined;

  constructor(
    private readonly io: IoContext,
    private readonly queue: IoQueue,
    private readonly disk: LentDisk | undefined,
    private readonly port: NetPort | undefined,
  ) {}

  /** The vCPU and its core OS know each other: called once, before the guest runs. */
  attach(vcpu: Vcpu): void {
    this.vcpu = vcpu;
    if (this.disk !== undefined) this.attachDisk(vcpu, this.disk);
    if (this.port !== undefined) this.net = new NetBackEnd(vcpu, this.queue, this.port);
  }

  private attachDisk(vcpu: Vcpu, { device, limits }: LentDisk): void {
    this.block = new BlockBackEnd(vcpu, this.queue, limits, vcpu);
    this.startDriver(device);
  }

  private startDriver(device: BlockDevice): void {
    const { hv, word } = this.self;
    this.driver = new BlockDriver(hv, device, (slot, status) => this.block?.answer(slot, status));
    Atomics.store(hv.i32, word + VCPU.driverGeneration, Atomics.load(hv.i32, CORE.generation));
  }

  /**
   * The block driver that this thread lends is killed in the middle of what it does, and another is started. What the old one has under
   * way is let end, so that nothing of it can still write; nobody hears of it, and it is done again.
   */
  private restartDriver(): void {
    const { driver } = this;
    if (driver === undefined) return; // there is none, or it is being started
    this.driver = undefined;
    this.killed = driver;
    driver.kill(() => {
      const device = driver.device.reopen();
      this.killed = undefined;
      this.queue.recover(this.io.slot);
      this.startDriver(device);
    });
  }

  private get self(): Vcpu {
    if (this.vcpu === undefined) throw new Error('core OS thread without a vCPU');
    return this.vcpu;
  }

  /** The front end sent an event. On another vCPU than the queue's: that one's thread is asked. */
  notify(backEnd: number): void {
    const { hv, domain, id, events } = this.self;
    const kind = backEnd >> QUEUE_BITS;
    const queue = backEnd & 31;
    if (queue === id && (kind === KIND_NET || mayLend(hv))) {
      this.run(kind);
      this.io.submit();
      return;
    }
    Atomics.or(hv.i32, hv.vcpuWord(domain, queue) + VCPU.attention, 1 << kind);
    if (kind === KIND_BLOCK) rouse(hv, events, domain, queue);
    else events.wake(domain, queue);
  }

  private run(kind: number): void {
    if (kind === KIND_BLOCK) this.runBlock();
    else this.net?.run();
  }

  /** What is in the ring goes into the queue, and from there as far as the policy lets. */
  private runBlock(): void {
    const { hv, domain, id } = this.self;
    if (!mayLend(hv)) return;
    for (let more = true; more; ) {
      more = this.block?.accept() ?? false;
      this.queue.dispatch(domain, id);
      this.startReady();
    }
  }

  /** Starts what the queue has released to this vCPU. */
  private startReady(): void {
    const { driver, queue } = this;
    const { hv, domain, id } = this.self;
    if (driver === undefined || !mayLend(hv)) return;
    const take = (): Slot => queue.takeReady(domain, id, this.io.slot);
    let started = 0;
    for (let slot = take(); slot !== NO_SLOT; slot = take()) {
      driver.start(slot);
      if (++started % STARTED_TOGETHER === 0) this.io.submit();
    }
  }

  /** What others asked for, and the completions that have come. Never sleeps. */
  service(): void {
    const { hv, word } = this.self;
    if (hv.i32[word + VCPU.attention] !== 0) {
      const bits = Atomics.exchange(hv.i32, word + VCPU.attention, 0);
      if (bits & (1 << KIND_BLOCK)) this.runBlock();
      if (bits & (1 << KIND_NET)) this.net?.run();
      if (bits & ATTENTION_READY) this.startReady();
      if (bits & ATTENTION_BURST) this.net?.sendReleased();
      if (bits & ATTENTION_RESTART) this.restartDriver();
    }
    this.net?.service();
    this.dispatchDue();
    this.io.submit();
    this.io.poll();
    this.startReady(); // a completion may have made room for the next
    this.net?.sendReleased();
  }

  /** What waited for a cap's time alone. */
  private dispatchDue(): void {
    const { domain, id } = this.self;
    if (this.queue.dueInNs(domain) > 0) return;
    this.queue.dispatch(domain, id);
    this.startReady();
    this.net?.sendReleased();
  }

  /** How long the thread may sleep at most, for the queue's sake. */
  dueInNs(): number {
    return this.queue.dueInNs(this.self.domain);
  }

  /** A front end says that its queue is ready. 0, or a negative errno. */
  connect(device: 'vbd' | 'vif', queue: number): number {
    if (queue !== this.self.id) return -PARA_EINVAL;
    return device === 'vbd' ? this.connectBlock(queue) : this.connectNet(queue);
  }

  private connectBlock(queue: number): number {
    if (this.block === undefined) return -PARA_ENOENT;
    if (this.block.connected) return -PARA_EBUSY;
    const setting = this.settings('vbd', queue);
    return this.connectRings(KIND_BLOCK, queue, setting('event-channel'), [[this.block, setting('ring-ref')]]);
  }

  private connectNet(queue: number): number {
    if (this.net === undefined) return -PARA_ENOENT;
    if (this.net.tx.connected) return -PARA_EBUSY;
    const setting = this.settings('vif', queue);
    return this.connectRings(KIND_NET, queue, setting('event-channel'), [
      [this.net.tx, setting('tx-ring-ref')],
      [this.net.rx, setting('rx-ring-ref')],
    ]);
  }

  private settings(device: string, queue: number): (name: string) => number {
    const store = new Store(this.self.hv, this.self.domain);
    return (name) => queueSetting((path) => store.get(path), `device/${device}/0/queue-${queue}/${name}`);
  }

  private connectRings(
    kind: number,
    queue: number,
    port: number,
    rings: [{ connect(gref: number, port: number): number; disconnect(): void }, number][],
  ): number {
    const { events, domain } = this.self;
    if (port < 0 || rings.some(([, gref]) => gref < 0)) return -PARA_EINVAL;
    for (const [ring, gref] of rings) {
      const error = ring.connect(gref, port);
      if (error < 0) return this.undo(rings, error);
    }
    const error = events.bindCoreOs(domain, port, (kind << QUEUE_BITS) | queue);
    return error < 0 ? this.undo(rings, error) : 0;
  }

  private undo(rings: [{ disconnect(): void }, number][], error: number): number {
    for (const [ring] of rings) ring.disconnect();
    return error;
  }

  /** The guest is gone: waits for what the devices still do in its memory, at most `rounds` times 10 ms. */
  quiesce(rounds: number): void {
    for (let round = 0; round < rounds && this.inFlight > 0; round++) this.io.wait(QUIESCE_NS);
  }

  get inFlight(): number {
    return (this.driver ?? this.killed)?.inFlight ?? 0;
  }
}
