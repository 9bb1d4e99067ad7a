/**
 * The network device (virtio 1.2, 5.1), a pair of queues a hart and a control queue.
 *
 *      doorbell ─► take() … transmit() … ─► flush() ─► all chains given back, one interrupt at most
 *      port ─► receive(): straight into the driver's buffer, on whatever thread the frame arrives
 *
 * A frame that comes answers one that went out on the same thread, so it goes to the pair of queues that this thread sent on last
 * (automatic receive steering, 5.1.6.5.6).
 */
import { FRAME_MAX, FRAME_MIN, type NetPort } from '../../../backends/net-port.js';
import { CHECKED, checkFrame } from '../net/internet-checksum.js';
import { Chain } from './chain.js';
import { type VirtioContext, VirtioCore, type VirtioHooks, type VirtioModel, virtioStateBytes } from './core.js';
import { COMMAND_MAX, NET_CONTROL_BYTES, NetControl } from './net-control.js';
import { PacketSender } from './net-sender.js';
import { ACK, HDR, HDR_F, LINK_UP, NET_CONFIG, NET_F } from './net-spec.js';
import { chains, serveQueue } from './serve.js';
import { TYPE } from './spec.js';
import { BROKEN, EMPTY, type Virtqueue } from './virtqueue.js';

const QUEUE_SIZE = 256;
const CONTROL_QUEUE_SIZE = 64;
/** Chains that are sent before they are given back, and doorbells' length: then the guest runs again. */
const BATCH = 64;
const BATCHES = 4;

const OWN_BYTES = 64 + NET_CONTROL_BYTES;
/* Words of the own state, before the control queue's. */
const DROPPED = 0;

const queueCount = (pairs: number): number => 2 * pairs + 1;
export const virtioNetStateBytes = (pairs: number): number => virtioStateBytes(queueCount(pairs), OWN_BYTES);

export class VirtioNet implements VirtioModel, VirtioHooks {
  readonly name = 'virtio-net';
  readonly core: VirtioCore;
  readonly #control: NetControl;
  readonly #sender: PacketSender;
  /* Scratch space of each direction apart: a frame may be answered from within transmit(). */
  readonly #outgoing: Chain;
  readonly #sent = new Given(BATCH);
  readonly #incoming: Chain;
  readonly #more: Chain;
  readonly #received = new Given(QUEUE_SIZE);
  readonly #header = new Uint8Array(HDR.BYTES);
  readonly #command = new Uint8Array(COMMAND_MAX);
  /** The pair that this thread sent on last. */
  #pair = 0;

  /** mac: six bytes. pairs: of queues, one a hart. The port is this thread's; its receiver is set here. */
  constructor(
    private readonly context: VirtioContext,
    private readonly port: NetPort,
    private readonly mac: Uint8Array,
    private readonly pairs: number,
  ) {
    const queueSizes = new Array<number>(2 * pairs).fill(QUEUE_SIZE);
    const traits = {
      type: TYPE.NET,
      features: features(pairs),
      queueSizes: [...queueSizes, CONTROL_QUEUE_SIZE],
      configBytes: NET_CONFIG.BYTES,
    };
    this.core = new VirtioCore(this.name, context, traits, this);
    this.#outgoing = new Chain(context.ram);
    this.#incoming = new Chain(context.ram);
    this.#more = new Chain(context.ram);
    this.#sender = new PacketSender(port);
    this.#control = new NetControl(this.core.own.part(64, NET_CONTROL_BYTES), pairs, (to) => this.#putMac(to));
    port.onReceive((frame) => this.receive(frame));
  }

  counters(): Record<string, number> {
    return { ...this.core.counters(), [`${this.name}.dropped`]: this.core.own.i32[DROPPED] };
  }

  initialize(): void {
    const { config } = this.core;
    this.#putMac(this.mac);
    config.setUint16(NET_CONFIG.STATUS, LINK_UP, true);
    config.setUint16(NET_CONFIG.MAX_PAIRS, this.pairs, true);
    this.#control.reset(this.mac);
  }

  notified(n: number): void {
    const queue = this.core.queues[n];
    if (n === this.#controlQueue) this.#serve(queue);
    else if (n % 2 === 1) this.#send(n, queue);
    else queue.suppressNotifications();
  }

  /** 5.1.2: behind all pairs, or behind the one of a driver that knows of no more. */
  get #controlQueue(): number {
    return this.core.has(NET_F.MQ) ? 2 * this.pairs : 2;
  }

  #putMac(mac: Uint8Array): void {
    for (let i = 0; i < 6; i++) this.core.config.setUint8(NET_CONFIG.MAC + i, mac[i]);
  }

  /* ---- sending ---- */

  #send(n: number, queue: Virtqueue): void {
    this.#pair = n >> 1;
    // Who has it looks at the queue once more after letting go. Not at once: other harts could keep this one here for ever.
    if (!queue.taking.tryAcquire()) return;
    let empty = false;
    for (let batch = 0; batch < BATCHES && !empty; batch++) empty = this.#sendBatch(queue);
    queue.taking.release();
    if (this.core.live && (!empty || queue.waiting)) this.context.defer(() => this.#send(n, queue));
  }

  /** True: the queue is empty, and the driver will tell of the next frame. */
  #sendBatch(queue: Virtqueue): boolean {
    const { epoch } = queue;
    const sent = this.#sent;
    sent.count = 0;
    let empty = false;
    while (sent.count < BATCH && !empty && this.core.live) {
      const head = queue.take(this.#outgoing);
      if (head === EMPTY) empty = !queue.rearm();
      else if (head === BROKEN || !this.#sender.send(this.#outgoing)) this.core.needsReset();
      else sent.add(head, 0);
    }
    if (sent.count > 0) {
      this.port.flush();
      sent.giveBack(queue, epoch);
    }
    return empty;
  }

  /* ---- receiving ---- */

  /** From the switch, on whatever thread the frame arrives. False: not wanted, or no room. */
  receive(frame: Uint8Array): boolean {
    const { core } = this;
    if (!core.live || frame.length < FRAME_MIN || frame.length > FRAME_MAX || !this.#control.accepts(frame)) {
      return false;
    }
    const queue = core.queues[2 * Math.min(this.#pair, this.#control.pairs - 1)];
    queue.taking.acquire();
    const { epoch } = queue;
    const result = this.#fill(queue, frame);
    if (result > 0) this.#received.giveBack(queue, epoch);
    queue.taking.release();
    if (result === BROKEN) core.needsReset();
    if (result <= 0) Atomics.add(core.own.i32, DROPPED, 1);
    return result > 0;
  }

  /** How many of the driver's buffers the frame took; 0: there are not enough; or BROKEN. */
  #fill(queue: Virtqueue, frame: Uint8Array): number {
    const chain = this.#incoming;
    const head = queue.peek(chain);
    if (head < 0) return head === BROKEN ? BROKEN : 0;
    const room = chain.writableBytes - HDR.BYTES;
    if (room < 0) return BROKEN;
    if (room < frame.length && !this.core.has(NET_F.MRG_RXBUF)) return 0;
    queue.skip();
    this.#received.count = 0;
    this.#received.add(head, HDR.BYTES + chain.copyIn(HDR.BYTES, frame));
    const count = room < frame.length ? this.#spread(queue, frame, room) : 1;
    if (count <= 0) return count;
    const header = this.#header;
    header[HDR.FLAGS] = this.core.has(NET_F.GUEST_CSUM) && isValid(frame) ? HDR_F.DATA_VALID : 0;
    header[HDR.NUM_BUFFERS] = count; // 1 also without MRG_RXBUF (5.1.6.4.1)
    header[HDR.NUM_BUFFERS + 1] = count >> 8;
    chain.copyIn(0, header);
    return count;
  }

  /** MRG_RXBUF: the rest of a frame, of which `done` bytes have found a place, into further buffers. As #fill(). */
  #spread(queue: Virtqueue, frame: Uint8Array, done: number): number {
    const received = this.#received;
    for (let at = done; at < frame.length; ) {
      const head = received.count < QUEUE_SIZE ? queue.peek(this.#more) : EMPTY;
      if (head < 0) {
        queue.unskip(received.count);
        return head === BROKEN ? BROKEN : 0;
      }
      const written = this.#more.copyIn(0, frame.subarray(at));
      received.add(head, written);
      at += written;
      queue.skip();
    }
    return received.count;
  }

  /* ---- the control queue ---- */

  #serve(queue: Virtqueue): void {
    const chain = this.#outgoing;
    serveQueue({ core: this.core, context: this.context, chain }, queue, () =>
      chains(CONTROL_QUEUE_SIZE, (head) => {
        if (chain.writableBytes < 1) return false;
        const bytes = chain.copyOut(0, this.#command);
        const done = this.#control.carryOut(this.#command.subarray(0, bytes), chain.readableBytes);
        chain.all[chain.lastWritable] = done ? ACK.OK : ACK.ERR;
        queue.complete(head, 1, queue.epoch);
        return true;
      }),
    );
  }
}

/** Chains that will be given back together. */
class Given {
  count = 0;
  readonly #heads: Uint16Array;
  readonly #written: Uint32Array;

  constructor(max: number) {
    this.#heads = new Uint16Array(max);
    this.#written = new Uint32Array(max);
  }

  add(head: number, written: number): void {
    this.#heads[this.count] = head;
    this.#written[this.count++] = written;
  }

  giveBack(queue: Virtqueue, epoch: number): void {
    if (!queue.begin(epoch)) return;
    for (let i = 0; i < this.count; i++) queue.give(this.#heads[i], this.#written[i]);
    queue.end();
  }
}

/** The transport checksum has been looked at and is right. */
function isValid(frame: Uint8Array): boolean {
  const bits = checkFrame(frame, frame.length);
  return (bits & (CHECKED.TCP | CHECKED.UDP)) !== 0 && !(bits & (CHECKED.IP_BAD | CHECKED.TRANSPORT_BAD));
}

function features(pairs: number): number {
  const { CTRL_VQ, CTRL_RX, CTRL_RX_EXTRA, CTRL_MAC_ADDR } = NET_F;
  const bits: number[] = [NET_F.MAC, NET_F.STATUS, NET_F.MRG_RXBUF, CTRL_VQ, CTRL_RX, CTRL_RX_EXTRA, CTRL_MAC_ADDR];
  bits.push(NET_F.CSUM, NET_F.GUEST_CSUM, NET_F.HOST_TSO4, NET_F.HOST_TSO6);
  if (pairs > 1) bits.push(NET_F.MQ);
  return bits.reduce((all, bit) => all | (1 << bit), 0);
}
