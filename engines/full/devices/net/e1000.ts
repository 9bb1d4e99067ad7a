/**
 * Intel 82540EM ("e1000", QEMU's PCI identity) by the 8254x Software Developer's Manual: rings of descriptors in guest memory,
 * checksums and TCP segmentation done by the card, an M88 transceiver behind MDIC.
 *
 * Not there: wake-up and management, flash, interrupt throttling and delays (each event interrupts at once), the packet buffer
 * as memory, the packet checksum of the receiver (its field reads 0; IP and TCP/UDP are checked), frames without FCS insertion.
 */
import { FRAME_MAX, FRAME_MIN, type NetPort } from '../../../backends/net-port.js';
import { type AccessSize, type Device, Lock, type Resettable, STATE_ALIGNMENT } from '../device.js';
import type { PciBar, PciDevice, PciDeviceContext, PciIdentity, PciPort } from '../pci/pci-function.js';
import { E1000_CONTROL_BYTES, E1000Control } from './e1000-control.js';
import { bufferBytes, deliverFrame, fewLeft, filterFrame, isBroadcast, vlanWanted } from './e1000-receive.js';
import { CTRL, INT, RCTL, REG, RX_STATUS, RXCSUM, STAT, TCTL, TX, WINDOW_BYTES } from './e1000-registers.js';
import {
  CONTEXT_WORDS,
  gatherPacket,
  isLargeContext,
  reportDone,
  sendPacket,
  type TxContexts,
  type TxPacket,
  type TxRing,
} from './e1000-transmit.js';
import { CHECKED, checkFrame } from './internet-checksum.js';
import { PacketBuffer } from './packet-buffer.js';
import { type Sender, TransmitTurn, TURN_STATE_WORDS } from './transmit-turn.js';
import { FCS_BYTES, WIRE_MIN, WireFrame } from './wire-frame.js';

/* Words of the state; then that of the registers. */
const LOCK = 0;
const TURN = 1;
/** The driver has moved the Tx tail, or switched the transmitter on, since the ring was last looked at. */
const DOORBELL = 3;
/** IOADDR of the I/O window. */
const IO_ADDRESS = 4;
/** Two contexts: of checksums, of large sends. */
const CONTEXTS = 5;
/** Totals since power-on. */
const SENT = CONTEXTS + 2 * CONTEXT_WORDS;
const RECEIVED = SENT + 1;
const MISSED = SENT + 2;
const CONTROL_AT = Math.ceil(((MISSED + 1) * 4) / STATE_ALIGNMENT) * STATE_ALIGNMENT;
export const E1000_STATE_BYTES = CONTROL_AT + E1000_CONTROL_BYTES;

const SEGMENT_MAX = 16_384;
const IO_BYTES = 64;
const IODATA = 4;

interface TxResult {
  packet: TxPacket | undefined;
  /** Length of each frame that went out, and how many they are. */
  lengths: number[];
  frames: number;
}

export class E1000 implements PciDevice, Resettable {
  readonly name = 'e1000';
  readonly identity: PciIdentity = {
    vendor: 0x8086,
    device: 0x100e,
    revision: 3,
    classCode: 0x020000,
    subsystemVendor: 0x1af4,
    subsystem: 0x1100,
    interruptPin: 1,
    minGrant: 0xff,
  };
  readonly bars: readonly PciBar[];
  readonly #words: Int32Array;
  readonly #regs: Uint32Array;
  readonly #lock: Lock;
  readonly #control: E1000Control;
  readonly #contexts: TxContexts;
  readonly #turn: TransmitTurn<TxRing | undefined, TxResult>;
  /* Scratch space: of the thread whose turn it is to send, and of the one that holds the lock. */
  readonly #packet = new PacketBuffer();
  readonly #segment = new PacketBuffer(SEGMENT_MAX);
  readonly #received = new WireFrame();
  #pci: PciPort = { irq: () => {}, busMaster: () => false, memoryAt: () => -1 };

  /** mac: six bytes. The port is this thread's; its receiver is set here. */
  constructor(
    private readonly context: PciDeviceContext,
    private readonly port: NetPort,
    mac: Uint8Array,
  ) {
    const { state } = context;
    this.#words = state.i32;
    this.#control = new E1000Control(state.part(CONTROL_AT, E1000_CONTROL_BYTES), mac, {
      doorbell: () => {
        this.#words[DOORBELL] = 1;
      },
      reset: () => this.#renew(),
    });
    this.#regs = this.#control.regs;
    this.#lock = new Lock(state.i32, LOCK);
    this.#contexts = {
      checksum: state.i32.subarray(CONTEXTS, CONTEXTS + CONTEXT_WORDS),
      large: state.i32.subarray(CONTEXTS + CONTEXT_WORDS, CONTEXTS + 2 * CONTEXT_WORDS),
    };
    const turn = state.i32.subarray(TURN, TURN + TURN_STATE_WORDS);
    this.#turn = new TransmitTurn(turn, this.#lock, context.defer, this.#sender);
    const io: Device = {
      name: this.name,
      read: (offset, size) => this.#readIo(offset, size),
      write: (offset, size, value) => this.#writeIo(offset, size, value),
    };
    this.bars = [
      { kind: 'memory', bytes: WINDOW_BYTES, window: this },
      { kind: 'io', bytes: IO_BYTES, window: io },
    ];
    port.onReceive((frame) => this.receive(frame));
  }

  connect(port: PciPort): void {
    this.#pci = port;
  }

  reset(): void {
    this.#words.fill(0);
    this.#control.powerOn();
  }

  /** CTRL.RST, too: what was being sent is nobody's any more. */
  #renew(): void {
    this.#turn.renew();
    this.#words[DOORBELL] = 0;
    this.#words.fill(0, CONTEXTS, CONTEXTS + 2 * CONTEXT_WORDS);
    this.#updateIrq();
  }

  #updateIrq(): void {
    this.#pci.irq(this.#control.interrupting);
  }

  counters(): Record<string, number> {
    const w = this.#words;
    return {
      'e1000.tx_packets': w[SENT],
      'e1000.rx_frames': w[RECEIVED],
      'e1000.rx_missed': w[MISSED],
      'e1000.interrupts': this.#control.interrupts,
    };
  }

  /** Registers are words: of a smaller read the answer is a part of one, and it has the whole read's effects. */
  read(offset: number, size: AccessSize): number {
    this.#lock.acquire();
    const word = this.#control.read(offset & ~3) >>> ((offset & 3) * 8);
    this.#updateIrq();
    this.#lock.release();
    return size === 4 ? word : word & ((1 << (size * 8)) - 1);
  }

  /** Smaller writes, which the manual forbids (13.2), are ignored. */
  write(offset: number, size: AccessSize, value: number): void {
    if (size !== 4 || offset & 3) return;
    this.#lock.acquire();
    this.#control.write(offset, value);
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

  /* ---- registers by I/O ---- */

  /** IOADDR and IODATA: a register chosen by the first shows in the second (13.2.1). */
  #readIo(offset: number, size: AccessSize): number {
    if (size !== 4) return 0;
    const address = this.#words[IO_ADDRESS] >>> 0;
    if (offset === 0) return address;
    return offset === IODATA && address < WINDOW_BYTES ? this.read(address & ~3, 4) : 0;
  }

  #writeIo(offset: number, size: AccessSize, value: number): void {
    if (size !== 4) return;
    const address = this.#words[IO_ADDRESS] >>> 0;
    if (offset === 0) this.#words[IO_ADDRESS] = value;
    else if (offset === IODATA && address < WINDOW_BYTES) this.write(address & ~3, 4, value);
  }

  /* ---- transmitting ---- */

  readonly #sender: Sender<TxRing | undefined, TxResult> = {
    ready: () => {
      const on = (this.#regs[REG.TCTL >> 2] & TCTL.EN) !== 0;
      return on && this.#words[DOORBELL] !== 0 && this.#pci.busMaster();
    },
    begin: () => {
      this.#words[DOORBELL] = 0;
      return this.#control.ring(REG.TDBAL);
    },
    send: (ring) => {
      const packet = ring && gatherPacket(this.context.ram, ring, this.#packet);
      const lengths: number[] = [];
      if (packet && !packet.context && !packet.fault) this.#send(packet, lengths);
      return { packet, lengths, frames: lengths.length };
    },
    finish: (_ring, { packet, lengths }) => {
      if (packet) this.#sent(packet, lengths);
    },
    settle: () => this.#updateIrq(),
    flush: () => this.port.flush(),
  };

  /** lengths: takes the length of each frame that went out. */
  #send(packet: TxPacket, lengths: number[]): void {
    const regs = this.#regs;
    const tagged = (packet.last & TX.VLE) !== 0 && (regs[REG.CTRL >> 2] & CTRL.VME) !== 0;
    const tag = tagged ? ((regs[REG.VET >> 2] << 16) | (packet.lastStatus >>> 16)) >>> 0 : -1;
    const loopback = (regs[REG.RCTL >> 2] & RCTL.LBM) !== 0 || this.#control.phy.loopback;
    sendPacket(packet, this.#contexts, this.#packet, this.#segment, tag, (frame, offset, bytes) => {
      lengths.push(bytes);
      if (loopback) this.receive(frame.slice(offset, offset + bytes));
      else if (this.#control.phy.linkUp) this.port.transmit(frame, offset, bytes);
    });
  }

  /** Under the lock: the descriptors are done. */
  #sent(packet: TxPacket, lengths: readonly number[]): void {
    const { context, reports } = packet;
    const regs = this.#regs;
    if (context) this.#words.set(context, isLargeContext(context) ? CONTEXTS + CONTEXT_WORDS : CONTEXTS);
    const first = this.#packet.start;
    for (const bytes of lengths) {
      this.#control.statistics.transmitted(
        Math.max(bytes, WIRE_MIN) + FCS_BYTES,
        (first[0] & 1) !== 0,
        isBroadcast(first),
      );
    }
    if (packet.first & TX.DEXT && packet.first & TX.TSE && !context) {
      this.#control.statistics.add(lengths.length > 0 ? STAT.TSCTC : STAT.TSCTFC);
    }
    this.#words[SENT] += lengths.length;
    reportDone(this.context.ram, reports);
    regs[REG.TDH >> 2] = packet.next;
    this.#words[DOORBELL] = 1;
    if (reports.length > 0) this.#control.raise(INT.TXDW);
    if (packet.next === regs[REG.TDT >> 2]) this.#control.raise(INT.TXQE);
  }

  /* ---- receiving ---- */

  #receive(frame: Uint8Array): boolean {
    const regs = this.#regs;
    const rctl = regs[REG.RCTL >> 2];
    if (!(rctl & RCTL.EN) || !this.#pci.busMaster() || !this.#control.phy.linkUp) return false;
    if (frame.length < FRAME_MIN || frame.length > FRAME_MAX) return false;
    const match = filterFrame(frame, regs);
    if (match < 0) return false;
    const type = (frame[12] << 8) | frame[13];
    const tag = type === regs[REG.VET >> 2] && frame.length >= 16 ? (frame[14] << 8) | frame[15] : -1;
    if (tag >= 0 && !vlanWanted(tag, regs)) return false;
    const strip = tag >= 0 && (regs[REG.CTRL >> 2] & CTRL.VME) !== 0;
    const status = match | this.#checks(frame) | (strip ? RX_STATUS.VP | (tag << 16) : 0);
    const ring = this.#control.ring(REG.RDBAL);
    const image = this.#received.image(frame, strip, !(rctl & RCTL.SECRC));
    const result = ring && deliverFrame(this.context.ram, ring, bufferBytes(rctl), image, status);
    if (ring === undefined || result === undefined || typeof result === 'string') {
      this.#words[MISSED]++;
      this.#control.statistics.add(STAT.MPC);
      this.#control.statistics.add(STAT.RNBC);
      this.#control.raise(INT.RXO);
      return false;
    }
    regs[REG.RDH >> 2] = result.head;
    this.#words[RECEIVED]++;
    this.#control.statistics.received(
      Math.max(frame.length, WIRE_MIN) + FCS_BYTES,
      (frame[0] & 1) !== 0,
      isBroadcast(frame),
    );
    this.#control.raise(INT.RXT0 | (fewLeft({ ...ring, head: result.head }, rctl) ? INT.RXDMT0 : 0));
    return true;
  }

  /** What the driver wants checked (RXCSUM, 13.4.37), and what came of it. */
  #checks(frame: Uint8Array): number {
    const wanted = this.#regs[REG.RXCSUM >> 2];
    if (!(wanted & (RXCSUM.IPOFL | RXCSUM.TUOFL))) return RX_STATUS.IXSM;
    const found = checkFrame(frame, frame.length);
    let status = 0;
    if (wanted & RXCSUM.IPOFL && found & CHECKED.IPV4) {
      status |= RX_STATUS.IPCS | (found & CHECKED.IP_BAD ? RX_STATUS.IPE : 0);
    }
    if (wanted & RXCSUM.TUOFL && found & (CHECKED.TCP | CHECKED.UDP)) {
      status |= RX_STATUS.TCPCS | (found & CHECKED.TRANSPORT_BAD ? RX_STATUS.TCPE : 0);
    }
    return status === 0 ? RX_STATUS.IXSM : status;
  }
}
