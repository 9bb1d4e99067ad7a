/** The host's DNS server, out of /etc/resolv.conf (resolv.conf(5)). */
import { readFileSync } from 'node:fs';
import { nowNs } from '../clock.js';

const FRESH_NS = 5e9;

export interface ResolverConfig {
  /** The first IPv4 name server; -1 where there is none. */
  address: number;
  /** The host's domain; '' where none is set. */
  domain: string;
}

/** Of a resolv.conf's text. */
export function parseResolvConf(text: string): ResolverConfig {
  let address = -1;
  let domain = '';
  for (const line of text.split('\n')) {
    const [keyword, value = ''] = line.trim().split(/\s+/);
    if (keyword === 'nameserver' && address < 0) address = parseIpv4(value);
    // Of `domain` and `search` the last one counts.
    if (keyword === 'domain' || keyword === 'search') domain = /^[\w.-]{1,200}$/.test(value) ? value : '';
  }
  return { address, domain };
}

/** A dotted quad as a number; -1 when it is none. */
export function parseIpv4(text: string): number {
  const parts = text.split('.');
  if (parts.length !== 4 || !parts.every((part) => /^\d{1,3}$/.test(part) && Number(part) < 256)) return -1;
  return parts.reduce((ip, part) => ip * 256 + Number(part), 0);
}

/** Reads the file again when it was read long ago: the host may have moved to another network. */
export class HostResolver {
  #config: ResolverConfig = { address: -1, domain: '' };
  #readAt = Number.NEGATIVE_INFINITY;

  constructor(private readonly path = '/etc/resolv.conf') {}

  get config(): ResolverConfig {
    const now = nowNs();
    if (now - this.#readAt < FRESH_NS) return this.#config;
    this.#readAt = now;
    try {
      this.#config = parseResolvConf(readFileSync(this.path, 'utf8'));
    } catch {
      this.#config = { address: -1, domain: '' };
    }
    return this.#config;
  }
}
