/**
 * The other end of a TCP connection, written for the tests from RFC 9293's state machine and nothing of engines/: go-back-N,
 * takes only what is in order, acknowledges every segment. Slow and plain.
 */
import { ACK, FIN, type Packet, PSH, RST, SYN } from './bench.js';

const wrap = (n: number): number => n >>> 0;
const difference = (a: number, b: number): number => (a - b) | 0;

export class Peer {
  state: 'closed' | 'syn-sent' | 'open' | 'reset' = 'closed';
  readonly received: number[] = [];
  finReceived = false;
  /** Everything that was sent, the FIN too, is acknowledged. */
  done = false;
  window: number;
  readonly #iss: number;
  readonly #outbox: number[] = [];
  #finWanted = false;
  /** Positions in the stream: 0 is the SYN. */
  #una = 0;
  #nxt = 0;
  #rcvNxt = 0;
  #peerWindow = 0;
  #peerScale = 0;

  constructor(
    private readonly send: (packet: Packet) => void,
    private readonly options: { iss?: number; mss?: number; window?: number; scale?: number } = {},
  ) {
    this.#iss = options.iss ?? 0x7ffffff0;
    this.window = options.window ?? 65535;
  }

  connect(): void {
    this.state = 'syn-sent';
    this.#nxt = 1;
    const { mss = 1460, scale } = this.options;
    this.send({
      flags: SYN,
      seq: this.#iss,
      ack: 0,
      window: this.window,
      data: [],
      mss,
      ...(scale === undefined ? {} : { scale }),
    });
  }

  /** Answers a SYN. */
  accept(syn: Packet): void {
    this.state = 'open';
    this.#rcvNxt = wrap(syn.seq + 1);
    this.#nxt = 1;
    this.send({ flags: SYN | ACK, seq: this.#iss, ack: this.#rcvNxt, window: this.window, data: [], mss: 1460 });
  }

  write(data: Iterable<number>): void {
    for (const byte of data) this.#outbox.push(byte);
    this.pump();
  }

  close(): void {
    this.#finWanted = true;
    this.pump();
  }

  reset(): void {
    this.state = 'reset';
    this.#packet(RST | ACK, this.#nxt, []);
  }

  /** An acknowledgement that tells of the window. */
  announce(): void {
    this.#packet(ACK, this.#nxt, []);
  }

  /** Time has passed without progress: all that is not acknowledged goes again. */
  retransmit(): void {
    if (this.state === 'syn-sent') this.connect();
    if (this.state !== 'open' || this.done) return;
    this.#nxt = Math.max(1, this.#una);
    if (this.#peerWindow === 0 && this.#una <= this.#outbox.length)
      this.#packet(ACK, this.#una, [this.#outbox[this.#una - 1]]);
    this.pump();
  }

  pump(): void {
    if (this.state !== 'open') return;
    const end = this.#una + this.#peerWindow;
    while (this.#nxt <= this.#outbox.length && this.#nxt < end) {
      const bytes = Math.min(this.options.mss ?? 1460, this.#outbox.length + 1 - this.#nxt, end - this.#nxt);
      this.#packet(ACK | PSH, this.#nxt, this.#outbox.slice(this.#nxt - 1, this.#nxt - 1 + bytes));
      this.#nxt += bytes;
    }
    if (this.#finWanted && this.#nxt === this.#outbox.length + 1) {
      this.#packet(FIN | ACK, this.#nxt, []);
      this.#nxt++;
    }
  }

  receive(packet: Packet): void {
    if (this.state === 'closed' || this.state === 'reset') return;
    if (packet.flags & RST) {
      this.state = 'reset';
      return;
    }
    if (packet.flags & SYN) {
      if (this.state === 'open') this.#packet(ACK, this.#nxt, []);
      if (this.state === 'open' || packet.ack !== wrap(this.#iss + 1)) return;
      this.#rcvNxt = wrap(packet.seq + 1);
      this.#una = Math.max(this.#una, 1);
      this.#peerWindow = packet.window;
      this.#peerScale = this.options.scale === undefined ? 0 : (packet.scale ?? 0);
      this.state = 'open';
      this.#packet(ACK, this.#nxt, []);
      this.pump();
      return;
    }
    if (this.state !== 'open') return;
    this.#takeAck(packet);
    if (packet.data.length > 0 || packet.flags & FIN) this.#takeData(packet);
    this.pump();
  }

  #takeAck(packet: Packet): void {
    const acked = difference(packet.ack, wrap(this.#iss + this.#una));
    if (acked < 0) return;
    this.#una += acked;
    this.#nxt = Math.max(this.#nxt, this.#una);
    this.#peerWindow = packet.window << this.#peerScale;
    this.done = this.#finWanted && this.#una === this.#outbox.length + 2;
  }

  #takeData(packet: Packet): void {
    const skip = difference(this.#rcvNxt, packet.seq);
    if (skip >= 0 && !this.finReceived && skip <= packet.data.length) {
      for (const byte of packet.data.slice(skip)) this.received.push(byte);
      this.#rcvNxt = wrap(packet.seq + packet.data.length);
      if (packet.flags & FIN) {
        this.finReceived = true;
        this.#rcvNxt = wrap(this.#rcvNxt + 1);
      }
    }
    this.#packet(ACK, this.#nxt, []);
  }

  #packet(flags: number, position: number, data: number[]): void {
    const window = this.window >> (this.options.scale ?? 0);
    this.send({ flags, seq: wrap(this.#iss + position), ack: flags & ACK ? this.#rcvNxt : 0, window, data });
  }
}
