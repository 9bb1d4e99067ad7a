/**
 * Realtek RTL8139 in C mode, by the datasheet (RTL8139D(L) 1.3): one ring of bytes in guest memory for what comes, four
 * descriptors for what goes, in order. Not there: C+ descriptors (hence the revision of an RTL8139C), the timer (TCTR reads 0),
 * wake-on-LAN, and the reception of runts and damaged frames, which a switch does not deliver.
 *
 * The switch may answer a frame from within transmit(), on the same thread; so a frame is sent with the lock released, by the
 * thread whose turn it is (transmit-turn.ts).
 */
import { FRAME_MAX, FRAME_MIN, type NetPort } from '../../../backends/net-port.js';
import { type AccessSize, Lock, type Resettable } from '../device.js';
import type { PciBar, PciDevice, PciDeviceContext, PciIdentity, PciPort } from '../pci/pci-function.js';
import { RegisterFile, type RegisterWrite } from '../register-file.js';
import { MICROWIRE_STATE_WORDS } from './microwire.js';
import { EECR, eepromWord, writeEecr } from './realtek-eeprom.js';
import { filterFrame } from './realtek-filter.js';
import {
  CR,
  INT,
  REG,
  REGISTER_BYTES,
  RX_MATCH_SHIFT,
  RX_STATUS,
  registerAt,
  TCR_LOOPBACK,
  TCR_VERSION,
  TSD,
  TX_MAX,
} from './rtl8139-registers.js';
import { fetchFrame, putFrame, ringBytes, ringReader } from './rtl8139-ring.js';
import { type Sender, TransmitTurn, TURN_STATE_WORDS } from './transmit-turn.js';
import { WireFrame } from './wire-frame.js';

/* Words of the state: the lock, what the registers do not show, counters; then the registers. */
const LOCK = 0;
const TURN = 1;
const TX_NEXT = TURN + TURN_STATE_WORDS;
const EEPROM = TX_NEXT + 1;
const SENT = EEPROM + MICROWIRE_STATE_WORDS;
const RECEIVED = SENT + 1;
const MISSED = SENT + 2;
const INTERRUPTS = SENT + 3;
const REGISTERS_AT = 64;
export const RTL8139_STATE_BYTES = REGISTERS_AT + REGISTER_BYTES;

const DESCRIPTORS = 4;
/** CAPR at the ring's beginning: it stands 16 bytes before the reader. */
const CAPR_START = 0xfff0;

/** The descriptor whose turn it is, and its TSD when the frame was fetched. */
interface TxJob {
  descriptor: number;
  bytes: number;
}

interface TxResult {
  sent: boolean;
  frames: number;
}

export class Rtl8139 implements PciDevice, Resettable {
  readonly name = 'rtl8139';
  readonly identity: PciIdentity = {
    vendor: 0x10ec,
    device: 0x8139,
    revision: 0x10,
    classCode: 0x020000,
    subsystemVendor: 0x1af4,
    subsystem: 0x1100,
    interruptPin: 1,
    minGrant: 0x20,
    maxLatency: 0x40,
  };
  readonly bars: readonly PciBar[];
  readonly #words: Int32Array;
  readonly #file: RegisterFile;
  readonly #u8: Uint8Array;
  readonly #u16: Uint16Array;
  readonly #u32: Uint32Array;
  readonly #lock: Lock;
  readonly #turn: TransmitTurn<TxJob, TxResult>;
  readonly #wire = new WireFrame();
  #pci: PciPort = { irq: () => {}, busMaster: () => false, memoryAt: () => -1 };

  /** mac: six bytes. The port is this thread's; its receiver is set here. */
  constructor(
    private readonly context: PciDeviceContext,
    private readonly port: NetPort,
    private readonly mac: Uint8Array,
  ) {
    const { state } = context;
    this.#words = state.i32;
    this.#file = new RegisterFile(registerAt, state.buffer, state.offset + REGISTERS_AT, REGISTER_BYTES);
    this.#u8 = this.#file.u8;
    this.#u16 = this.#file.u16;
    this.#u32 = this.#file.u32;
    this.#lock = new Lock(state.i32, LOCK);
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
    this.#resetRegisters();
  }

  counters(): Record<string, number> {
    const w = this.#words;
    return {
      'rtl8139.tx_frames': w[SENT],
      'rtl8139.rx_frames': w[RECEIVED],
      'rtl8139.rx_missed': w[MISSED],
      'rtl8139.interrupts': w[INTERRUPTS],
    };
  }

  read(offset: number, size: AccessSize): number {
    this.#lock.acquire();
    let value = 0;
    for (let i = size - 1; i >= 0; i--) value = (value << 8) | this.#readByte(offset + i);
    this.#lock.release();
    return value >>> 0;
  }

  write(offset: number, size: AccessSize, value: number): void {
    this.#lock.acquire();
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

  #readByte(offset: number): number {
    if (offset === REG.CR) return this.#u8[REG.CR] | (this.#ringEmpty() ? CR.BUFE : 0);
    if (offset === REG.TSALL || offset === REG.TSALL + 1) {
      return (this.#summary() >> ((offset - REG.TSALL) * 8)) & 0xff;
    }
    return this.#u8[offset];
  }

  /** TSAD (0x60): OWN, TABT, TUN and TOK of the four descriptors, four bits each. */
  #summary(): number {
    let bits = 0;
    for (let d = 0; d < DESCRIPTORS; d++) {
      const tsd = this.#u32[(REG.TSD >> 2) + d];
      if (tsd & TSD.OWN) bits |= 1 << d;
      if (tsd & TSD.TABT) bits |= 0x10 << d;
      if (tsd & TSD.TUN) bits |= 0x100 << d;
      if (tsd & TSD.TOK) bits |= 0x1000 << d;
    }
    return bits;
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
      case REG.RCR:
        if (((this.#u32[REG.RCR >> 2] ^ merged) >> 11) & 3) this.#emptyRing();
        break;
      case REG.RBSTART:
        this.#emptyRing();
        break;
      case REG.MPC:
        this.#u32[REG.MPC >> 2] = 0; // any write clears it
        return;
      case REG.EECR:
        this.#writeEeprom(merged);
        return;
      case REG.TSD:
      case REG.TSD + 4:
      case REG.TSD + 8:
      case REG.TSD + 12:
        this.#u32[register.base >> 2] = written; // status bits go with the write that starts the next frame
        return;
    }
    this.#file.store(register, merged);
  };

  #writeCommand(value: number): void {
    if (value & ~this.#u8[REG.CR] & CR.RE) this.#emptyRing(); // the receiver starts at the ring's beginning
    this.#u8[REG.CR] = value;
  }

  #emptyRing(): void {
    this.#u16[REG.CBR >> 1] = 0;
    this.#u16[REG.CAPR >> 1] = CAPR_START;
  }

  #writeEeprom(value: number): void {
    const state = this.#words.subarray(EEPROM, EEPROM + MICROWIRE_STATE_WORDS);
    this.#u8[REG.EECR] = writeEecr(state, this.#u8[REG.EECR], value, (address) => eepromWord(address, this.mac));
  }

  /** CR.RST and power-on: the station address comes from the EEPROM again (datasheet 5.4). */
  #resetRegisters(): void {
    this.#u8.fill(0);
    this.#u8.set(this.mac.subarray(0, 6), REG.IDR);
    for (let d = 0; d < DESCRIPTORS; d++) this.#u32[(REG.TSD >> 2) + d] = TSD.OWN;
    this.#emptyRing();
    this.#u32[REG.TCR >> 2] = TCR_VERSION;
    this.#u8[REG.CONFIG1] = 0x0c; // registers are mapped to memory and I/O
    this.#u16[REG.BMCR >> 1] = 0x3100; // 100 Mbit/s, auto-negotiation, full duplex
    this.#u16[REG.BMSR >> 1] = 0x782d; // negotiated, link up
    this.#u16[REG.ANAR >> 1] = 0x05e1;
    this.#u16[REG.ANLPAR >> 1] = 0x45e1;
    this.#u16[REG.ANER >> 1] = 0x0001;
    this.#turn.renew();
    this.#words[TX_NEXT] = 0;
    this.#updateIrq();
  }

  #updateIrq(): void {
    const level = (this.#u16[REG.ISR >> 1] & this.#u16[REG.IMR >> 1]) !== 0;
    this.#pci.irq(level);
  }

  #raise(bits: number): void {
    if ((this.#u16[REG.ISR >> 1] & bits) !== bits) this.#words[INTERRUPTS]++;
    this.#u16[REG.ISR >> 1] |= bits;
  }

  /* ---- transmitting ---- */

  readonly #sender: Sender<TxJob, TxResult> = {
    ready: () => (this.#u8[REG.CR] & CR.TE) !== 0 && this.#waits(this.#words[TX_NEXT]) && this.#pci.busMaster(),
    begin: () => {
      const descriptor = this.#words[TX_NEXT];
      return { descriptor, bytes: this.#u32[(REG.TSD >> 2) + descriptor] & TSD.SIZE };
    },
    send: (job) => ({ sent: this.#send(job), frames: 1 }),
    finish: (job, { sent }) => this.#finish(job, sent),
    settle: () => this.#updateIrq(),
    flush: () => this.port.flush(),
  };

  /** The driver has handed the descriptor over. */
  #waits(descriptor: number): boolean {
    return !(this.#u32[(REG.TSD >> 2) + descriptor] & TSD.OWN);
  }

  #send({ descriptor, bytes }: TxJob): boolean {
    const loopback = (this.#u32[REG.TCR >> 2] & TCR_LOOPBACK) === TCR_LOOPBACK;
    const start = this.#u32[(REG.TSAD >> 2) + descriptor];
    const frame = bytes > TX_MAX ? undefined : fetchFrame(this.context.ram, start, bytes);
    if (frame && loopback) this.receive(frame.slice());
    else if (frame) this.port.transmit(frame);
    return frame !== undefined;
  }

  #finish({ descriptor, bytes }: TxJob, sent: boolean): void {
    this.#u32[(REG.TSD >> 2) + descriptor] |= TSD.OWN | (sent ? TSD.TOK : TSD.TABT);
    this.#words[TX_NEXT] = (descriptor + 1) % DESCRIPTORS;
    this.#words[SENT]++;
    this.#raise(sent ? INT.TOK : bytes > TX_MAX ? INT.TER : INT.TER | INT.SERR);
  }

  /* ---- receiving ---- */

  #ringEmpty(): boolean {
    const size = ringBytes(this.#u32[REG.RCR >> 2]);
    return this.#u16[REG.CBR >> 1] % size === ringReader(this.#u16[REG.CAPR >> 1], size);
  }

  #receive(frame: Uint8Array): boolean {
    if (!(this.#u8[REG.CR] & CR.RE) || !this.#pci.busMaster()) return false;
    const rcr = this.#u32[REG.RCR >> 2];
    if (frame.length < FRAME_MIN || frame.length > FRAME_MAX) return false;
    const match = filterFrame(frame, this.#u8, rcr);
    if (match < 0) return false;
    const size = ringBytes(rcr);
    const writer = this.#u16[REG.CBR >> 1] % size;
    const reader = ringReader(this.#u16[REG.CAPR >> 1], size);
    const ring = { start: this.#u32[REG.RBSTART >> 2], writer, reader, rcr };
    const status = (match << RX_MATCH_SHIFT) | RX_STATUS.ROK;
    const result = putFrame(this.context.ram, ring, frame, status, this.#wire);
    if (typeof result === 'string') {
      this.#words[MISSED]++;
      this.#u32[REG.MPC >> 2] = (this.#u32[REG.MPC >> 2] + 1) & 0xff_ffff;
      this.#raise(result === 'full' ? INT.RXOVW : INT.SERR);
      return false;
    }
    this.#words[RECEIVED]++;
    this.#u16[REG.CBR >> 1] = result.next;
    this.#raise(INT.ROK);
    return true;
  }
}
