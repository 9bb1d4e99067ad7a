/**
 * Realtek RTL8169 (its revision 8169SB/8110SB), by the datasheet of the RTL8169 (1.21): rings of descriptors in guest memory, two
 * for what goes and one for what comes; checksums and segmentation done by the card; a gigabit transceiver behind PHYAR.
 *
 * Not there: wake-on-LAN (its registers keep what is written), the TBI for fibre, interrupt mitigation (each event interrupts at
 * once), and the timer's interrupt by itself: it is found when the driver next touches the card, since no thread waits for it.
 */
import { FRAME_MAX, FRAME_MIN, type NetPort } from '../../../backends/net-port.js';
import { type AccessSize, Lock, type Resettable, STATE_ALIGNMENT } from '../device.js';
import type { PciBar, PciDevice, PciDeviceContext, PciIdentity, PciPort } from '../pci/pci-function.js';
import { CHECKED, checkFrame } from './internet-checksum.js';
import { PacketBuffer } from './packet-buffer.js';
import { filterFrame } from './realtek-filter.js';
import { QUEUE, RTL8169_CONTROL_BYTES, Rtl8169Control } from './rtl8169-control.js';
import { deliverFrame, gatherPacket, returnPacket, sendPacket, type TxPacket } from './rtl8169-descriptors.js';
import { CPCR, CR, INT, REG, REGISTER_BYTES, RX, TCR_LOOPBACK, TPPOLL } from './rtl8169-registers.js';
import { type Sender, TransmitTurn, TURN_STATE_WORDS } from './transmit-turn.js';
import { FCS_BYTES, WireFrame } from './wire-frame.js';

/* Words of the state; then that of the registers. */
const LOCK = 0;
const TURN = 1;
const CONTROL_AT = STATE_ALIGNMENT;
export const RTL8169_STATE_BYTES = CONTROL_AT + RTL8169_CONTROL_BYTES;

const SEGMENT_MAX = 4096;

/** Where the next packet may be: its queue, the word that holds the queue's index, that index and the ring. */
interface TxJob {
  queue: number;
  next: number;
  index: number;
  ring: number;
}

interface TxResult {
  packet: TxPacket | undefined;
  sent: boolean;
  frames: number;
}

export class Rtl8169 implements PciDevice, Resettable {
  readonly name = 'rtl8169';
  readonly identity: PciIdentity = {
    vendor: 0x10ec,
    device: 0x8169,
    revision: 0x10,
    classCode: 0x020000,
    subsystemVendor: 0x10ec,
    subsystem: 0x8169,
    interruptPin: 1,
    minGrant: 0x20,
    maxLatency: 0x40,
  };
  readonly bars: readonly PciBar[];
  readonly #lock: Lock;
  readonly #control: Rtl8169Control;
  /** The registers, and where the card is in its rings. */
  readonly #u8: Uint8Array;
  readonly #u16: Uint16Array;
  readonly #u32: Uint32Array;
  readonly #queues: Int32Array;
  readonly #turn: TransmitTurn<TxJob, TxResult>;
  /* Scratch space: of the thread whose turn it is to send, and of the one that holds the lock. */
  readonly #packet = new PacketBuffer();
  readonly #segment = new PacketBuffer(SEGMENT_MAX);
  readonly #received = new WireFrame();
  /** Of the packet that this thread sends just now. */
  #frames = 0;
  #pci: PciPort = { irq: () => {}, busMaster: () => false, memoryAt: () => -1 };

  /** mac: six bytes. The port is this thread's; its receiver is set here. */
  constructor(
    private readonly context: PciDeviceContext,
    private readonly port: NetPort,
    mac: Uint8Array,
  ) {
    const { state } = context;
    this.#lock = new Lock(state.i32, LOCK);
    this.#control = new Rtl8169Control(state.part(CONTROL_AT, RTL8169_CONTROL_BYTES), mac, this.identity.device, {
      reset: () => this.#renew(),
      store: (address, bytes) => this.#pci.busMaster() && context.ram.write(address, bytes),
    });
    this.#u8 = this.#control.u8;
    this.#u16 = this.#control.u16;
    this.#u32 = this.#control.u32;
    this.#queues = this.#control.queues;
    const turn = state.i32.subarray(TURN, TURN + TURN_STATE_WORDS);
    this.#turn = new TransmitTurn(turn, this.#lock, context.defer, this.#sender);
    this.bars = [
      { kind: 'io', bytes: REGISTER_BYTES, window: this },
      { kind: 'memory', bytes: REGISTER_BYTES, window: this },
    ];
    port.onReceive((frame) => this.receive(frame));
  }

  connect(port: PciPort): void {
    this.#pci = port;
  }

  reset(): void {
    this.context.state.i32.fill(0, 0, CONTROL_AT / 4);
    this.#control.powerOn();
  }

  /** CR.RST, too: what was being sent is nobody's any more. */
  #renew(): void {
    this.#turn.renew();
    this.#updateIrq();
  }

  #updateIrq(): void {
    this.#pci.irq(this.#control.interrupting);
  }

  counters(): Record<string, number> {
    return { ...this.#control.tally.counters(this.name), 'rtl8169.interrupts': this.#control.interrupts };
  }

  read(offset: number, size: AccessSize): number {
    this.#lock.acquire();
    const value = this.#control.read(offset, size);
    this.#updateIrq();
    this.#lock.release();
    return value;
  }

  write(offset: number, size: AccessSize, value: number): void {
    this.#lock.acquire();
    this.#control.write(offset, size, value);
    const start = this.#turn.take();
    this.#updateIrq();
    this.#lock.release();
    if (start) this.#turn.run();
  }

  /** From the switch, on whatever thread the frame arrives. false: not wanted, or no room. */
  receive(frame: Uint8Array): boolean {
    this.#lock.acquire();
    const taken = this.#receive(frame);
    this.#updateIrq();
    this.#lock.release();
    return taken;
  }

  /* ---- transmitting ---- */

  readonly #sender: Sender<TxJob, TxResult> = {
    ready: () => this.#queues[QUEUE.POLL] !== 0 && (this.#u8[REG.CR] & CR.TE) !== 0 && this.#pci.busMaster(),
    begin: () => this.#nextJob(),
    send: ({ ring, index }) => {
      const packet = gatherPacket(this.context.ram, ring, index, this.#packet);
      this.#frames = 0;
      const sent = packet !== undefined && this.#send(packet);
      return { packet, sent, frames: this.#frames };
    },
    finish: (job, result) => this.#finish(job, result),
    settle: () => this.#updateIrq(),
    flush: () => this.port.flush(),
  };

  /** The high-priority queue goes first. */
  #nextJob(): TxJob {
    const queues = this.#queues;
    const high = (queues[QUEUE.POLL] & TPPOLL.HIGH) !== 0;
    const queue = high ? TPPOLL.HIGH : TPPOLL.NORMAL;
    const next = high ? QUEUE.TX_HIGH_NEXT : QUEUE.TX_NEXT;
    queues[QUEUE.POLL] &= ~queue;
    return { queue, next, index: queues[next], ring: this.#control.address(high ? REG.THPDS : REG.TNPDS) };
  }

  #finish({ queue, next, index, ring }: TxJob, { packet, sent }: TxResult): void {
    if (packet === undefined) {
      this.#control.raise(INT.TDU);
      return;
    }
    returnPacket(this.context.ram, ring, index, packet.count);
    this.#queues[next] = packet.next;
    // A ring outside RAM is not looked at again before the next doorbell.
    if (packet.count > 0) this.#queues[QUEUE.POLL] |= queue;
    this.#control.tally.sent(sent);
    this.#control.raise(sent ? INT.TOK : packet.count > 0 ? INT.TER : INT.TER | INT.SERR);
  }

  #send(packet: TxPacket): boolean {
    if (packet.fault) return false;
    const loopback = (this.#u32[REG.TCR >> 2] & TCR_LOOPBACK) !== 0 || this.#control.phy.loopback;
    return sendPacket(packet, this.#packet, this.#segment, (frame, offset, bytes) => {
      this.#frames++;
      if (loopback) this.receive(frame.slice(offset, offset + bytes));
      else if (this.#control.phy.linkUp) this.port.transmit(frame, offset, bytes);
    });
  }

  /* ---- receiving ---- */

  #receive(frame: Uint8Array): boolean {
    if (!(this.#u8[REG.CR] & CR.RE) || !this.#pci.busMaster() || !this.#control.phy.linkUp) return false;
    if (frame.length < FRAME_MIN || frame.length > FRAME_MAX) return false;
    const match = filterFrame(frame, this.#u8, this.#u32[REG.RCR >> 2]);
    const most = this.#u16[REG.RMS >> 1];
    if (match < 0 || (most > 0 && frame.length + FCS_BYTES > most)) return false;
    const status = (match << RX.MATCH_SHIFT) | this.#rxStatus(frame);
    const stripped = (this.#u16[REG.CPCR >> 1] & CPCR.RX_VLAN) !== 0 && frame[12] === 0x81 && frame[13] === 0;
    const vlan = stripped && frame.length >= 16 ? RX.TAVA | frame[14] | (frame[15] << 8) : 0;
    const image = this.#received.image(frame, vlan !== 0);
    const result = deliverFrame(
      this.context.ram,
      this.#control.address(REG.RDSAR),
      this.#queues[QUEUE.RX_NEXT],
      image,
      status,
      vlan,
    );
    if (typeof result === 'string') {
      this.#missed(result === 'bus error');
      return false;
    }
    this.#queues[QUEUE.RX_NEXT] = result.next;
    this.#control.tally.received(match);
    this.#control.raise(INT.ROK);
    return true;
  }

  #missed(busError: boolean): void {
    this.#control.tally.missed();
    this.#u32[REG.MPC >> 2] = (this.#u32[REG.MPC >> 2] + 1) & 0xff_ffff;
    this.#control.raise(busError ? INT.SERR : INT.RDU);
  }

  /** Protocol and checksums, when the driver wants them checked (CPCR.RxChkSum). */
  #rxStatus(frame: Uint8Array): number {
    if (!(this.#u16[REG.CPCR >> 1] & CPCR.RX_CHECKSUM)) return 0;
    const found = checkFrame(frame, frame.length);
    if (!(found & CHECKED.IP)) return 0;
    const bad = found & CHECKED.IP_BAD ? RX.IPF : 0;
    const broken = (found & CHECKED.TRANSPORT_BAD) !== 0;
    if (found & CHECKED.TCP) return RX.PID0 | bad | (broken ? RX.TCPF : 0);
    if (found & CHECKED.UDP) return RX.PID1 | bad | (broken ? RX.UDPF : 0);
    return RX.PID0 | RX.PID1 | bad;
  }
}
