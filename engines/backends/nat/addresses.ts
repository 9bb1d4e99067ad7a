/** The addresses of a user network, as QEMU's has them by default (its documentation, "Using the user mode network stack"). */

export const NETWORK_IP = 0x0a000200;
export const NETMASK = 0xffffff00;
/** 10.0.2.2: the host, and the router to everywhere else. */
export const GATEWAY_IP = 0x0a000202;
/** 10.0.2.3: what is asked there is passed on to the host's resolver. */
export const DNS_IP = 0x0a000203;
/** 10.0.2.15: the first guest; further ones follow. */
export const FIRST_GUEST_IP = 0x0a00020f;
export const BROADCAST_IP = 0xffffffff;
/** 52:55:0a:00:02:02 */
export const GATEWAY_MAC = 0x52550a000202;
/** 52:55:0a:00:02:03 */
export const DNS_MAC = 0x52550a000203;
export const BROADCAST_MAC = 0xffffffffffff;
export const DNS_PORT = 53;
const LOOPBACK = 0x7f000001;

/** The addresses of this network that answer ARP. */
export const isServed = (ip: number): boolean => ip === GATEWAY_IP || ip === DNS_IP;

export const macOf = (ip: number): number => (ip === DNS_IP ? DNS_MAC : GATEWAY_MAC);

/** Where on the host's network the guest's packets to `ip`:`port` go; -1: nowhere. */
export type Route = (ip: number, port: number) => number;

/** To the host's loopback, its resolver, and everywhere else. */
export const hostRoute =
  (resolver: { config: { address: number } }): Route =>
  (ip, port) => {
    if (ip === GATEWAY_IP) return LOOPBACK;
    if (ip === DNS_IP) return port === DNS_PORT ? resolver.config.address : -1;
    return isForeign(ip) ? ip : -1;
  };

/** To the host's loopback alone. */
export const loopbackRoute: Route = (ip) => (ip === GATEWAY_IP ? LOOPBACK : -1);

/** A unicast address outside of this network and of the host itself (RFC 6890: "this network", loopback, multicast, reserved). */
export function isForeign(ip: number): boolean {
  const first = ip >>> 24;
  return first !== 0 && first !== 127 && first < 224 && (ip & NETMASK) >>> 0 !== NETWORK_IP;
}
