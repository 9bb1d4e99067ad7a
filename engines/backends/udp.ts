/** UDP sockets by plain system calls: Node's dgram is asynchronous only. */
import { HostError } from './host-error.js';
import { type Libc, NativeMemory } from './libc.js';

export const AF_INET = 2;
export const SOCK_DGRAM = 2;
export const SOCK_NONBLOCK = 0o4000;
export const SOCK_CLOEXEC = 0o2000000;
export const SOL_SOCKET = 1;
const SO_RCVBUF = 8;
export const SOCKADDR_IN_BYTES = 16;
/** 127.0.0.1 */
export const LOOPBACK = 0x7f000001;
/** Room for bursts; the kernel grants at most net.core.rmem_max. */
const RECEIVE_BUFFER_BYTES = 1 << 20;

export const MSG_DONTWAIT = 0x40;
export const MSG_NOSIGNAL = 0x4000;
/** No datagram that came in an Ethernet frame is longer; longer ones are cut, and recognizable by this length. */
export const DATAGRAM_MAX = 2048;

/** A non-blocking socket connected to address:port: its descriptor. Any thread may send on it. */
export function connectUdp(c: Libc, port: number, address = LOOPBACK): number {
  if (!Number.isInteger(port) || port < 1 || port > 65535)
    throw new RangeError(`UDP port ${port}: expected 1 to 65535`);
  const fd = c.socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) throw new HostError('no UDP socket to be had', -fd);
  const scratch = new NativeMemory(c, 4096);
  try {
    new Uint32Array(scratch.buffer)[16] = RECEIVE_BUFFER_BYTES;
    c.setsockopt(fd, SOL_SOCKET, SO_RCVBUF, scratch.address + 64, 4);
    const result = c.connect(fd, socketAddress(scratch, address, port), SOCKADDR_IN_BYTES);
    if (result < 0) throw new HostError(`UDP socket cannot be connected to port ${port}`, -result);
    return fd;
  } catch (error) {
    c.close(fd);
    throw error;
  } finally {
    scratch.free();
  }
}

/** struct sockaddr_in at the start of `scratch`: family in host order, port and address in network order. */
export function socketAddress(scratch: NativeMemory, address: number, port: number): number {
  const view = new DataView(scratch.buffer);
  new Uint16Array(scratch.buffer)[0] = AF_INET;
  view.setUint16(2, port);
  view.setUint32(4, address);
  return scratch.address;
}
