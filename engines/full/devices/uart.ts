/**
 * Serial port: National Semiconductor's NS16550AF (data sheet of June 1995), byte registers without a shift, as in QEMU's
 * `virt`. The line itself is infinitely fast: a byte is sent when it is written, unless the host's console has no room
 * (then the transmitter is busy until there is), and the receiver's time-out interrupt comes at once.
 *
 * Interrupts are told as events, as QEMU does: irq(true) whenever something has happened while one is pending, and not once more
 * because the driver has looked and done nothing. A driver that enables the transmitter's interrupt and never reads IIR
 * (xv6) would otherwise be interrupted for ever.
 *
 * Of a guest of the harness two byte values are doorbells: they are stamped and do not go out (Doorbells in ports below).
 */
import { type AccessSize, type Device, type DeviceContext, Lock, type Resettable } from './device.js';

/** What is at the other end of the line. Called under the UART's lock. */
export interface SerialPort {
  /** Bytes that put() still takes. */
  room(): number;
  put(byte: number): void;
  /** The next byte that waits for the guest, or -1. */
  take(): number;
  /** True: the byte was a doorbell, and is done with. */
  doorbell(byte: number): boolean;
}

const FIFO_BYTES = 16;

/* Words of the state. */
const LOCK = 0;
const IER = 16;
const LCR = 17;
const MCR = 18;
const SCR = 19;
const DLL = 20;
const DLM = 21;
const FCR = 22;
const MODEM_DELTA = 23;
/** A transmitter-empty interrupt is pending: reading IIR takes it away although the transmitter stays empty. */
const THRE_PENDING = 24;
/** The transmitter was found busy: when the console has room again, the guest must hear of it. */
const STALLED = 25;
const OVERRUN = 26;
const FIFO_HEAD = 27;
const FIFO_COUNT = 28;
const SENT = 29;
const RECEIVED = 30;
const LOST = 31;
const FIFO = 32; // one word a byte
export const UART_STATE_BYTES = (FIFO + FIFO_BYTES) * 4;

/* Offsets of some registers. */
const RBR = 0;
const IIR = 2;
const LCR_AT = 3;
const SCR_AT = 7;

const IER_RX = 1;
const IER_THRE = 2;
const IER_LINE = 4;
const IER_MODEM = 8;

const IIR_NONE = 0x01;
const IIR_MODEM = 0x00;
const IIR_THRE = 0x02;
const IIR_RX = 0x04;
const IIR_LINE = 0x06;
const IIR_TIMEOUT = 0x0c;
const IIR_FIFOS = 0xc0;

const LSR_DATA = 0x01;
const LSR_OVERRUN = 0x02;
const LSR_EMPTY = 0x60; // THRE and TEMT

const LCR_DLAB = 0x80;
const MCR_LOOP = 0x10;
/** CTS, DSR and DCD: someone is there. */
const MSR_CONNECTED = 0xb0;

const TRIGGER = [1, 4, 8, 14];

export class Uart implements Device, Resettable {
  readonly name = 'uart';
  readonly #words: Int32Array;
  readonly #lock: Lock;
  readonly #irq: (level: boolean) => void;

  constructor(
    context: Pick<DeviceContext, 'state' | 'irq'>,
    private readonly port: SerialPort,
  ) {
    this.#words = context.state.i32;
    this.#lock = new Lock(context.state.i32, LOCK);
    this.#irq = (level) => context.irq(level);
  }

  reset(): void {
    this.#words.fill(0);
    this.#words[THRE_PENDING] = 1;
    this.#words[DLL] = 12;
  }

  counters(): Record<string, number> {
    const words = this.#words;
    return {
      'uart.sent': words[SENT] >>> 0,
      'uart.received': words[RECEIVED] >>> 0,
      'uart.lost': words[LOST] >>> 0,
    };
  }

  /** The console has changed: it holds input, or has room for output again. Any thread. */
  serve(): void {
    this.#lock.acquire();
    const roomAgain = this.#words[STALLED] !== 0 && this.port.room() >= FIFO_BYTES;
    if (roomAgain) {
      this.#words[STALLED] = 0;
      this.#words[THRE_PENDING] = 1;
    }
    const received = this.#refill();
    if (roomAgain || received) this.#update();
    this.#lock.release();
  }

  /** Of any width: the register at the offset, as a byte. */
  read(offset: number, _size: AccessSize): number {
    this.#lock.acquire();
    const before = this.#source();
    const value = this.#readRegister(offset);
    if (offset === RBR || offset === IIR || this.#source() !== before) this.#update();
    this.#lock.release();
    return value;
  }

  write(offset: number, _size: AccessSize, value: number): void {
    this.#lock.acquire();
    this.#writeRegister(offset, value & 0xff);
    if (offset !== LCR_AT && offset !== SCR_AT) this.#update();
    this.#lock.release();
  }

  #readRegister(offset: number): number {
    const words = this.#words;
    const latch = (words[LCR] & LCR_DLAB) !== 0;
    if (offset === 0) return latch ? words[DLL] : this.#receive();
    if (offset === 1) return latch ? words[DLM] : words[IER];
    if (offset === 2) return this.#identify();
    if (offset === 3) return words[LCR];
    if (offset === 4) return words[MCR];
    if (offset === 5) return this.#lineStatus();
    if (offset === 6) return this.#modemStatus();
    return offset === 7 ? words[SCR] : 0;
  }

  #writeRegister(offset: number, value: number): void {
    const words = this.#words;
    const latch = (words[LCR] & LCR_DLAB) !== 0;
    if (offset === 0 && latch) words[DLL] = value;
    else if (offset === 0) this.#transmit(value);
    else if (offset === 1 && latch) words[DLM] = value;
    else if (offset === 1) this.#enable(value & 0x0f);
    else if (offset === 2) this.#fifoControl(value);
    else if (offset === 3) words[LCR] = value;
    else if (offset === 4) this.#modemControl(value & 0x1f);
    else if (offset === 7) words[SCR] = value;
  }

  /* ---- transmitter ---- */

  #transmit(byte: number): void {
    const words = this.#words;
    words[THRE_PENDING] = 0;
    words[SENT]++;
    if ((words[MCR] & MCR_LOOP) !== 0) this.#loopBack(byte);
    else if (this.port.doorbell(byte)) words[SENT]--;
    else if (this.port.room() > 0) this.port.put(byte);
    else words[LOST]++; // written although LSR said that there is no room
    if (this.#empty()) words[THRE_PENDING] = 1;
  }

  /** Whether all of the transmitter's FIFO is free. */
  #empty(): boolean {
    const empty = this.port.room() >= FIFO_BYTES;
    if (!empty) this.#words[STALLED] = 1;
    return empty;
  }

  #enable(value: number): void {
    const words = this.#words;
    const rises = (value & ~words[IER] & IER_THRE) !== 0;
    words[IER] = value;
    if (rises && this.#empty()) words[THRE_PENDING] = 1;
  }

  /* ---- receiver ---- */

  #receive(): number {
    const words = this.#words;
    if (words[FIFO_COUNT] === 0) return 0;
    const byte = words[FIFO + words[FIFO_HEAD]];
    words[FIFO_HEAD] = (words[FIFO_HEAD] + 1) % FIFO_BYTES;
    words[FIFO_COUNT]--;
    this.#refill();
    return byte;
  }

  #capacity(): number {
    return (this.#words[FCR] & 1) !== 0 ? FIFO_BYTES : 1;
  }

  /** True: something has come. */
  #refill(): boolean {
    const words = this.#words;
    if ((words[MCR] & MCR_LOOP) !== 0) return false;
    const before = words[RECEIVED];
    while (words[FIFO_COUNT] < this.#capacity()) {
      const byte = this.port.take();
      if (byte < 0) break;
      this.#push(byte);
      words[RECEIVED]++;
    }
    return words[RECEIVED] !== before;
  }

  #push(byte: number): void {
    const words = this.#words;
    words[FIFO + ((words[FIFO_HEAD] + words[FIFO_COUNT]) % FIFO_BYTES)] = byte;
    words[FIFO_COUNT]++;
  }

  #loopBack(byte: number): void {
    if (this.#words[FIFO_COUNT] < this.#capacity()) this.#push(byte);
    else this.#words[OVERRUN] = 1;
  }

  #fifoControl(value: number): void {
    const words = this.#words;
    const switched = ((value ^ words[FCR]) & 1) !== 0;
    // Bits other than the enable bit are programmed only while that is written as 1 (data sheet 8.4).
    words[FCR] = (value & 1) !== 0 ? value & 0xc9 : 0;
    if (switched || (value & 2) !== 0) words[FIFO_COUNT] = 0;
    this.#refill();
  }

  /* ---- status ---- */

  #lineStatus(): number {
    const words = this.#words;
    const data = words[FIFO_COUNT] > 0 ? LSR_DATA : 0;
    const overrun = words[OVERRUN] !== 0 ? LSR_OVERRUN : 0;
    words[OVERRUN] = 0;
    return data | overrun | (this.#empty() ? LSR_EMPTY : 0);
  }

  /** In loop-back the modem inputs are the outputs: CTS = RTS, DSR = DTR, RI = OUT1, DCD = OUT2. */
  #modemInputs(): number {
    const mcr = this.#words[MCR];
    if ((mcr & MCR_LOOP) === 0) return MSR_CONNECTED;
    return ((mcr & 2) << 3) | ((mcr & 1) << 5) | ((mcr & 4) << 4) | ((mcr & 8) << 4);
  }

  #modemStatus(): number {
    const value = this.#modemInputs() | this.#words[MODEM_DELTA];
    this.#words[MODEM_DELTA] = 0;
    return value;
  }

  #modemControl(value: number): void {
    const words = this.#words;
    const before = this.#modemInputs();
    words[MCR] = value;
    const after = this.#modemInputs();
    const changed = ((before ^ after) >> 4) & 0x0b;
    const ringEnded = (before & ~after & 0x40) >> 4; // TERI: the trailing edge only
    words[MODEM_DELTA] |= changed | ringEnded;
    this.#refill();
  }

  /* ---- interrupts ---- */

  /** The interrupt of the highest priority (data sheet 8.5). */
  #source(): number {
    const words = this.#words;
    const enabled = words[IER];
    if ((enabled & IER_LINE) !== 0 && words[OVERRUN] !== 0) return IIR_LINE;
    if ((enabled & IER_RX) !== 0 && words[FIFO_COUNT] > 0) return this.#receiverSource();
    if ((enabled & IER_THRE) !== 0 && words[THRE_PENDING] !== 0) return IIR_THRE;
    if ((enabled & IER_MODEM) !== 0 && words[MODEM_DELTA] !== 0) return IIR_MODEM;
    return IIR_NONE;
  }

  #receiverSource(): number {
    const words = this.#words;
    if ((words[FCR] & 1) === 0) return IIR_RX;
    return words[FIFO_COUNT] >= TRIGGER[words[FCR] >> 6] ? IIR_RX : IIR_TIMEOUT;
  }

  #identify(): number {
    const source = this.#source();
    if (source === IIR_THRE) this.#words[THRE_PENDING] = 0;
    return source | ((this.#words[FCR] & 1) !== 0 ? IIR_FIFOS : 0);
  }

  #update(): void {
    this.#irq(this.#source() !== IIR_NONE);
  }
}
