/**
 * The domains that a thread of the core OS serves: their memory, their disk, the back ends of their queues. A client is made when the
 * thread first hears of its domain, its disk opened when there is first something to do with it.
 */
import type { IoContext, MemoryId } from '../../backends/io.js';
import { PARA_EIO } from '../abi.js';
import type { EventChannels } from '../event-channels.js';
import { GuestMemory } from '../guest-memory.js';
import { openDisk } from '../host-io.js';
import { DOM, type HypervisorMemory, SLOT, VCPU } from '../hypervisor-memory.js';
import { type IoQueue, NO_SLOT, type Slot, slotWord } from '../io-queue.js';
import { BlockBackEnd, type WorkingThread } from './blkback.js';
import { BlockDriver } from './block-driver.js';
import type { DiskSource } from './disk-source.js';

/** What a thread of the core OS is told of a domain that has a disk. */
export interface ClientDomain {
  domain: number;
  memory: WebAssembly.Memory;
  frames: number;
  disk: DiskSource;
}

/** What the clients of one thread have in common. */
export interface ClientHost {
  hv: HypervisorMemory;
  events: EventChannels;
  queue: IoQueue;
  io: IoContext;
  thread: WorkingThread;
  marks: number;
}

export class Client {
  private readonly memory: GuestMemory;
  private readonly memoryId: MemoryId;
  private readonly backEnds: (BlockBackEnd | undefined)[] = [];
  private driver: BlockDriver | undefined;
  private marked = true;

  constructor(
    private readonly host: ClientHost,
    private readonly config: ClientDomain,
  ) {
    const word = host.hv.domainWord(config.domain);
    const frames = (): number => Atomics.load(host.hv.i32, word + DOM.frames);
    this.memory = new GuestMemory(config.memory, config.frames, frames);
    this.memoryId = host.io.addMemory(config.memory); // known from now on, so that leave() gives it back
  }

  /** What is in the queue of a vCPU goes into the I/O queue; what that has released of it is started. @throws GuestCrash */
  look(vcpu: number): void {
    const { queue, thread, io } = this.host;
    const { domain } = this.config;
    const take = (): Slot => queue.takeReady(domain, vcpu, io.slot);
    for (let more = true; more; io.submit()) {
      more = this.backEnd(vcpu).accept();
      queue.dispatch(thread.domain, thread.id);
      for (let slot = take(); slot !== NO_SLOT; slot = take()) this.start(slot);
    }
  }

  private start(slot: Slot): void {
    try {
      this.driver ??= this.openDriver();
    } catch {
      this.answer(slot, -PARA_EIO); // the file has gone since the domain was built
      return;
    }
    this.driver.start(slot);
  }

  private openDriver(): BlockDriver {
    const { hv, io, marks } = this.host;
    const { device, marked } = openDisk(io, this.config.memory, this.config.disk, marks);
    this.marked = marked;
    return new BlockDriver(hv, device, (slot, status) => this.answer(slot, status));
  }

  private answer(slot: Slot, status: number): void {
    this.backEnd(this.host.hv.i32[slotWord(slot) + SLOT.vcpu]).answer(slot, status);
  }

  private backEnd(vcpu: number): BlockBackEnd {
    this.backEnds[vcpu] ??= this.makeBackEnd(vcpu);
    return this.backEnds[vcpu];
  }

  private makeBackEnd(vcpu: number): BlockBackEnd {
    const { hv, events, queue, thread } = this.host;
    const { domain, disk } = this.config;
    const counters = hv.vcpuF64(domain, vcpu) + VCPU.countersF64;
    const owner = {
      ...{ hv, domain, id: vcpu, word: hv.vcpuWord(domain, vcpu), memory: this.memory, events },
      count: (counter: number, by = 1): void => {
        hv.f64[counters + counter] += by;
      },
    };
    return new BlockBackEnd(owner, queue, disk, thread);
  }

  /** Where the file system has no marks nobody else could tell when its requests have ended: the thread must see to that itself. */
  get mustFinish(): boolean {
    return !this.marked && (this.driver?.inFlight ?? 0) > 0;
  }

  /** Its domain ends: nothing is started any more. True when nothing is in flight either; then all of it has been given back. */
  leave(): boolean {
    if ((this.driver?.inFlight ?? 0) > 0) return false;
    this.driver?.device.close();
    this.driver = undefined;
    this.host.io.removeMemory(this.memoryId);
    return true;
  }
}
