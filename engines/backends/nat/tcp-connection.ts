/**
 * One TCP connection of the guest, joined to a socket of the host:
 *
 *     guest ◄── endpoint ◄── ring (128 KiB) ◄── recv ── socket ◄── host's network
 *     guest ──► endpoint ──► ring  (64 KiB) ──► send ── socket ──►
 *
 * Flow control runs end to end: no more is taken from the socket than the ring holds until the guest acknowledges, and the
 * window for the guest closes while the socket takes nothing. The guest's SYN is answered only when the host has connected.
 */
import type { HandleId, IoContext } from '../io.js';
import type { SwitchPort } from '../switch.js';
import { TcpEndpoint } from '../tcp/endpoint.js';
import { Segment } from '../tcp/segment.js';
import { distance } from '../tcp/sequence.js';
import { ERRNO, type TcpSockets } from '../tcp-socket.js';
import { Timer, type Timers } from '../timers.js';
import { POLLIN, POLLOUT } from '../uring-abi.js';
import type { Answers } from './answers.js';
import type { FrameWriter } from './frame-writer.js';
import type { StreamMemories, StreamMemory } from './stream-memory.js';
import { sendSegment, type TcpEnds, WIRE_MSS, writeSegment } from './tcp-wire.js';

export interface TcpTools {
  io: IoContext;
  port: SwitchPort;
  writer: FrameWriter;
  answers: Answers;
  timers: Timers;
  sockets: TcpSockets;
  memories: StreamMemories;
  /** A random 32-bit number (RFC 9293, 3.4.1). */
  initialSequence(): number;
  now(): number;
}

/** What its owner is told. */
export interface TcpEvents {
  /** It has something to send, but not now: service() is to be called soon. */
  due(connection: TcpConnection): void;
  /** service() has been called, by whomever. */
  served(connection: TcpConnection): void;
  /** The host could not connect the guest's `quote` (the beginning of its SYN's frame). ended() follows. */
  refused(connection: TcpConnection, quote: Uint8Array, errno: number): void;
  /** Nothing of the connection is left. */
  ended(connection: TcpConnection): void;
}

export class TcpConnection {
  /** The next one with the same ports (tcp-nat.ts). */
  next: TcpConnection | undefined;
  /** Grows with each use: the least of several was used least recently. */
  lastUsed = 0;
  readonly endpoint: TcpEndpoint;
  readonly #memory: StreamMemory;
  readonly #handle: HandleId;
  readonly #timer: Timer;
  /** While the host connects: the guest's SYN, and the beginning of its frame. */
  #syn: { segment: Segment; quote: Uint8Array } | undefined;
  #watchIn = -1;
  #watchOut = -1;
  /** recv may find something: the socket has not said otherwise since. */
  #mayRead = true;
  #shut = false;
  #over = false;
  /** Segments are sent in the next poll(). */
  #later = false;

  /** fd: the socket, taken over. */
  constructor(
    private readonly tools: TcpTools,
    private readonly events: TcpEvents,
    readonly ends: TcpEnds,
    private readonly fd: number,
  ) {
    this.#memory = tools.memories.take();
    this.#handle = tools.io.adopt(fd);
    const wire = { send: (out: Parameters<typeof sendSegment>[3]) => this.#send(out) };
    const options = { mss: WIRE_MSS, iss: tools.initialSequence() };
    this.endpoint = new TcpEndpoint(wire, this.#memory.send, this.#memory.receive, options);
    this.#timer = new Timer((now) => this.#expire(now));
  }

  /** The guest's SYN: connects to the host first. quote: the beginning of its frame, for errors. */
  open(syn: Segment, quote: Uint8Array, address: number, port: number): void {
    const segment = Object.assign(new Segment(), syn, { bytes: new Uint8Array(0), dataBytes: 0 });
    this.#syn = { segment, quote };
    if (this.#connected(address, port)) this.events.due(this);
  }

  /** A connection that the host has accepted: goes on to the guest. */
  forward(): void {
    this.endpoint.connect();
    this.service();
  }

  /** The host is still connecting. */
  get isWaiting(): boolean {
    return this.#syn !== undefined;
  }

  /** A segment of the guest. Sends nothing: service() is to be called when the burst is over. */
  receive(segment: Segment): void {
    if (!this.isWaiting) this.endpoint.receive(segment, this.tools.now());
    else if (segment.flags & 4) this.#end(); // it does not want to any more
  }

  /** Moves what can be moved, sends what is due. Not from within the card's transmit(). */
  service(): void {
    if (this.#over || this.isWaiting) return;
    const now = this.tools.now();
    this.#toHost();
    if (this.#over) return;
    this.endpoint.output(now);
    if (this.endpoint.isOpen && this.#mayRead && this.#fromHost()) this.endpoint.output(now);
    this.#settle();
  }

  /** Ends it at once, on both sides. later: from within the card's transmit(). */
  abort(later = false): void {
    if (this.#over) return;
    this.#later = later;
    if (!this.isWaiting) this.endpoint.abort();
    this.tools.sockets.resetOnClose(this.fd);
    this.#end();
  }

  /** Begins to connect, and looks again when the socket says so; true when it is connected. */
  #connected(address: number, port: number): boolean {
    const result = this.tools.sockets.connect(this.fd, address, port);
    if (this.#syn === undefined) return false;
    if (result === -ERRNO.EINPROGRESS || result === -ERRNO.EALREADY) {
      this.#watchOut = this.tools.io.watch(this.fd, POLLOUT, () => {
        this.#watchOut = -1;
        if (this.#connected(address, port)) this.service();
      });
      return false;
    }
    if (result < 0) {
      this.events.refused(this, this.#syn.quote, -result);
      this.#end();
      return false;
    }
    this.endpoint.accept(this.#syn.segment);
    this.#syn = undefined;
    return true;
  }

  #send(out: Parameters<typeof sendSegment>[3]): boolean {
    if (this.ends.guestMac === 0) return false; // not found yet
    if (this.#later) {
      const { writer, answers } = this.tools;
      return answers.later(writer.frame.bytes, writeSegment(writer, this.ends, out));
    }
    return sendSegment(this.tools.writer, this.tools.port, this.ends, out);
  }

  /** Guest's bytes to the socket, then its FIN. */
  #toHost(): void {
    const { receiver } = this.endpoint;
    while (receiver.readable > 0 && this.#watchOut < 0) {
      const bytes = receiver.buffer.contiguous(receiver.read, receiver.readable);
      const from = this.#memory.receiveAddress + receiver.buffer.place(receiver.read);
      const sent = this.tools.sockets.send(this.fd, from, bytes);
      if (sent > 0) this.endpoint.consumed(sent);
      else if (sent === -ERRNO.EAGAIN) this.#watchWrites();
      else if (sent !== -ERRNO.EINTR) {
        this.abort();
        return;
      }
    }
    if (receiver.finished && receiver.readable === 0 && !this.#shut) {
      this.#shut = true;
      this.tools.sockets.shutdown(this.fd);
    }
  }

  /** The socket's bytes into the ring, in large pieces; true when there were any, or its end. */
  #fromHost(): boolean {
    const { sender } = this.endpoint;
    let some = false;
    while (this.#mayRead && sender.room >= sender.buffer.capacity / 4) {
      const bytes = sender.buffer.contiguous(sender.tail, sender.room);
      const to = this.#memory.sendAddress + sender.buffer.place(sender.tail);
      const got = this.tools.sockets.receive(this.fd, to, bytes);
      if (got === -ERRNO.EINTR) continue;
      if (got < 0 && got !== -ERRNO.EAGAIN) {
        this.abort();
        return false;
      }
      some ||= got >= 0;
      if (got > 0) this.endpoint.wrote(got);
      if (got === 0) this.endpoint.finish();
      // Less than asked for: the socket is empty, or will say so when poll(2) does.
      if (got < bytes) this.#mayRead = false;
      if (got !== 0 && got < bytes) this.#watchReads();
    }
    return some;
  }

  #watchReads(): void {
    this.#watchIn = this.tools.io.watch(this.fd, POLLIN, () => {
      this.#watchIn = -1;
      this.#mayRead = true;
      this.service();
    });
  }

  #watchWrites(): void {
    this.#watchOut = this.tools.io.watch(this.fd, POLLOUT, () => {
      this.#watchOut = -1;
      this.service();
    });
  }

  #expire(now: number): void {
    this.endpoint.expire(now);
    this.service();
  }

  /** After each change: the next deadline, or the end. */
  #settle(): void {
    if (this.#over) return;
    this.events.served(this);
    const { endpoint, tools } = this;
    if (endpoint.state !== 'CLOSED') {
      if (endpoint.deadline !== this.#timer.deadline) tools.timers.set(this.#timer, endpoint.deadline);
      return;
    }
    if (endpoint.failure !== undefined) tools.sockets.resetOnClose(this.fd);
    // What the guest sent before its end is still the host's.
    else if (endpoint.receiver.readable > 0) return;
    this.#end();
  }

  #end(): void {
    if (this.#over) return;
    this.#over = true;
    this.#syn = undefined;
    const { io, timers, memories } = this.tools;
    timers.set(this.#timer, Number.POSITIVE_INFINITY);
    for (const watch of [this.#watchIn, this.#watchOut]) if (watch >= 0) io.unwatch(watch);
    io.close(this.#handle);
    memories.give(this.#memory);
    this.events.ended(this);
  }

  /** A SYN that may open the same connection anew (RFC 9293, 3.6.1). */
  mayBeReplacedBy(syn: Segment): boolean {
    const { state, receiver } = this.endpoint;
    return state === 'CLOSED' ? !this.isWaiting : state === 'TIME_WAIT' && distance(syn.seq, receiver.next) > 0;
  }
}
