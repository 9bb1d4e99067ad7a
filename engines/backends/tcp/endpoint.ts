/**
 * One end of a TCP connection (RFC 9293), without any I/O: segments and the time come in, segments go out to a TcpWire,
 * bytes are exchanged with its owner through two rings. States and transitions are those of RFC 9293, figure 5.
 *
 * Nothing is sent from within receive(): its owner calls output() when the guest's burst is over, so that one
 * acknowledgement answers all of it. Not there: urgent data, selective acknowledgement, timestamps.
 */
import { TcpReceiver } from './receiver.js';
import { FLAG, type Segment } from './segment.js';
import { TcpSender } from './sender.js';
import { add, distance } from './sequence.js';
import type { StreamBuffer } from './stream-buffer.js';

export type TcpState =
  | 'SYN_SENT'
  | 'SYN_RECEIVED'
  | 'ESTABLISHED'
  | 'FIN_WAIT_1'
  | 'FIN_WAIT_2'
  | 'CLOSE_WAIT'
  | 'CLOSING'
  | 'LAST_ACK'
  | 'TIME_WAIT'
  | 'CLOSED';

/** A segment that goes out; the object is used again. */
export interface Outgoing {
  flags: number;
  seq: number;
  ack: number;
  window: number;
  /** Data: `dataBytes` bytes of the ring `data` from sequence number `seq` on. */
  data: StreamBuffer | undefined;
  dataBytes: number;
  /** Options of a SYN; 0 and -1: none. */
  mss: number;
  scale: number;
}

export interface TcpWire {
  /** Sends at once, with all that is needed taken from `segment`; false: there is no room now, output() has to be tried again. */
  send(segment: Outgoing): boolean;
}

/** Twice the longest time that a segment lives: the wire is this process. RFC 9293, 3.4.2, leaves the figure open. */
const TIME_WAIT_NS = 10e9;
const NEVER = Number.POSITIVE_INFINITY;
const SYN_RETRIES_MAX = 6;
/** Acknowledgements of one burst that say the same: each one counts for the peer's fast retransmission. */
const DUPLICATES_MAX = 16;

export interface TcpOptions {
  /** Largest segment that the wire carries. */
  mss: number;
  /** Initial sequence number: not to be guessed (RFC 9293, 3.4.1). */
  iss: number;
}

export class TcpEndpoint {
  state: TcpState = 'CLOSED';
  /** Why it came to CLOSED before its time. */
  failure: 'reset' | 'timeout' | undefined;
  readonly sender: TcpSender;
  readonly receiver: TcpReceiver;
  readonly #out: Outgoing;
  readonly #mss: number;
  /** What we shift the windows by that we send; used only if the peer scales too. */
  readonly #offeredScale: number;
  #scaled = false;
  #peerScale = 0;
  #peerMss = 0;
  #acksDue = 0;
  #synDue = false;
  /** Sequence number of a reset for an acknowledgement of something that was never sent. */
  #resetDue: number | undefined;
  #ackBlocked = false;
  /** Of the SYN's retransmission, or the end of TIME_WAIT. */
  #deadline = NEVER;
  #synTries = 0;

  constructor(
    private readonly wire: TcpWire,
    sendBuffer: StreamBuffer,
    receiveBuffer: StreamBuffer,
    options: TcpOptions,
  ) {
    this.#mss = options.mss;
    this.sender = new TcpSender(sendBuffer, options.iss, (seq, bytes, fin, push) => this.#emit(seq, bytes, fin, push));
    this.receiver = new TcpReceiver(receiveBuffer);
    this.#offeredScale = Math.max(0, Math.ceil(Math.log2(receiveBuffer.capacity / 65535)));
    this.#out = { flags: 0, seq: 0, ack: 0, window: 0, data: undefined, dataBytes: 0, mss: 0, scale: -1 };
  }

  /** Answers a SYN. */
  accept(syn: Segment): void {
    this.#takeSyn(syn);
    this.state = 'SYN_RECEIVED';
    this.#synDue = true;
  }

  /** Opens a connection. */
  connect(): void {
    this.state = 'SYN_SENT';
    this.#synDue = true;
  }

  /** nowNs() at which expire() is to be called. */
  get deadline(): number {
    return Math.min(
      this.#deadline,
      this.state === 'TIME_WAIT' || this.state === 'CLOSED' ? NEVER : this.sender.deadline,
    );
  }

  /** The wire took no more at the last output(). */
  get blocked(): boolean {
    return this.state !== 'CLOSED' && (this.sender.blocked || this.#ackBlocked);
  }

  /** Data may be exchanged, or could be. */
  get isOpen(): boolean {
    return this.state !== 'SYN_SENT' && this.state !== 'SYN_RECEIVED' && this.state !== 'CLOSED';
  }

  /** Bytes that may be put into the sender's ring behind its tail; wrote() says that they are there. */
  get room(): number {
    return this.sender.room;
  }

  wrote(bytes: number): void {
    this.sender.tail = add(this.sender.tail, bytes);
  }

  /** The owner has no more to send. */
  finish(): void {
    if (this.sender.fin) return;
    this.sender.fin = true;
    if (this.state === 'ESTABLISHED' || this.state === 'SYN_RECEIVED') this.state = 'FIN_WAIT_1';
    else if (this.state === 'CLOSE_WAIT') this.state = 'LAST_ACK';
  }

  /** The owner has taken `bytes` bytes from the receiver's ring. */
  consumed(bytes: number): void {
    this.receiver.read = add(this.receiver.read, bytes);
    if (this.isOpen && this.receiver.updateDue(this.sender.mss)) this.#acksDue = Math.max(1, this.#acksDue);
  }

  /** Ends it at once, with a reset for the peer. */
  abort(): void {
    if (this.state !== 'CLOSED' && this.state !== 'SYN_SENT' && this.state !== 'TIME_WAIT') {
      this.#control(FLAG.RST | FLAG.ACK, this.sender.nxt);
    }
    this.#close();
  }

  /** RFC 9293, 3.10.7. The segment's checksum is right. */
  receive(segment: Segment, now: number): void {
    if (this.state === 'CLOSED') return;
    if (this.state === 'SYN_SENT') this.#receiveInSynSent(segment);
    else if (this.#isAcceptable(segment)) this.#receiveAcceptable(segment, now);
  }

  /** Sends what is due. */
  output(now: number): void {
    this.#ackBlocked = false;
    if (this.#resetDue !== undefined) this.#control(FLAG.RST, this.#resetDue);
    this.#resetDue = undefined;
    if (this.#synDue) this.#sendSyn(now);
    if (!this.isOpen) return;
    const before = this.#acksDue;
    // Duplicates are for the peer to count; otherwise data carries the acknowledgement.
    while (this.#acksDue > 1 && this.#sendAck()) {}
    if (this.state !== 'TIME_WAIT') this.sender.output(now);
    if (this.#acksDue > 0) this.#ackBlocked = !this.#sendAck();
    if (this.state === 'TIME_WAIT' && before > 0) this.#deadline = now + TIME_WAIT_NS;
  }

  /** deadline has passed. */
  expire(now: number): void {
    if (this.#deadline <= now) this.#expireOwn(now);
    if (this.state === 'TIME_WAIT' || this.state === 'CLOSED' || this.sender.deadline > now) return;
    if (!this.sender.expire(now)) this.#fail('timeout');
  }

  #expireOwn(now: number): void {
    this.#deadline = NEVER;
    if (this.state === 'TIME_WAIT') {
      this.#close();
    } else if (this.#synTries > SYN_RETRIES_MAX) {
      this.#fail('timeout');
    } else {
      this.#synDue = true;
      this.output(now);
    }
  }

  #receiveInSynSent(segment: Segment): void {
    const { flags, ack } = segment;
    const acknowledged = (flags & FLAG.ACK) !== 0;
    if (acknowledged && ack !== this.sender.nxt) {
      if (!(flags & FLAG.RST)) this.#resetDue = ack;
      return;
    }
    if (flags & FLAG.RST) {
      if (acknowledged) this.#fail('reset');
      return;
    }
    if (!(flags & FLAG.SYN)) return;
    this.#takeSyn(segment);
    if (acknowledged) {
      this.#establish(segment, segment.window);
      this.#acksDue = 1;
    } else {
      this.state = 'SYN_RECEIVED'; // both have opened at once
      this.#synDue = true;
    }
  }

  /** First check of 3.10.7.4; what is not acceptable is answered with where we are. */
  #isAcceptable(segment: Segment): boolean {
    if (this.receiver.accepts(segment)) return true;
    if (segment.flags & FLAG.RST) return false;
    if (this.state === 'SYN_RECEIVED' && segment.flags & FLAG.SYN) this.#synDue = true;
    else this.#acknowledge();
    // A probe of our closed window still tells us of theirs.
    const probe = segment.seq === this.receiver.next && this.receiver.free <= 0;
    if (probe && segment.flags & FLAG.ACK && this.isOpen) this.#takeAck(segment, segment.window << this.#peerScale, 0);
    return false;
  }

  #receiveAcceptable(segment: Segment, now: number): void {
    const { flags } = segment;
    if (flags & FLAG.RST) {
      // RFC 5961, 3.2: exactly in place, or it is asked for again.
      if (segment.seq === this.receiver.next) this.#fail('reset');
      else this.#acknowledge();
      return;
    }
    if (flags & FLAG.SYN) {
      this.#acknowledge(); // RFC 5961, 4.2
      return;
    }
    if (!(flags & FLAG.ACK)) return;
    const window = segment.window << this.#peerScale;
    if (!this.isOpen && !this.#takeSynAck(segment, window)) return;
    if (!this.#takeAck(segment, window, now)) return;
    if (this.state === 'ESTABLISHED' || this.state === 'FIN_WAIT_1' || this.state === 'FIN_WAIT_2')
      this.#takeText(segment, now);
    else if (segment.length > 0) this.#acknowledge(); // a FIN, or text, that comes again
  }

  /** In SYN_RECEIVED: whether our SYN is acknowledged. */
  #takeSynAck(segment: Segment, window: number): boolean {
    if (segment.ack !== this.sender.nxt) {
      this.#resetDue = segment.ack;
      return false;
    }
    this.#establish(segment, window);
    return true;
  }

  #establish(segment: Segment, window: number): void {
    this.sender.start(segment, window, Math.max(64, Math.min(this.#mss, this.#peerMss)));
    this.#synDue = false;
    this.#deadline = NEVER;
    this.state = this.sender.fin ? 'FIN_WAIT_1' : 'ESTABLISHED';
  }

  /** Fifth check of 3.10.7.4; false: of something that was never sent. */
  #takeAck(segment: Segment, window: number, now: number): boolean {
    const { sender } = this;
    if (distance(segment.ack, sender.max) > 0) {
      this.#acknowledge();
      return false;
    }
    if (distance(segment.ack, sender.una) >= 0) sender.acknowledge(segment, window, now);
    if (!sender.finished) return true;
    if (this.state === 'FIN_WAIT_1') this.state = 'FIN_WAIT_2';
    else if (this.state === 'CLOSING') this.#timeWait(now);
    else if (this.state === 'LAST_ACK') this.#close();
    return this.state !== 'CLOSED';
  }

  /** Seventh and eighth step: text and FIN. */
  #takeText(segment: Segment, now: number): void {
    if (segment.length === 0) return;
    const arrival = this.receiver.take(segment);
    if (arrival === 'in order') this.#acksDue = Math.max(1, this.#acksDue);
    else this.#acknowledge();
    if (!this.receiver.finished) return;
    if (this.state === 'ESTABLISHED') this.state = 'CLOSE_WAIT';
    else if (this.state === 'FIN_WAIT_1') this.state = 'CLOSING';
    else this.#timeWait(now);
  }

  #timeWait(now: number): void {
    this.state = 'TIME_WAIT';
    this.#deadline = now + TIME_WAIT_NS;
    this.#acksDue = Math.max(1, this.#acksDue);
  }

  #acknowledge(): void {
    this.#acksDue = Math.min(DUPLICATES_MAX, this.#acksDue + 1);
  }

  #takeSyn(syn: Segment): void {
    this.receiver.start(syn.seq);
    this.#peerMss = syn.mss;
    this.#scaled = syn.scale >= 0;
    this.#peerScale = this.#scaled ? syn.scale : 0;
  }

  #sendSyn(now: number): void {
    const { sender, receiver } = this;
    const passive = this.state === 'SYN_RECEIVED';
    const out = this.#out;
    out.flags = FLAG.SYN | (passive ? FLAG.ACK : 0);
    out.seq = sender.iss;
    out.ack = passive ? receiver.next : 0;
    receiver.advertise(this.#mss, 0);
    out.window = Math.min(0xffff, receiver.buffer.capacity);
    out.dataBytes = 0;
    out.data = undefined;
    out.mss = this.#mss;
    out.scale = !passive || this.#scaled ? this.#offeredScale : -1;
    const sent = this.wire.send(out);
    out.mss = 0;
    out.scale = -1;
    this.#ackBlocked = !sent;
    if (!sent) return;
    this.#synDue = false;
    this.#deadline = now + sender.timeout.value * 2 ** this.#synTries;
    this.#synTries++;
  }

  #emit(seq: number, bytes: number, fin: boolean, push: boolean): boolean {
    const out = this.#out;
    out.flags = FLAG.ACK | (fin ? FLAG.FIN : 0) | (push && bytes > 0 ? FLAG.PSH : 0);
    out.seq = seq;
    out.data = this.sender.buffer;
    out.dataBytes = bytes;
    this.#fillAck(out);
    if (!this.wire.send(out)) return false;
    this.#acksDue = 0;
    return true;
  }

  #sendAck(): boolean {
    const due = this.#acksDue;
    const sent = this.#control(FLAG.ACK, this.sender.nxt);
    if (sent) this.#acksDue = due - 1;
    return sent;
  }

  /** A segment without data. */
  #control(flags: number, seq: number): boolean {
    const out = this.#out;
    out.flags = flags;
    out.seq = seq;
    out.data = undefined;
    out.dataBytes = 0;
    if (flags & FLAG.ACK) this.#fillAck(out);
    else out.ack = out.window = 0;
    return this.wire.send(out);
  }

  #fillAck(out: Outgoing): void {
    out.ack = this.receiver.next;
    out.window = this.receiver.advertise(this.sender.mss, this.#scaled ? this.#offeredScale : 0);
  }

  #fail(why: 'reset' | 'timeout'): void {
    this.failure = why;
    if (why === 'timeout') this.abort();
    else this.#close();
  }

  #close(): void {
    this.state = 'CLOSED';
    this.#deadline = NEVER;
    this.#acksDue = 0;
    this.#synDue = false;
  }
}
