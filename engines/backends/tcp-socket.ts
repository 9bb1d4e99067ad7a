/** Non-blocking TCP sockets of the host by plain system calls. Results are counts, or negative errnos. */
import { HostError } from './host-error.js';
import { type Libc, NativeMemory } from './libc.js';
import {
  AF_INET,
  MSG_DONTWAIT,
  MSG_NOSIGNAL,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCKADDR_IN_BYTES,
  SOL_SOCKET,
  socketAddress,
} from './udp.js';

const SOCK_STREAM = 1;
const SO_REUSEADDR = 2;
const SO_LINGER = 13;
const IPPROTO_TCP = 6;
const TCP_NODELAY = 1;
const SHUT_WR = 1;
const BACKLOG = 64;
export const ERRNO = {
  EAGAIN: 11,
  EINTR: 4,
  EISCONN: 106,
  EALREADY: 114,
  EINPROGRESS: 115,
  ECONNREFUSED: 111,
} as const;

export class TcpSockets {
  readonly #scratch: NativeMemory;

  constructor(private readonly c: Libc) {
    this.#scratch = new NativeMemory(c, 4096);
  }

  /** A new socket. Throws a HostError when there is none to be had. */
  open(): number {
    const fd = this.c.socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) throw new HostError('no TCP socket to be had', -fd);
    this.#set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    return fd;
  }

  /** Begins to connect, or asks how that went: 0 when it is connected, EINPROGRESS or EALREADY (negative) while it is not. */
  connect(fd: number, address: number, port: number): number {
    const result = this.c.connect(fd, socketAddress(this.#scratch, address, port), SOCKADDR_IN_BYTES);
    return result === -ERRNO.EISCONN ? 0 : result;
  }

  /** A listening socket. Throws a HostError when the port is taken or forbidden. */
  listen(address: number, port: number): number {
    const fd = this.open();
    this.#set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    const bound = this.c.bind(fd, socketAddress(this.#scratch, address, port), SOCKADDR_IN_BYTES);
    const result = bound < 0 ? bound : this.c.listen(fd, BACKLOG);
    if (result >= 0) return fd;
    this.c.close(fd);
    throw new HostError(`port ${port} of the host cannot be listened on`, -result);
  }

  /** A connection that has come, or a negative errno. */
  accept(fd: number): number {
    const connection = this.c.accept4(fd, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (connection >= 0) this.#set(connection, IPPROTO_TCP, TCP_NODELAY, 1);
    return connection;
  }

  receive(fd: number, address: number, bytes: number): number {
    return this.c.recv(fd, address, bytes, MSG_DONTWAIT);
  }

  send(fd: number, address: number, bytes: number): number {
    return this.c.send(fd, address, bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
  }

  shutdown(fd: number): void {
    this.c.shutdown(fd, SHUT_WR);
  }

  /** The peer gets a reset when the socket is closed. */
  resetOnClose(fd: number): void {
    this.#set(fd, SOL_SOCKET, SO_LINGER, 1, 0);
  }

  dispose(): void {
    this.#scratch.free();
  }

  #set(fd: number, level: number, name: number, ...words: number[]): void {
    new Int32Array(this.#scratch.buffer).set(words, 16);
    this.c.setsockopt(fd, level, name, this.#scratch.address + 64, words.length * 4);
  }
}
