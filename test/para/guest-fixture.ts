/**
 * A domain without threads or a guest module: the test is the guest. It makes hypercalls by calling the very function that a
 * module imports, and lays out structures and rings in the domain's memory with the offsets of the ABI.
 */
import type { Kicker } from '#engines/backends/io.js';
import * as abi from '#engines/para/abi.js';
import { clockNs } from '#engines/para/clock.js';
import { FileDevice } from '#engines/para/core-os/block-device.js';
import { CoreOsThread } from '#engines/para/core-os/thread.js';
import { EventChannels } from '#engines/para/event-channels.js';
import { GuestMemory } from '#engines/para/guest-memory.js';
import { allHypercalls } from '#engines/para/hypercalls/register.js';
import { hypercallEntry } from '#engines/para/hypercalls/table.js';
import { DOM, DomainState, HypervisorMemory, VCPU, VcpuState } from '#engines/para/hypervisor-memory.js';
import { IoQueue } from '#engines/para/io-queue.js';
import { beginAccounts, RunstateAccounts } from '#engines/para/runstate.js';
import { Store } from '#engines/para/store.js';
import { Vcpu } from '#engines/para/vcpu.js';
import { FakeDisk } from './fake-disk.js';
import { FakePort } from './fake-port.js';

export const WASM_PAGE = 65536;
const FRAMES = WASM_PAGE / abi.PARA_FRAME_BYTES;

export interface GuestOptions {
  hv?: HypervisorMemory;
  domain?: number;
  vcpus?: number;
  pages?: number;
  /** The most that it may grow to; absent: it does not grow. */
  maxPages?: number;
  diskBytes?: number;
  network?: boolean;
  /** Wakes real threads; absent: what would be woken is in `kicks`. */
  kicker?: Kicker;
}

/** One vCPU of a domain, and the memory that its guest sees. */
export class FakeGuest {
  readonly hv: HypervisorMemory;
  readonly domain: number;
  readonly memory: GuestMemory;
  readonly kicks: number[] = [];
  /** What the host's scheduler says of the vCPUs' threads. */
  readonly spent = { cpu: 0, delay: 0 };
  readonly cpus: FakeVcpu[];
  readonly disk: FakeDisk;
  readonly port: FakePort | undefined;
  /** The I/O queue's clock. */
  now: () => number = clockNs;
  readonly kicker: Kicker;

  constructor(options: GuestOptions = {}) {
    const pages = options.pages ?? 16;
    this.hv = options.hv ?? HypervisorMemory.create();
    this.domain = options.domain ?? 1;
    this.kicker = options.kicker ?? { kick: (slot: number) => void this.kicks.push(slot) };
    const wasm = new WebAssembly.Memory({ initial: pages, maximum: options.maxPages ?? pages, shared: true });
    const word = this.hv.domainWord(this.domain);
    const frames = () => this.hv.i32[word + DOM.frames];
    this.memory = new GuestMemory(wasm, pages * FRAMES, frames);
    this.disk = new FakeDisk(this.memory.u8, options.diskBytes ?? 1 << 20);
    this.port = options.network === false ? undefined : new FakePort();
    this.build(options.vcpus ?? 2, (options.maxPages ?? pages) * FRAMES);
    this.cpus = Array.from({ length: options.vcpus ?? 2 }, (_, id) => new FakeVcpu(this, id));
  }

  private build(vcpus: number, maxFrames: number): void {
    const { hv, domain } = this;
    hv.clearDomain(domain);
    const word = hv.domainWord(domain);
    hv.i32[word + DOM.vcpus] = vcpus;
    hv.i32[word + DOM.available] = vcpus;
    const frames = this.memory.bytes / abi.PARA_FRAME_BYTES;
    for (const field of [DOM.frames, DOM.growingTo, DOM.populated, DOM.allowed]) hv.i32[word + field] = frames;
    hv.i32[word + DOM.maxFrames] = maxFrames;
    hv.i32[word + DOM.state] = DomainState.running;
    beginAccounts(hv, domain, vcpus);
    const store = new Store(hv, domain);
    store.set('domid', String(domain));
    store.set('cpus', String(vcpus));
    store.set('bootargs', 'a=1 b=2');
    store.set('device/vbd/0/bytes', String(this.disk.bytes));
  }

  get cpu(): FakeVcpu {
    return this.cpus[0];
  }

  u32(address: number): number {
    return this.memory.i32[address >> 2] >>> 0;
  }

  /** Words from an address on. */
  put(address: number, ...words: number[]): number {
    words.forEach((word, i) => {
      this.memory.i32[(address >> 2) + i] = word | 0;
    });
    return address;
  }

  /** A grant of `frames` frames from `frame` on. */
  grant(
    table: number,
    ref: number,
    frame: number,
    frames: number,
    flags: number = abi.GTF_permit_access,
    domid = 0,
  ): void {
    this.put(table + ref * abi.grant_entry.SIZE, flags | (domid << 16), frame, frames);
  }
}

export class FakeVcpu {
  readonly vcpu: Vcpu;
  readonly coreOs: CoreOsThread;
  readonly events: EventChannels;
  /** virtax.hypercall, as the module imports it. */
  readonly call: (number: number, cmd: number, arg1?: number, arg2?: number) => number;
  /** Memory of other domains, for GNTTABOP_copy. */
  readonly others = new Map<number, GuestMemory>();

  constructor(
    readonly guest: FakeGuest,
    readonly id: number,
  ) {
    const { hv, domain, memory } = guest;
    const word = hv.vcpuWord(domain, id);
    hv.i32[word + VCPU.kickSlot] = id;
    hv.i32[word + VCPU.state] = VcpuState.running;
    const { kicker } = guest;
    this.events = new EventChannels(hv, kicker, word);
    const disk = new FileDevice(guest.disk, 0, guest.disk.bytes, () => 0);
    const lent = { device: disk, limits: { bytes: guest.disk.bytes, discards: true } };
    this.coreOs = new CoreOsThread(guest.disk, new IoQueue(hv, this.events, () => guest.now()), lent, guest.port);
    this.vcpu = new Vcpu({
      domain,
      id,
      hv,
      memory,
      events: this.events,
      io: guest.disk,
      coreOs: this.coreOs,
      accounts: new RunstateAccounts(hv, domain, id, { read: () => ({ ...guest.spent }) }),
      notifyMain: () => {},
      memoryOf: (other) => this.others.get(other),
    });
    this.coreOs.attach(this.vcpu);
    const entry = hypercallEntry(this.vcpu, allHypercalls());
    this.call = (number, cmd, arg1 = 0, arg2 = 0) => entry(number | 0, cmd | 0, arg1 | 0, arg2 | 0);
  }

  /** Registers the vcpu_info at `address`. */
  withInfo(address: number): this {
    if (this.call(abi.HYPERVISOR_vcpu_op, abi.VCPUOP_register_vcpu_info, this.id, address) !== 0)
      throw new Error('info');
    return this;
  }

  event(cmd: number, arg1 = 0, arg2 = 0): number {
    return this.call(abi.HYPERVISOR_event_channel_op, cmd, arg1, arg2);
  }

  poll(): number {
    return this.call(abi.HYPERVISOR_sched_op, abi.SCHEDOP_poll);
  }

  /** Ports delivered into the vcpu_info at `info`, taken as a guest does: by priority, then by number. */
  takePorts(info: number): number[] {
    const { guest } = this;
    const take = (address: number): number[] => {
      const bits = guest.u32(address);
      guest.put(address, 0);
      return Array.from({ length: 32 }, (_, bit) => bit).filter((bit) => (bits >>> bit) & 1);
    };
    const word = (q: number, w: number) => info + abi.vcpu_info.evtchn_pending + 128 * q + 4 * w;
    return take(info).flatMap((q) =>
      take(info + abi.vcpu_info.evtchn_pending_sel + 4 * q).flatMap((w) => take(word(q, w)).map((bit) => 32 * w + bit)),
    );
  }

  /** Writes to the store: 0 or a negative errno. Uses the guest's memory from `scratch` on. */
  storeWrite(path: string, value: string, tx = 0, scratch = 0x400): number {
    return this.store(abi.STOREOP_write, path, { value, tx, scratch });
  }

  storeRead(path: string, room = 100, tx = 0): string | number {
    return this.storeText(abi.STOREOP_read, path, room, tx);
  }

  /** What an operation that answers text wrote. */
  storeText(cmd: number, path: string, room = 100, tx = 0, scratch = 0x400): string | number {
    const n = this.store(cmd, path, { room, tx, scratch });
    if (n < 0) return n;
    return Buffer.from(this.guest.memory.u8.slice(scratch + 256, scratch + 256 + Math.min(n, room))).toString('latin1');
  }

  store(cmd: number, path = '', { value = '', room = -1, tx = 0, token = 0, scratch = 0x400 } = {}): number {
    const { u8 } = this.guest.memory;
    u8.set(Buffer.from(path, 'latin1'), scratch + 64);
    u8.set(Buffer.from(value, 'latin1'), scratch + 256);
    const valueBytes = room < 0 ? value.length : room;
    this.guest.put(scratch, scratch + 64, path.length, scratch + 256, valueBytes, tx, token);
    return this.call(abi.HYPERVISOR_store_op, cmd, scratch);
  }
}
