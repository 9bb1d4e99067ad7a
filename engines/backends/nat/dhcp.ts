/** The DHCP server of a user network (RFC 2131, options of RFC 2132), which answers BOOTP (RFC 951) as well. */
import { read16, read32, write32 } from '../packet.js';
import { readMac, writeMac } from '../switch.js';
import { BROADCAST_IP, BROADCAST_MAC, DNS_IP, FIRST_GUEST_IP, GATEWAY_IP, NETMASK, NETWORK_IP } from './addresses.js';
import { MTU } from './frame-writer.js';

export const DHCP_SERVER_PORT = 67;
export const DHCP_CLIENT_PORT = 68;
/** RFC 951's message: the least that a client must take. */
const MESSAGE_BYTES = 300;
const OPTIONS_AT = 240;
/** No answer is longer: the domain has at most 200 bytes. */
const REPLY_MAX = 548;
const LEASE_SECONDS = 86400;
/** 10.0.2.15 to 10.0.2.254 */
const LEASES_MAX = 240;
const COOKIE = 0x63825363;
const AT = {
  OP: 0,
  HTYPE: 1,
  HLEN: 2,
  FLAGS: 10,
  CIADDR: 12,
  YIADDR: 16,
  SIADDR: 20,
  CHADDR: 28,
  COOKIE: 236,
} as const;
const BROADCAST_FLAG = 0x8000;
const OPTION = {
  PAD: 0,
  MASK: 1,
  ROUTER: 3,
  DNS: 6,
  DOMAIN: 15,
  MTU: 26,
  BROADCAST: 28,
  REQUESTED_IP: 50,
  LEASE: 51,
  TYPE: 53,
  SERVER: 54,
  END: 255,
} as const;
const TYPE = { DISCOVER: 1, OFFER: 2, REQUEST: 3, ACK: 5, NAK: 6, INFORM: 8 } as const;

export interface DhcpReply {
  message: Uint8Array;
  toMac: number;
  toIp: number;
}

interface Request {
  mac: number;
  clientIp: number;
  broadcast: boolean;
  /** 0: BOOTP. */
  type: number;
  requestedIp: number;
  serverIp: number;
}

export class DhcpServer {
  /** Address by MAC, the one that was asked for least recently first. */
  readonly #leases = new Map<number, number>();

  /** domain: asked for each reply; '' for none. */
  constructor(private readonly domain: () => string) {}

  /** The answer to a message (a UDP payload); undefined where there is none to be given. */
  answer(message: Uint8Array): DhcpReply | undefined {
    const request = parse(message);
    if (request === undefined) return undefined;
    const { type } = request;
    if (type === TYPE.INFORM) return this.#reply(message, request, TYPE.ACK, 0);
    if (type !== 0 && type !== TYPE.DISCOVER && type !== TYPE.REQUEST) return undefined;
    if (type === TYPE.REQUEST && request.serverIp !== 0 && request.serverIp !== GATEWAY_IP) return undefined;
    const ip = this.#lease(request.mac);
    if (type !== TYPE.REQUEST) return this.#reply(message, request, type === 0 ? 0 : TYPE.OFFER, ip);
    const asked = request.requestedIp || request.clientIp;
    return asked === ip ? this.#reply(message, request, TYPE.ACK, ip) : this.#reply(message, request, TYPE.NAK, 0);
  }

  /** The same card gets the same address as long as there are enough. */
  #lease(mac: number): number {
    let ip = this.#leases.get(mac);
    if (ip === undefined && this.#leases.size >= LEASES_MAX) {
      const [oldest, address] = this.#leases.entries().next().value as [number, number];
      this.#leases.delete(oldest);
      ip = address;
    }
    ip ??= FIRST_GUEST_IP + this.#leases.size;
    this.#leases.delete(mac);
    this.#leases.set(mac, ip);
    return ip;
  }

  #reply(asked: Uint8Array, request: Request, type: number, ip: number): DhcpReply {
    const out = new Uint8Array(REPLY_MAX);
    out.set(asked.subarray(0, AT.SIADDR)); // op, hardware, xid, secs, flags, ciaddr
    out[AT.OP] = 2;
    if (type === TYPE.NAK) write32(out, AT.CIADDR, 0);
    write32(out, AT.YIADDR, ip);
    write32(out, AT.SIADDR, GATEWAY_IP);
    writeMac(out, AT.CHADDR, request.mac);
    write32(out, AT.COOKIE, COOKIE);
    const end = this.#options(out, type);
    const message = out.subarray(0, Math.max(MESSAGE_BYTES, end));
    return { message, ...destination(request, type, ip) };
  }

  #options(out: Uint8Array, type: number): number {
    let at = OPTIONS_AT;
    const put = (code: number, ...data: number[]): void => {
      out.set([code, data.length, ...data], at);
      at += 2 + data.length;
    };
    if (type !== 0) {
      put(OPTION.TYPE, type);
      put(OPTION.SERVER, ...bytesOf(GATEWAY_IP));
    }
    if (type !== TYPE.NAK) {
      put(OPTION.MASK, ...bytesOf(NETMASK));
      put(OPTION.ROUTER, ...bytesOf(GATEWAY_IP));
      put(OPTION.DNS, ...bytesOf(DNS_IP));
      put(OPTION.BROADCAST, ...bytesOf((NETWORK_IP | ~NETMASK) >>> 0));
      put(OPTION.MTU, MTU >>> 8, MTU & 0xff);
      const domain = this.domain();
      if (domain !== '') put(OPTION.DOMAIN, ...Buffer.from(domain, 'latin1'));
    }
    if (type === TYPE.OFFER || (type === TYPE.ACK && read32(out, AT.YIADDR) !== 0)) {
      put(OPTION.LEASE, ...bytesOf(LEASE_SECONDS));
    }
    out[at] = OPTION.END;
    return at + 1;
  }
}

/** RFC 2131, 4.1: to a client that has an address there; else by broadcast if it asks so; else to the address it gets. */
function destination(request: Request, type: number, ip: number): { toMac: number; toIp: number } {
  const everyone = { toMac: BROADCAST_MAC, toIp: BROADCAST_IP };
  if (type === TYPE.NAK) return everyone;
  if (request.clientIp !== 0) return { toMac: request.mac, toIp: request.clientIp };
  return request.broadcast || ip === 0 ? everyone : { toMac: request.mac, toIp: ip };
}

function parse(message: Uint8Array): Request | undefined {
  const ethernetRequest = message.length >= AT.COOKIE && message[AT.OP] === 1 && message[AT.HTYPE] === 1;
  if (!ethernetRequest || message[AT.HLEN] !== 6) return undefined;
  const request: Request = {
    mac: readMac(message, AT.CHADDR),
    clientIp: read32(message, AT.CIADDR),
    broadcast: (read16(message, AT.FLAGS) & BROADCAST_FLAG) !== 0,
    type: 0,
    requestedIp: 0,
    serverIp: 0,
  };
  if (message.length >= OPTIONS_AT && read32(message, AT.COOKIE) === COOKIE) parseOptions(message, request);
  return request;
}

function parseOptions(message: Uint8Array, request: Request): void {
  let at = OPTIONS_AT;
  while (at < message.length && message[at] !== OPTION.END) {
    const code = message[at++];
    if (code === OPTION.PAD) continue;
    const length = message[at++] ?? 0;
    if (at + length > message.length) return;
    if (code === OPTION.TYPE && length === 1) request.type = message[at];
    if (code === OPTION.REQUESTED_IP && length === 4) request.requestedIp = read32(message, at);
    if (code === OPTION.SERVER && length === 4) request.serverIp = read32(message, at);
    at += length;
  }
}

const bytesOf = (ip: number): number[] => [ip >>> 24, (ip >>> 16) & 0xff, (ip >>> 8) & 0xff, ip & 0xff];
