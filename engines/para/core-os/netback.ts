/**
 * The network back end of one vCPU's queue: frames from its tx ring go to this thread's port of the switch, frames from there
 * into the buffers of its rx ring. A queue is used by its vCPU's thread alone.
 *
 * Where the policy caps the domain's frames or the link, what is to be sent waits in the tx ring, as under Xen's credit: slots of the I/O
 * queue stand for bursts of it, and a burst is sent when the queue has released its slot. Frames leave in the ring's order always.
 */
import type { NetPort } from '../../backends/net-port.js';
import {
  DOMID_CORE_OS,
  NETIF_FRAME_MAX,
  NETIF_RING_SIZE,
  NETIF_SLOT_BYTES,
  PARA_EINVAL,
  PARA_FRAME_BYTES,
} from '../abi.js';
import { counterIndex } from '../counters.js';
import { grantedRange } from '../grants.js';
import { deviceWord, flowWord, SLOT, VCPU } from '../hypervisor-memory.js';
import { Device, flowOf, REC } from '../io-queue/records.js';
import { type IoQueue, NO_SLOT, type Slot, slotWord } from '../io-queue.js';
import type { Vcpu } from '../vcpu.js';
import { BackEndRing } from './ring.js';

const TX = counterIndex('net_tx_frames');
const RX = counterIndex('net_rx_frames');
const TX_BYTES = counterIndex('net_tx_bytes');
const RX_BYTES = counterIndex('net_rx_bytes');
const RX_DROPPED = counterIndex('net_rx_dropped');
const COPIES = counterIndex('copies');
const ETHERNET_HEADER = 14;
/** Frames that a front end may put into the ring before it notifies again. */
const BURST = 16;
/** Frames that one slot of the I/O queue stands for at most: a full ring is several slots, so that a flow has always one that waits. */
const SLOT_FRAMES = 8;
/** Word of a tx request that holds its size. */
const ID_AND_SIZE = 2;

export class NetBackEnd {
  readonly tx: BackEndRing;
  readonly rx: BackEndRing;
  private readonly request = new Int32Array(3);
  private readonly response = new Int32Array(2);
  private heldOff = false;
  /** The I/O queue had no slot left: frames stay in the ring, and are looked at again in the next sched_op. */
  private stuck = false;

  constructor(
    private readonly vcpu: Vcpu,
    private readonly queue: IoQueue,
    private readonly port: NetPort,
  ) {
    this.tx = new BackEndRing(vcpu, VCPU.tx, NETIF_RING_SIZE, NETIF_SLOT_BYTES, 'network transmit');
    this.rx = new BackEndRing(vcpu, VCPU.rx, NETIF_RING_SIZE, NETIF_SLOT_BYTES, 'network receive');
    port.onReceive((frame) => this.receive(frame));
  }

  /**
   * The front end notified: everything that is in the tx ring is sent. The first frame after a sched_op so goes out at once; the
   * rest of its burst is held off, since the next sched_op (or the BURST-th frame) comes soon and takes many for one crossing.
   */
  run(): void {
    if (!this.tx.connected) return;
    this.sendWaiting();
    this.tx.holdOff(BURST, this.queued);
    this.heldOff = true;
  }

  /** In each sched_op: what was held off is sent, and the next frame is notified again. */
  service(): void {
    if (!this.heldOff) return;
    this.heldOff = false;
    do this.sendWaiting();
    while (this.tx.finalCheck(this.queued) && !this.stuck);
    this.heldOff = this.stuck;
  }

  /** Frames of the ring that slots of the queue stand for: its first ones. */
  private get queued(): number {
    return this.vcpu.hv.i32[this.vcpu.word + VCPU.burstFrames];
  }

  private set queued(frames: number) {
    this.vcpu.hv.i32[this.vcpu.word + VCPU.burstFrames] = frames;
  }

  private get capped(): boolean {
    const { i32 } = this.vcpu.hv;
    const flow = flowWord(flowOf(this.vcpu.domain, Device.vif));
    return (i32[flow + REC.capped] | i32[deviceWord(Device.vif) + REC.capped]) !== 0;
  }

  private sendWaiting(): void {
    if (this.capped || this.queued > 0) this.queueWaiting();
    else this.sendAll();
  }

  /** Puts a slot into the I/O queue for every burst that has none, and sends what may go at once. */
  private queueWaiting(): void {
    const { vcpu, queue } = this;
    this.stuck = false;
    for (let left = this.tx.waiting() - this.queued; left > 0 && !this.stuck; left = this.tx.waiting() - this.queued) {
      const slot = queue.allocate();
      this.stuck = slot === NO_SLOT;
      if (!this.stuck) this.admit(slot, Math.min(left, SLOT_FRAMES));
    }
    queue.dispatch(vcpu.domain, vcpu.id);
    this.sendReleased();
  }

  private admit(slot: Slot, frames: number): void {
    const { vcpu, queued } = this;
    let bytes = 0;
    for (let n = 0; n < frames; n++) bytes += Math.min(this.tx.peek(queued + n, ID_AND_SIZE) >>> 16, NETIF_FRAME_MAX);
    vcpu.hv.i32[slotWord(slot) + SLOT.domain] = vcpu.domain;
    vcpu.hv.i32[slotWord(slot) + SLOT.vcpu] = vcpu.id;
    vcpu.hv.i32[slotWord(slot) + SLOT.bytes] = bytes;
    this.queued = queued + frames;
    this.queue.admit(slot, Device.vif, frames);
  }

  /** Sends the bursts that the queue has released. */
  sendReleased(): void {
    const { domain, id } = this.vcpu;
    let any = false;
    for (let slot = this.queue.takeBurst(domain, id); slot !== NO_SLOT; slot = this.queue.takeBurst(domain, id)) {
      this.sendBurst(slot);
      any = true;
    }
    if (any) this.port.flush();
  }

  private sendBurst(slot: Slot): void {
    const { vcpu, queue } = this;
    const { i32 } = vcpu.hv;
    const frames = i32[slotWord(slot) + SLOT.operations];
    let more = -i32[slotWord(slot) + SLOT.bytes];
    for (let n = 0; n < frames; n++) {
      this.tx.take(this.request);
      more += this.transmit();
    }
    this.queued -= frames;
    if (more !== 0) queue.correct(vcpu.domain, Device.vif, 0, more); // the guest has changed sizes meanwhile: what was sent counts
    queue.finish(slot, vcpu.domain, vcpu.id);
  }

  private sendAll(): void {
    const waiting = this.tx.waiting();
    for (let n = waiting; n > 0; n--) {
      this.tx.take(this.request);
      this.transmit();
    }
    if (waiting > 0) this.port.flush();
  }

  /** Bytes that the frame claims to have. */
  private transmit(): number {
    const [gref, offsetAndFlags, idAndSize] = this.request;
    const size = idAndSize >>> 16;
    const status = this.send(gref >>> 0, offsetAndFlags & 0xffff, offsetAndFlags >>> 16, size);
    this.response[0] = (idAndSize & 0xffff) | (status << 16);
    this.response[1] = 0;
    this.tx.respond(this.response);
    return Math.min(size, NETIF_FRAME_MAX);
  }

  private send(gref: number, offset: number, flags: number, size: number): number {
    const { vcpu } = this;
    if (flags !== 0 || size < ETHERNET_HEADER || size > NETIF_FRAME_MAX) return -PARA_EINVAL;
    const at = grantedRange(vcpu.hv, vcpu.domain, vcpu.memory, gref, DOMID_CORE_OS, 'read', offset, size);
    if (at < 0) return at;
    // What the medium drops is lost, as on any Ethernet. The port copies the frame once and checks the copy.
    this.port.transmit(vcpu.memory.u8, at, size);
    vcpu.count(TX);
    vcpu.count(TX_BYTES, size);
    vcpu.count(COPIES);
    return 0;
  }

  /** A frame for the guest: into the next buffer that it has posted, or dropped. */
  private receive(frame: Uint8Array): boolean {
    const { vcpu, rx } = this;
    if (!rx.connected || frame.length > NETIF_FRAME_MAX || rx.waiting() === 0) {
      vcpu.count(RX_DROPPED);
      return false;
    }
    rx.take(this.request);
    const id = this.request[0] & 0xffff;
    const gref = this.request[1] >>> 0;
    const at = grantedRange(vcpu.hv, vcpu.domain, vcpu.memory, gref, DOMID_CORE_OS, 'write', 0, PARA_FRAME_BYTES);
    if (at >= 0) {
      vcpu.memory.u8.set(frame, at);
      vcpu.count(RX);
      vcpu.count(RX_BYTES, frame.length);
      vcpu.count(COPIES);
    }
    this.response[0] = id; // offset 0
    this.response[1] = (at >= 0 ? frame.length : at) << 16; // flags 0
    rx.respond(this.response);
    return at >= 0;
  }
}
