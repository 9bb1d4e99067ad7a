/** Ports of the host that lead into the guest, in the words of QEMU's `hostfwd=`. */
import { FIRST_GUEST_IP } from './addresses.js';
import { parseIpv4 } from './resolver.js';

export interface Forward {
  /** IPv4 address of the host to listen on; 0: all of them. */
  hostAddress: number;
  /** 0: any free one. */
  hostPort: number;
  guestIp: number;
  guestPort: number;
}

const FORM = /^(\w*):([\d.]*):(\d+)-([\d.]*):(\d+)$/;

/**
 * Reads `[tcp]:[hostaddr]:hostport-[guestaddr]:guestport`, as QEMU's `hostfwd=`; the guest is 10.0.2.15 unless said
 * otherwise. Throws an Error for the user.
 */
export function parseForward(text: string): Forward {
  const fail = (what: string): never => {
    throw new Error(
      `hostfwd=${text}: ${what}; expected tcp:[hostaddr]:hostport-[guestaddr]:guestport, as in tcp::2222-:22`,
    );
  };
  const match = FORM.exec(text);
  if (match === null) return fail('not understood');
  const [, protocol, host, hostPort, guest, guestPort] = match;
  if (protocol !== '' && protocol !== 'tcp') fail(`only tcp can be forwarded, not ${protocol}`);
  const address = (value: string, absent: number): number => {
    const ip = value === '' ? absent : parseIpv4(value);
    return ip < 0 ? fail(`${value} is no IPv4 address`) : ip;
  };
  const port = (value: string, least: number): number =>
    Number(value) >= least && Number(value) <= 65535 ? Number(value) : fail(`${value} is no port number`);
  return {
    hostAddress: address(host, 0),
    hostPort: port(hostPort, 0),
    guestIp: address(guest, FIRST_GUEST_IP),
    guestPort: port(guestPort, 1),
  };
}
