/** RFC 826: answers for the addresses that the host serves, and finds guests for what comes in from outside. */
import {
  ARP,
  ARP_REPLY,
  ARP_REQUEST,
  ETHERNET,
  read16,
  read32,
  TYPE_ARP,
  TYPE_IPV4,
  write16,
  write32,
} from '../packet.js';
import { readMac, writeMac } from '../switch.js';
import { BROADCAST_MAC, GATEWAY_IP, GATEWAY_MAC, isServed, macOf } from './addresses.js';

const LENGTHS = 0x0604;

/** What an ARP packet says of its sender. */
export interface ArpSender {
  mac: number;
  ip: number;
}

/** The sender of an Ethernet/IPv4 ARP packet of at least ARP.END bytes; undefined: another kind. */
export function arpSender(at: Uint8Array): ArpSender | undefined {
  const known =
    read16(at, ARP.HARDWARE) === 1 && read16(at, ARP.PROTOCOL) === TYPE_IPV4 && read16(at, ARP.LENGTHS) === LENGTHS;
  return known ? { mac: readMac(at, ARP.SENDER_MAC), ip: read32(at, ARP.SENDER_IP) } : undefined;
}

/** Turns a request for one of our addresses into its reply, in place; false when it is none. */
export function answerArp(at: Uint8Array, sender: ArpSender): boolean {
  const asked = read32(at, ARP.TARGET_IP);
  if (read16(at, ARP.OPERATION) !== ARP_REQUEST || !isServed(asked)) return false;
  writeMac(at, ETHERNET.TO, sender.mac);
  writeMac(at, ETHERNET.FROM, macOf(asked));
  write16(at, ARP.OPERATION, ARP_REPLY);
  writeMac(at, ARP.SENDER_MAC, macOf(asked));
  write32(at, ARP.SENDER_IP, asked);
  writeMac(at, ARP.TARGET_MAC, sender.mac);
  write32(at, ARP.TARGET_IP, sender.ip);
  return true;
}

/** "Who has `ip`?", asked by the gateway. */
export function arpRequest(ip: number): Uint8Array {
  const at = new Uint8Array(ARP.END);
  writeMac(at, ETHERNET.TO, BROADCAST_MAC);
  writeMac(at, ETHERNET.FROM, GATEWAY_MAC);
  write16(at, ETHERNET.TYPE, TYPE_ARP);
  write16(at, ARP.HARDWARE, 1);
  write16(at, ARP.PROTOCOL, TYPE_IPV4);
  write16(at, ARP.LENGTHS, LENGTHS);
  write16(at, ARP.OPERATION, ARP_REQUEST);
  writeMac(at, ARP.SENDER_MAC, GATEWAY_MAC);
  write32(at, ARP.SENDER_IP, GATEWAY_IP);
  write32(at, ARP.TARGET_IP, ip);
  return at;
}
