/**
 * The network back end of one vCPU's queue: frames from its tx ring go to this thread's port of the switch, frames from there
 * into the buffers of its rx ring. A queue is used by its vCPU's thread alone.
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
import { VCPU } from '../hypervisor-memory.js';
import type { Vcpu } from '../vcpu.js';
import { BackEndRing } from './ring.js';

const TX = counterIndex('net_tx_frames');
const RX = counterIndex('net_rx_frames');
const RX_DROPPED = counterIndex('net_rx_dropped');
const COPIES = counterIndex('copies');
const ETHERNET_HEADER = 14;
/** Frames that a front end may put into the ring before it notifies again. */
const BURST = 16;

export class NetBackEnd {
  readonly tx: BackEndRing;
  readonly rx: BackEndRing;
  private readonly request = new Int32Array(3);
  private readonly response = new Int32Array(2);
  private heldOff = false;

  constructor(
    private readonly vcpu: Vcpu,
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
    this.tx.holdOff(BURST);
    this.heldOff = true;
  }

  /** In each sched_op: what was held off is sent, and the next frame is notified again. */
  service(): void {
    if (!this.heldOff) return;
    this.heldOff = false;
    do this.sendWaiting();
    while (this.tx.finalCheck());
  }

  private sendWaiting(): void {
    const waiting = this.tx.waiting();
    for (let n = waiting; n > 0; n--) {
      this.tx.take(this.request);
      this.transmit();
    }
    if (waiting > 0) this.port.flush();
  }

  private transmit(): void {
    const [gref, offsetAndFlags, idAndSize] = this.request;
    const size = idAndSize >>> 16;
    const status = this.send(gref >>> 0, offsetAndFlags & 0xffff, offsetAndFlags >>> 16, size);
    this.response[0] = (idAndSize & 0xffff) | (status << 16);
    this.response[1] = 0;
    this.tx.respond(this.response);
  }

  private send(gref: number, offset: number, flags: number, size: number): number {
    const { vcpu } = this;
    if (flags !== 0 || size < ETHERNET_HEADER || size > NETIF_FRAME_MAX) return -PARA_EINVAL;
    const at = grantedRange(vcpu.hv, vcpu.domain, vcpu.memory, gref, DOMID_CORE_OS, 'read', offset, size);
    if (at < 0) return at;
    // What the medium drops is lost, as on any Ethernet. The port copies the frame once and checks the copy.
    this.port.transmit(vcpu.memory.u8, at, size);
    vcpu.count(TX);
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
      vcpu.count(COPIES);
    }
    this.response[0] = id; // offset 0
    this.response[1] = (at >= 0 ? frame.length : at) << 16; // flags 0
    rx.respond(this.response);
    return at >= 0;
  }
}
