/** Listens on the host for connections into the guest (`hostfwd=`), and finds the guest's card by ARP. On the home thread. */
import { HostError } from '../host-error.js';
import type { HandleId, IoContext } from '../io.js';
import { ARP } from '../packet.js';
import type { TcpSockets } from '../tcp-socket.js';
import { Timer, type Timers } from '../timers.js';
import { POLLIN } from '../uring-abi.js';
import { GATEWAY_IP } from './addresses.js';
import type { Answers } from './answers.js';
import { arpRequest } from './arp.js';
import type { Forward } from './forward.js';
import type { TcpNat } from './tcp-nat.js';

/** Ports of 10.0.2.2 that connections seem to come from (RFC 6335: dynamic ports). */
const FIRST_PORT = 49152;
const PORTS = 65536 - FIRST_PORT;
/** Connections taken at one time. */
const BATCH = 16;
/** RFC 1122, 2.3.2.1: not more often than once a second. */
const ASK_AGAIN_NS = 1e9;
const REASONS: Record<number, string> = {
  13: 'ports below 1024 are for root',
  98: 'another program listens there',
  99: 'the host has no such address',
};

export interface ForwardTools {
  io: IoContext;
  answers: Answers;
  timers: Timers;
  sockets: TcpSockets;
  tcp: TcpNat;
  now(): number;
}

interface Listener {
  handle: HandleId;
  fd: number;
  watch: number;
}

export class HostForwards {
  readonly #listeners: Listener[] = [];
  readonly #macs = new Map<number, number>();
  readonly #ask = new Timer(() => this.#askAgain());
  /** Guests that have not answered yet. */
  readonly #looking = new Set<number>();
  #nextPort = 0;

  constructor(private readonly tools: ForwardTools) {}

  /** Throws an Error for the user when a port cannot be had. */
  open(forwards: readonly Forward[]): void {
    for (const forward of forwards) this.#listen(forward);
  }

  /** A guest has said which card has the address. */
  found(ip: number, mac: number): void {
    if (!this.#looking.delete(ip)) return;
    this.#macs.set(ip, mac);
    this.tools.tcp.found(ip, mac);
  }

  dispose(): void {
    this.tools.timers.set(this.#ask, Number.POSITIVE_INFINITY);
    for (const { handle, watch } of this.#listeners.splice(0)) {
      this.tools.io.unwatch(watch);
      this.tools.io.close(handle);
    }
  }

  #listen(forward: Forward): void {
    const { io, sockets } = this.tools;
    let fd: number;
    try {
      fd = sockets.listen(forward.hostAddress, forward.hostPort);
    } catch (error) {
      if (!(error instanceof HostError)) throw error;
      const why = REASONS[error.errno] ?? `errno ${error.errno}`;
      throw new Error(`hostfwd: port ${forward.hostPort} of the host cannot be listened on: ${why}`);
    }
    const listener = { handle: io.adopt(fd), fd, watch: -1 };
    this.#listeners.push(listener);
    this.#wait(listener, forward);
  }

  #wait(listener: Listener, forward: Forward): void {
    listener.watch = this.tools.io.watch(listener.fd, POLLIN, () => {
      for (let i = 0; i < BATCH && this.#accept(listener.fd, forward); i++) {}
      this.#wait(listener, forward);
    });
  }

  #accept(listening: number, forward: Forward): boolean {
    const { sockets, tcp } = this.tools;
    const fd = sockets.accept(listening);
    if (fd < 0) return false;
    const { guestIp, guestPort } = forward;
    if (!this.#macs.has(guestIp)) this.#lookFor(guestIp);
    const guestMac = this.#macs.get(guestIp) ?? 0;
    tcp.forward(fd, { guestMac, guestIp, guestPort, hostIp: GATEWAY_IP, hostPort: this.#freePort(guestIp, guestPort) });
    return true;
  }

  #freePort(guestIp: number, guestPort: number): number {
    for (let i = 0; i < PORTS; i++) {
      const port = FIRST_PORT + this.#nextPort;
      this.#nextPort = (this.#nextPort + 1) % PORTS;
      if (this.tools.tcp.isFree(guestPort, port, guestIp, GATEWAY_IP)) return port;
    }
    return FIRST_PORT;
  }

  #lookFor(ip: number): void {
    const first = this.#looking.size === 0;
    this.#looking.add(ip);
    if (first) this.#askAgain();
    else this.#request(ip);
  }

  #askAgain(): void {
    if (this.#looking.size === 0) return;
    for (const ip of this.#looking) this.#request(ip);
    this.tools.timers.set(this.#ask, this.tools.now() + ASK_AGAIN_NS);
  }

  #request(ip: number): void {
    this.tools.answers.later(arpRequest(ip), ARP.END);
  }
}
