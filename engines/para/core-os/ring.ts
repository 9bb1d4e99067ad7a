/**
 * The back end's side of a shared ring (io/ring.h). The counters that the back end relies on are in the hypervisor's memory; the
 * guest's header gives only req_prod and rsp_event, each read once when needed, and is told the rest.
 */
import { ring_header } from '../abi.js';
import { counterIndex } from '../counters.js';
import type { EventChannels } from '../event-channels.js';
import { holdRing, releaseGrant } from '../grants.js';
import type { GuestAddress, GuestMemory } from '../guest-memory.js';
import { type HypervisorMemory, RING } from '../hypervisor-memory.js';
import { GuestCrash } from '../vcpu.js';

const SENT = counterIndex('notifications_sent');
const SUPPRESSED = counterIndex('notifications_suppressed');

/** A vCPU whose queue this is, as a thread has it: the vCPU's own (Vcpu is one), or one of the core OS (clients.ts). */
export interface RingOwner {
  readonly hv: HypervisorMemory;
  readonly domain: number;
  readonly id: number;
  /** Of the vCPU in hv.i32. */
  readonly word: number;
  readonly memory: GuestMemory;
  readonly events: EventChannels;
  count(counter: number, by?: number): void;
}

export class BackEndRing {
  private readonly word: number;

  /** `at`: VCPU.blk, VCPU.tx or VCPU.rx. */
  constructor(
    private readonly vcpu: RingOwner,
    at: number,
    readonly size: number,
    readonly slotBytes: number,
    private readonly name: string,
  ) {
    this.word = vcpu.word + at;
  }

  private get(field: number): number {
    return this.vcpu.hv.i32[this.word + field];
  }

  private set(field: number, value: number): void {
    this.vcpu.hv.i32[this.word + field] = value;
  }

  get connected(): boolean {
    return this.get(RING.connected) === 1;
  }

  /** 0, or a negative errno when the grant does not hold a ring. `port`: our domain's end of the event channel. */
  connect(gref: number, port: number): number {
    const { hv, memory, domain } = this.vcpu;
    const address = holdRing(hv, domain, memory, gref, ring_header.SIZE + this.size * this.slotBytes);
    if (address < 0) return address;
    this.set(RING.address, address);
    this.set(RING.gref, gref);
    this.set(RING.port, port);
    this.set(RING.reqCons, 0);
    this.set(RING.rspProd, 0);
    this.set(RING.connected, 1);
    memory.setU32(address, ring_header.req_event, 1);
    return 0;
  }

  /** Gives the ring's grant back. */
  disconnect(): void {
    if (!this.connected) return;
    this.set(RING.connected, 0);
    releaseGrant(this.vcpu.hv, this.vcpu.domain, this.get(RING.gref));
  }

  private get address(): GuestAddress {
    return this.get(RING.address) as GuestAddress;
  }

  private slot(counter: number): GuestAddress {
    return (this.address + ring_header.SIZE + ((counter >>> 0) % this.size) * this.slotBytes) as GuestAddress;
  }

  /** How many requests wait. A front end that claims more than the ring holds has broken the protocol. */
  waiting(): number {
    const produced = this.vcpu.memory.u32(this.address, ring_header.req_prod) | 0;
    if ((produced - this.get(RING.rspProd)) >>> 0 > this.size) {
      throw new GuestCrash(`broke the ${this.name} ring: more requests than its ${this.size} slots`);
    }
    const waiting = (produced - this.get(RING.reqCons)) | 0;
    if (waiting < 0) throw new GuestCrash(`broke the ${this.name} ring: req_prod went back`);
    return waiting;
  }

  /** Copies the next request (there must be one) out of the ring: it is not looked at there again. */
  take(into: Int32Array): void {
    const consumer = this.get(RING.reqCons);
    const at = this.slot(consumer) >> 2;
    for (let word = 0; word < into.length; word++) into[word] = this.vcpu.memory.i32[at + word];
    this.set(RING.reqCons, (consumer + 1) | 0);
  }

  /** The request that was taken last is not looked at yet: it is the next again, whatever the guest has made of it then. */
  untake(): void {
    this.set(RING.reqCons, (this.get(RING.reqCons) - 1) | 0);
  }

  /** A word of the request `ahead` places behind the next: a hint, since the guest may still change it. */
  peek(ahead: number, word: number): number {
    return this.vcpu.memory.i32[(this.slot(this.get(RING.reqCons) + ahead) >> 2) + word];
  }

  /** Notification hold-off: the front end need not notify before it has put `requests` more into the ring. */
  holdOff(requests: number, seen = 0): void {
    this.vcpu.memory.setU32(this.address, ring_header.req_event, this.get(RING.reqCons) + seen + requests);
  }

  /**
   * RING_FINAL_CHECK_FOR_REQUESTS: asks to be notified of the next request, then says whether one came meanwhile. `seen`: how many that
   * are known already stay in the ring.
   */
  finalCheck(seen = 0): boolean {
    this.vcpu.memory.setU32(this.address, ring_header.req_event, this.get(RING.reqCons) + seen + 1);
    return this.waiting() > seen;
  }

  /** Puts a response into the next slot, makes it visible, and notifies the front end unless that holds off. */
  respond(words: ArrayLike<number>): void {
    const { memory } = this.vcpu;
    const old = this.get(RING.rspProd);
    const at = this.slot(old) >> 2;
    for (let word = 0; word < words.length; word++) memory.i32[at + word] = words[word];
    const next = (old + 1) | 0;
    this.set(RING.rspProd, next);
    memory.setU32(this.address, ring_header.rsp_prod, next);
    const event = memory.u32(this.address, ring_header.rsp_event);
    const wanted = (next - event) >>> 0 < 1;
    this.vcpu.count(wanted ? SENT : SUPPRESSED);
    if (wanted) this.vcpu.events.setPending(this.vcpu.domain, this.get(RING.port));
  }
}

/** Where the rings of a queue and its event channel are, as the front end wrote them into the store. */
export function queueSetting(read: (path: string) => string | undefined, path: string): number {
  const text = read(path);
  return text !== undefined && /^\d{1,9}$/.test(text) ? Number(text) : -1;
}
