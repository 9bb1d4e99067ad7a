/**
 * Realtek RTL8169 (its revision 8169SB/8110SB), by the datasheet of the RTL8169 (1.21): rings of descriptors in guest memory, two
 * for what goes and one for what comes; checksums and segmentation done by the card; a gigabit transceiver behind PHYAR.
 *
 * Not there: wake-on-LAN (its registers keep what is written), the TBI for fibre, interrupt mitigation (each event interrupts at
 * once), and the timer's interrupt by itself: it is found when the driver next touches the card, since no thread waits for it.
 */
import { nowNs } from '../../backends/clock.js';
import { FRAME_MAX, FRAME_MIN, type NetPort } from '../../backends/net-port.js';
import { type AccessSize, type GuestAddress, guestAddress, Lock, type Resettable } from './device.js';
import { CHECKED, checkFrame } from './internet-checksum.js';
import { MICROWIRE_STATE_WORDS } from './microwire.js';
import { MiiPhy, PHY_STATE_WORDS, type PhyModel } from './mii-phy.js';
import { PacketBuffer } from './packet-buffer.js';
import type { PciBar, PciDevice, PciDeviceContext, PciIdentity, PciPort } from './pci-function.js';
import { EECR, eepromWord, writeEecr } from './realtek-eeprom.js';
import { filterFrame } from './realtek-filter.js';
import { RegisterFile, type RegisterWrite } from './register-file.js';
import { deliverFrame, gatherPacket, returnPacket, sendPacket, type TxPacket } from './rtl8169-descriptors.js';
import {
  CPCR,
  CR,
  DTCCR,
  INT,
  PHYAR,
  PHYSTATUS_UP,
  REG,
  REGISTER_BYTES,
  RX,
  registerAt,
  TCR_LOOPBACK,
  TCR_VERSION,
  TPPOLL,
} from './rtl8169-registers.js';
import { TALLIES, TALLY_BYTES, Tally } from './rtl8169-tally.js';
import { type Sender, TransmitTurn, TURN_STATE_WORDS } from './transmit-turn.js';
import { FCS_BYTES, WireFrame } from './wire-frame.js';

/* Words of the state. */
const LOCK = 0;
const TURN = 1;
/** Queues whose doorbell has been rung: TPPOLL bits. */
const POLL = 3;
/** Index of the next descriptor: normal queue, high-priority queue, receiver. */
const TX_NEXT = 4;
const TX_HIGH_NEXT = 5;
const RX_NEXT = 6;
const INTERRUPTS = 7;
/** The timer has interrupted since TCTR was last written. */
const TIMER_FIRED = 8;
const EEPROM = 9;
const PHY = EEPROM + MICROWIRE_STATE_WORDS;
/* Doubles: the tally, then when TCTR was zero. */
const TALLY_AT = 256;
const TIMER_AT = TALLY_AT + 8 * TALLIES;
const REGISTERS_AT = 384;
export const RTL8169_STATE_BYTES = REGISTERS_AT + REGISTER_BYTES;

/** TCTR counts the clock of the PCI bus: 33 MHz. */
const TIMER_TICK_NS = 1000 / 33;
const SEGMENT_MAX = 4096;

/** The transceiver on the chip: Realtek's RTL8211, revision 0. Register 31 selects pages. */
const PHY_MODEL: PhyModel = {
  id1: 0x001c,
  id2: 0xc910,
  pageRegister: 31,
  vendor: {
    16: { value: 0, writable: 0xffff },
    17: { value: 0xac00, writable: 0 },
    18: { value: 0, writable: 0xffff },
    20: { value: 0, writable: 0xffff },
  },
};

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
  readonly #words: Int32Array;
  readonly #tally: Tally;
  /** When TCTR was zero, nanoseconds. */
  readonly #timerStart: Float64Array;
  readonly #turn: TransmitTurn<TxJob, TxResult>;
  readonly #file: RegisterFile;
  readonly #u8: Uint8Array;
  readonly #u16: Uint16Array;
  readonly #u32: Uint32Array;
  readonly #lock: Lock;
  readonly #phy: MiiPhy;
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
    private readonly mac: Uint8Array,
  ) {
    const { state } = context;
    this.#words = state.i32;
    this.#tally = new Tally(new Float64Array(state.buffer, state.offset + TALLY_AT, TALLIES));
    this.#timerStart = new Float64Array(state.buffer, state.offset + TIMER_AT, 1);
    this.#file = new RegisterFile(registerAt, state.buffer, state.offset + REGISTERS_AT, REGISTER_BYTES);
    this.#u8 = this.#file.u8;
    this.#u16 = this.#file.u16;
    this.#u32 = this.#file.u32;
    this.#lock = new Lock(state.i32, LOCK);
    this.#phy = new MiiPhy(state.i32.subarray(PHY, PHY + PHY_STATE_WORDS), PHY_MODEL);
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
    this.#words.fill(0);
    this.#tally.clear();
    this.#phy.reset();
    this.#resetRegisters();
  }

  counters(): Record<string, number> {
    return { ...this.#tally.counters(this.name), 'rtl8169.interrupts': this.#words[INTERRUPTS] };
  }

  read(offset: number, size: AccessSize): number {
    this.#lock.acquire();
    this.#checkTimer();
    let value = 0;
    for (let i = size - 1; i >= 0; i--) value = (value << 8) | this.#readByte(offset + i);
    this.#updateIrq();
    this.#lock.release();
    return value >>> 0;
  }

  write(offset: number, size: AccessSize, value: number): void {
    this.#lock.acquire();
    this.#checkTimer();
    this.#file.write(offset, size, value, this.#locked, this.#effect);
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

  #readByte(offset: number): number {
    if (offset === REG.PHYSTATUS) return this.#phy.linkUp ? PHYSTATUS_UP : 0;
    if (offset === REG.TPPOLL) return 0; // bits clear themselves once the card has looked
    if (offset >= REG.TCTR && offset < REG.TCTR + 4) return (this.#ticks() >>> ((offset - REG.TCTR) * 8)) & 0xff;
    return this.#u8[offset] ?? 0;
  }

  readonly #locked = (): boolean => (this.#u8[REG.EECR] & EECR.MODE) !== EECR.UNLOCK;

  readonly #effect = ({ register, merged, written, raw }: RegisterWrite): void => {
    switch (register.base) {
      case REG.ISR:
        this.#u16[REG.ISR >> 1] &= ~written;
        return;
      case REG.CR:
        if (raw & CR.RST) this.#resetRegisters();
        else this.#writeCommand(merged);
        return;
      case REG.TPPOLL:
        this.#words[POLL] |= written & (TPPOLL.NORMAL | TPPOLL.HIGH);
        if (written & TPPOLL.FSWINT) this.#raise(INT.SWINT);
        return;
      case REG.TNPDS:
        this.#words[TX_NEXT] = 0;
        break;
      case REG.THPDS:
        this.#words[TX_HIGH_NEXT] = 0;
        break;
      case REG.RDSAR:
        this.#words[RX_NEXT] = 0;
        break;
      case REG.MPC:
        this.#u32[REG.MPC >> 2] = 0; // any write clears it
        return;
      case REG.TCTR:
      case REG.TIMERINT:
        this.#restartTimer(register.base === REG.TCTR);
        break;
      case REG.EECR:
        this.#writeEeprom(merged);
        return;
      case REG.PHYAR:
        this.#writePhy(merged);
        return;
      case REG.DTCCR:
        this.#file.store(register, merged & ~(DTCCR.RESET | DTCCR.DUMP));
        if (merged & DTCCR.DUMP) this.#dumpTally();
        return;
    }
    this.#file.store(register, merged);
  };

  /** Each of the two halves of the card starts at the beginning of its ring (datasheet 6.5). */
  #writeCommand(value: number): void {
    const on = value & ~this.#u8[REG.CR];
    if (on & CR.TE) this.#words.fill(0, TX_NEXT, TX_HIGH_NEXT + 1);
    if (on & CR.RE) this.#words[RX_NEXT] = 0;
    this.#u8[REG.CR] = value;
  }

  #writeEeprom(value: number): void {
    const state = this.#words.subarray(EEPROM, EEPROM + MICROWIRE_STATE_WORDS);
    const word = (address: number): number => eepromWord(address, this.mac, this.identity.device);
    this.#u8[REG.EECR] = writeEecr(state, this.#u8[REG.EECR], value, word);
  }

  /** PHYAR (6.20): the flag is what the driver waits for: set when a read is done, clear when a write is. */
  #writePhy(value: number): void {
    const register = (value >>> 16) & 0x1f;
    const at = REG.PHYAR >> 2;
    if (value & PHYAR.FLAG) {
      if (this.#phy.write(register, value & 0xffff)) this.#raise(INT.LINK);
      this.#u32[at] = (value & ~PHYAR.FLAG) >>> 0;
    } else {
      this.#u32[at] = (PHYAR.FLAG | (register << 16) | this.#phy.read(register)) >>> 0;
    }
  }

  /** DTCCR (6.1): sixty-four bytes of counters into guest memory. A place outside RAM is a system error. */
  #dumpTally(): void {
    const address = this.#address(REG.DTCCR, ~(TALLY_BYTES - 1));
    const done = this.#pci.busMaster() && this.context.ram.write(address, this.#tally.image());
    if (!done) this.#raise(INT.SERR);
  }

  #address(register: number, mask = -1): GuestAddress {
    const at = register >> 2;
    return guestAddress(((this.#u32[at] & mask) >>> 0) + this.#u32[at + 1] * 2 ** 32);
  }

  #ticks(): number {
    return Math.floor((nowNs() - this.#timerStart[0]) / TIMER_TICK_NS) % 2 ** 32;
  }

  #restartTimer(fromZero: boolean): void {
    if (fromZero) this.#timerStart[0] = nowNs();
    this.#words[TIMER_FIRED] = 0;
  }

  #checkTimer(): void {
    const limit = this.#u32[REG.TIMERINT >> 2];
    if (limit === 0 || this.#words[TIMER_FIRED] || this.#ticks() < limit) return;
    this.#words[TIMER_FIRED] = 1;
    this.#raise(INT.TIMEOUT);
  }

  /** CR.RST and power-on: the station address comes from the EEPROM again; the transceiver goes on. */
  #resetRegisters(): void {
    const w = this.#words;
    this.#turn.renew();
    w.fill(0, POLL, RX_NEXT + 1);
    w[TIMER_FIRED] = 0;
    this.#u8.fill(0);
    this.#u8.set(this.mac.subarray(0, 6), REG.IDR);
    this.#u32[REG.TCR >> 2] = TCR_VERSION;
    this.#u8[REG.CONFIG1] = 0x0c; // registers are mapped to memory and I/O
    this.#timerStart[0] = nowNs();
    this.#updateIrq();
  }

  #updateIrq(): void {
    this.#pci.irq((this.#u16[REG.ISR >> 1] & this.#u16[REG.IMR >> 1]) !== 0);
  }

  #raise(bits: number): void {
    if ((this.#u16[REG.ISR >> 1] & bits) !== bits) this.#words[INTERRUPTS]++;
    this.#u16[REG.ISR >> 1] |= bits;
  }

  /* ---- transmitting ---- */

  readonly #sender: Sender<TxJob, TxResult> = {
    ready: () => this.#words[POLL] !== 0 && (this.#u8[REG.CR] & CR.TE) !== 0 && this.#pci.busMaster(),
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
    const w = this.#words;
    const high = (w[POLL] & TPPOLL.HIGH) !== 0;
    const queue = high ? TPPOLL.HIGH : TPPOLL.NORMAL;
    const next = high ? TX_HIGH_NEXT : TX_NEXT;
    w[POLL] &= ~queue;
    return { queue, next, index: w[next], ring: this.#address(high ? REG.THPDS : REG.TNPDS) };
  }

  #finish({ queue, next, index, ring }: TxJob, { packet, sent }: TxResult): void {
    if (packet === undefined) {
      this.#raise(INT.TDU);
      return;
    }
    returnPacket(this.context.ram, ring, index, packet.count);
    this.#words[next] = packet.next;
    // A ring outside RAM is not looked at again before the next doorbell.
    if (packet.count > 0) this.#words[POLL] |= queue;
    this.#tally.sent(sent);
    this.#raise(sent ? INT.TOK : packet.count > 0 ? INT.TER : INT.TER | INT.SERR);
  }

  #send(packet: TxPacket): boolean {
    if (packet.fault) return false;
    const loopback = (this.#u32[REG.TCR >> 2] & TCR_LOOPBACK) !== 0 || this.#phy.loopback;
    return sendPacket(packet, this.#packet, this.#segment, (frame, offset, bytes) => {
      this.#frames++;
      if (loopback) this.receive(frame.slice(offset, offset + bytes));
      else if (this.#phy.linkUp) this.port.transmit(frame, offset, bytes);
    });
  }

  /* ---- receiving ---- */

  #receive(frame: Uint8Array): boolean {
    if (!(this.#u8[REG.CR] & CR.RE) || !this.#pci.busMaster() || !this.#phy.linkUp) return false;
    if (frame.length < FRAME_MIN || frame.length > FRAME_MAX) return false;
    const match = filterFrame(frame, this.#u8, this.#u32[REG.RCR >> 2]);
    const most = this.#u16[REG.RMS >> 1];
    if (match < 0 || (most > 0 && frame.length + FCS_BYTES > most)) return false;
    const status = (match << RX.MATCH_SHIFT) | this.#rxStatus(frame);
    const stripped = (this.#u16[REG.CPCR >> 1] & CPCR.RX_VLAN) !== 0 && frame[12] === 0x81 && frame[13] === 0;
    const vlan = stripped && frame.length >= 16 ? RX.TAVA | frame[14] | (frame[15] << 8) : 0;
    const image = this.#received.image(frame, vlan !== 0);
    const result = deliverFrame(this.context.ram, this.#address(REG.RDSAR), this.#words[RX_NEXT], image, status, vlan);
    if (typeof result === 'string') {
      this.#missed(result === 'bus error');
      return false;
    }
    this.#words[RX_NEXT] = result.next;
    this.#tally.received(match);
    this.#raise(INT.ROK);
    return true;
  }

  #missed(busError: boolean): void {
    this.#tally.missed();
    this.#u32[REG.MPC >> 2] = (this.#u32[REG.MPC >> 2] + 1) & 0xff_ffff;
    this.#raise(busError ? INT.SERR : INT.RDU);
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
