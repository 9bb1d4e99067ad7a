/**
 * Intel 82540EM ("e1000", QEMU's PCI identity) by the 8254x Software Developer's Manual: rings of descriptors in guest memory,
 * checksums and TCP segmentation done by the card, an M88 transceiver behind MDIC.
 *
 * Not there: wake-up and management, flash, interrupt throttling and delays (each event interrupts at once), the packet buffer
 * as memory, the packet checksum of the receiver (its field reads 0; IP and TCP/UDP are checked), frames without FCS insertion.
 */
import { FRAME_MAX, FRAME_MIN, type NetPort } from '../../backends/net-port.js';
import { type AccessSize, type Device, Lock, type Resettable } from './device.js';
import { readByEerd, writeEecd } from './e1000-eeprom.js';
import {
  bufferBytes,
  deliverFrame,
  fewLeft,
  filterFrame,
  isBroadcast,
  type RxRing,
  vlanWanted,
} from './e1000-receive.js';
import {
  CTRL,
  EECD,
  INT,
  MDIC,
  RAH_VALID,
  RCTL,
  REG,
  REGISTER_BYTES,
  RX_STATUS,
  RXCSUM,
  STAT,
  STATUS_UP,
  TCTL,
  TX,
  WINDOW_BYTES,
  WRITABLE,
} from './e1000-registers.js';
import { Statistics } from './e1000-statistics.js';
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
import { MICROWIRE_STATE_WORDS } from './microwire.js';
import { MiiPhy, PHY_STATE_WORDS, type PhyModel } from './mii-phy.js';
import { PacketBuffer } from './packet-buffer.js';
import type { PciBar, PciDevice, PciDeviceContext, PciIdentity, PciPort } from './pci-function.js';
import { type Sender, TransmitTurn, TURN_STATE_WORDS } from './transmit-turn.js';
import { FCS_BYTES, WIRE_MIN, WireFrame } from './wire-frame.js';

/* Words of the state; then the registers. */
const LOCK = 0;
const TURN = 1;
/** The driver has moved the Tx tail, or switched the transmitter on, since the ring was last looked at. */
const DOORBELL = 3;
/** IOADDR of the I/O window. */
const IO_ADDRESS = 4;
const EEPROM = 5;
const PHY = EEPROM + MICROWIRE_STATE_WORDS;
/** Two contexts: of checksums, of large sends. */
const CONTEXTS = PHY + PHY_STATE_WORDS;
/** Totals since power-on. */
const SENT = CONTEXTS + 2 * CONTEXT_WORDS;
const RECEIVED = SENT + 1;
const MISSED = SENT + 2;
const INTERRUPTS = SENT + 3;
const REGISTERS_AT = 256;
export const E1000_STATE_BYTES = REGISTERS_AT + REGISTER_BYTES;

const SEGMENT_MAX = 16_384;
const PHY_ADDRESS = 1;
const IO_BYTES = 64;
const IODATA = 4;

/** Marvell's 88E1011, which the 82540EM has on its chip. 17: 1000 Mbit/s, full duplex, resolved, link up. */
const PHY_MODEL: PhyModel = {
  id1: 0x0141,
  id2: 0x0c20,
  vendor: {
    16: { value: 0x0360, writable: 0xffff },
    17: { value: 0xac00, writable: 0 },
    18: { value: 0, writable: 0xffff },
    20: { value: 0x0d60, writable: 0xffff },
    29: { value: 0, writable: 0xffff },
    30: { value: 0, writable: 0xffff },
  },
};

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
  readonly #phy: MiiPhy;
  readonly #statistics: Statistics;
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
    private readonly mac: Uint8Array,
  ) {
    const { state } = context;
    this.#words = state.i32;
    this.#regs = new Uint32Array(state.buffer, state.offset + REGISTERS_AT, REGISTER_BYTES / 4);
    this.#lock = new Lock(state.i32, LOCK);
    this.#phy = new MiiPhy(state.i32.subarray(PHY, PHY + PHY_STATE_WORDS), PHY_MODEL);
    this.#statistics = new Statistics(this.#regs);
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
    this.#phy.reset();
    this.#regs.fill(0);
    this.#resetRegisters();
  }

  counters(): Record<string, number> {
    const w = this.#words;
    return {
      'e1000.tx_packets': w[SENT],
      'e1000.rx_frames': w[RECEIVED],
      'e1000.rx_missed': w[MISSED],
      'e1000.interrupts': w[INTERRUPTS],
    };
  }

  /** Registers are words: of a smaller read the answer is a part of one, and it has the whole read's effects. */
  read(offset: number, size: AccessSize): number {
    this.#lock.acquire();
    const word = this.#readRegister(offset & ~3) >>> ((offset & 3) * 8);
    this.#updateIrq();
    this.#lock.release();
    return size === 4 ? word : word & ((1 << (size * 8)) - 1);
  }

  /** Smaller writes, which the manual forbids (13.2), are ignored. */
  write(offset: number, size: AccessSize, value: number): void {
    if (size !== 4 || offset & 3) return;
    this.#lock.acquire();
    this.#writeRegister(offset, value);
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

  /* ---- registers ---- */

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

  #readRegister(offset: number): number {
    if (offset >= STAT.FIRST && offset < STAT.LAST) return this.#statistics.read(offset);
    switch (offset) {
      case REG.CTRL_DUP:
        return this.#regs[REG.CTRL >> 2];
      case REG.STATUS:
        return this.#phy.linkUp ? STATUS_UP : STATUS_UP & ~2;
      case REG.ICR: {
        const causes = this.#regs[REG.ICR >> 2];
        this.#regs[REG.ICR >> 2] = 0;
        return causes;
      }
      case REG.ICS:
      case REG.IMC:
        return 0;
      default:
        return this.#regs[offset >> 2] ?? 0;
    }
  }

  #writeRegister(offset: number, raw: number): void {
    const at = offset >> 2;
    const mask = WRITABLE[at] ?? 0;
    const value = (raw & mask) >>> 0;
    const regs = this.#regs;
    switch (offset) {
      case REG.CTRL:
      case REG.CTRL_DUP:
        this.#writeControl(raw);
        return;
      case REG.ICR:
        regs[at] &= ~value;
        return;
      case REG.ICS:
        this.#raise(value);
        return;
      case REG.IMS:
        regs[at] |= value;
        return;
      case REG.IMC:
        regs[REG.IMS >> 2] &= ~value;
        return;
      case REG.EECD: {
        const state = this.#words.subarray(EEPROM, EEPROM + MICROWIRE_STATE_WORDS);
        regs[at] = writeEecd(state, regs[at], value, this.mac);
        return;
      }
      case REG.EERD:
        regs[at] = readByEerd(value, this.mac);
        return;
      case REG.MDIC:
        this.#writeMdic(value);
        return;
      case REG.TDT:
      case REG.TCTL:
        this.#words[DOORBELL] = 1;
        break;
    }
    if (mask) regs[at] = ((regs[at] & ~mask) | value) >>> 0;
  }

  #writeControl(value: number): void {
    if (value & CTRL.PHY_RST) {
      this.#phy.reset();
      this.#raise(INT.LSC);
    }
    if (value & CTRL.RST) this.#resetRegisters();
    else this.#regs[REG.CTRL >> 2] = (value & ~CTRL.PHY_RST) >>> 0;
  }

  /** MDIC (13.4.8): the transceiver answers at once. */
  #writeMdic(value: number): void {
    const register = (value >>> 16) & 0x1f;
    const operation = (value >>> 26) & 3;
    let result = (value & ~(MDIC.ERROR | 0xffff)) | MDIC.READY;
    if (((value >>> 21) & 0x1f) !== PHY_ADDRESS) result |= MDIC.ERROR;
    else if (operation === MDIC.READ) result |= this.#phy.read(register);
    else if (operation === MDIC.WRITE) {
      result |= value & 0xffff;
      if (this.#phy.write(register, value & 0xffff)) this.#raise(INT.LSC);
    }
    this.#regs[REG.MDIC >> 2] = result >>> 0;
    if (value & MDIC.INTERRUPT) this.#raise(INT.MDAC);
  }

  /** CTRL.RST and power-on (14.4): the station address comes from the EEPROM again; the transceiver and the tables go on. */
  #resetRegisters(): void {
    const regs = this.#regs;
    const tables = regs.slice(REG.MTA >> 2);
    this.#turn.renew();
    this.#words[DOORBELL] = 0;
    this.#words.fill(0, CONTEXTS, CONTEXTS + 2 * CONTEXT_WORDS);
    regs.fill(0);
    regs.set(tables, REG.MTA >> 2);
    regs.fill(0, REG.RA >> 2, (REG.RA + 128) >> 2);
    const { mac } = this;
    regs[REG.RA >> 2] = mac[0] | (mac[1] << 8) | (mac[2] << 16) | (mac[3] << 24);
    regs[(REG.RA >> 2) + 1] = RAH_VALID | mac[4] | (mac[5] << 8);
    regs[REG.CTRL >> 2] = CTRL.FD | CTRL.SLU | CTRL.SPEED_1000;
    regs[REG.EECD >> 2] = EECD.PRES | EECD.DO;
    regs[REG.VET >> 2] = 0x8100;
    regs[REG.PBA >> 2] = 0x0010_0030; // 48 KiB for the receiver, 16 for the transmitter
    this.#updateIrq();
  }

  #updateIrq(): void {
    this.#pci.irq((this.#regs[REG.ICR >> 2] & this.#regs[REG.IMS >> 2]) !== 0);
  }

  #raise(bits: number): void {
    const at = REG.ICR >> 2;
    if ((this.#regs[at] & bits) !== bits) this.#words[INTERRUPTS]++;
    this.#regs[at] |= bits;
  }

  /** The ring whose BASE register is given, as the registers stand now; undefined while its head or tail is outside. */
  #ring(base: number): RxRing | undefined {
    const at = base >> 2;
    const regs = this.#regs;
    const size = regs[at + 2] >>> 4;
    const head = regs[at + 4];
    const tail = regs[at + 6];
    return head < size && tail < size ? { base: regs[at] + regs[at + 1] * 2 ** 32, size, head, tail } : undefined;
  }

  /* ---- transmitting ---- */

  readonly #sender: Sender<TxRing | undefined, TxResult> = {
    ready: () => {
      const on = (this.#regs[REG.TCTL >> 2] & TCTL.EN) !== 0;
      return on && this.#words[DOORBELL] !== 0 && this.#pci.busMaster();
    },
    begin: () => {
      this.#words[DOORBELL] = 0;
      return this.#ring(REG.TDBAL);
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
    const loopback = (regs[REG.RCTL >> 2] & RCTL.LBM) !== 0 || this.#phy.loopback;
    sendPacket(packet, this.#contexts, this.#packet, this.#segment, tag, (frame, offset, bytes) => {
      lengths.push(bytes);
      if (loopback) this.receive(frame.slice(offset, offset + bytes));
      else if (this.#phy.linkUp) this.port.transmit(frame, offset, bytes);
    });
  }

  /** Under the lock: the descriptors are done. */
  #sent(packet: TxPacket, lengths: readonly number[]): void {
    const { context, reports } = packet;
    const regs = this.#regs;
    if (context) this.#words.set(context, isLargeContext(context) ? CONTEXTS + CONTEXT_WORDS : CONTEXTS);
    const first = this.#packet.start;
    for (const bytes of lengths) {
      this.#statistics.transmitted(Math.max(bytes, WIRE_MIN) + FCS_BYTES, (first[0] & 1) !== 0, isBroadcast(first));
    }
    if (packet.first & TX.DEXT && packet.first & TX.TSE && !context) {
      this.#statistics.add(lengths.length > 0 ? STAT.TSCTC : STAT.TSCTFC);
    }
    this.#words[SENT] += lengths.length;
    reportDone(this.context.ram, reports);
    regs[REG.TDH >> 2] = packet.next;
    this.#words[DOORBELL] = 1;
    if (reports.length > 0) this.#raise(INT.TXDW);
    if (packet.next === regs[REG.TDT >> 2]) this.#raise(INT.TXQE);
  }

  /* ---- receiving ---- */

  #receive(frame: Uint8Array): boolean {
    const regs = this.#regs;
    const rctl = regs[REG.RCTL >> 2];
    if (!(rctl & RCTL.EN) || !this.#pci.busMaster() || !this.#phy.linkUp) return false;
    if (frame.length < FRAME_MIN || frame.length > FRAME_MAX) return false;
    const match = filterFrame(frame, regs);
    if (match < 0) return false;
    const type = (frame[12] << 8) | frame[13];
    const tag = type === regs[REG.VET >> 2] && frame.length >= 16 ? (frame[14] << 8) | frame[15] : -1;
    if (tag >= 0 && !vlanWanted(tag, regs)) return false;
    const strip = tag >= 0 && (regs[REG.CTRL >> 2] & CTRL.VME) !== 0;
    const status = match | this.#checks(frame) | (strip ? RX_STATUS.VP | (tag << 16) : 0);
    const ring = this.#ring(REG.RDBAL);
    const image = this.#received.image(frame, strip, !(rctl & RCTL.SECRC));
    const result = ring && deliverFrame(this.context.ram, ring, bufferBytes(rctl), image, status);
    if (ring === undefined || result === undefined || typeof result === 'string') {
      this.#words[MISSED]++;
      this.#statistics.add(STAT.MPC);
      this.#statistics.add(STAT.RNBC);
      this.#raise(INT.RXO);
      return false;
    }
    regs[REG.RDH >> 2] = result.head;
    this.#words[RECEIVED]++;
    this.#statistics.received(Math.max(frame.length, WIRE_MIN) + FCS_BYTES, (frame[0] & 1) !== 0, isBroadcast(frame));
    this.#raise(INT.RXT0 | (fewLeft({ ...ring, head: result.head }, rctl) ? INT.RXDMT0 : 0));
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
