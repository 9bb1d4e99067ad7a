/** The guest's lines of the control protocol, parsed and checked. A line that does not fit throws an Error that quotes it. */
import type { SampleResult } from '../engine.js';

export const PROTOCOL_VERSION = 1;

export interface Banner {
  /** `host`, `riscv64`, `para`. */
  port: string;
  cpus: number;
  diskBytes: number;
  hasNet: boolean;
}

/** What the guest says about a sample; `counters` holds the further pairs. */
export type ResultLine = Pick<
  SampleResult,
  'guestNs' | 'units' | 'ops' | 'reportedNs' | 'checksum' | 'errors' | 'counters'
>;

const NUMBER = /^[0-9]+(\.[0-9]+)?$/;
const NAME = /^[a-z][a-z0-9_-]{0,30}$/i;

/** `virtax-guest 1 ready port=riscv64 cpus=4 disk=134217728 net=1` */
export function parseBanner(line: string): Banner {
  const words = line.trim().split(/ +/);
  if (words[0] !== 'virtax-guest' || words[2] !== 'ready') throw new Error(`sent a banner that is none: "${line}"`);
  if (words[1] !== String(PROTOCOL_VERSION)) {
    throw new Error(
      `speaks version ${words[1]} of the control protocol, not ${PROTOCOL_VERSION}: rebuild the guest images`,
    );
  }
  const fields = pairs(line, words.slice(3));
  const cpus = number(line, fields, 'cpus');
  if (!Number.isInteger(cpus) || cpus < 1 || cpus > 32) throw new Error(`counts ${cpus} CPUs: "${line}"`);
  return {
    port: fields.get('port') ?? '',
    cpus,
    diskBytes: number(line, fields, 'disk'),
    hasNet: number(line, fields, 'net') === 1,
  };
}

/** `result units=123 ops=456 checksum=0123456789abcdef errors=0 ns=250012345 [latns=…] [other=number …]` */
export function parseResult(line: string): ResultLine {
  const fields = pairs(line, line.trim().split(/ +/).slice(1));
  const checksum = fields.get('checksum') ?? '';
  if (!/^[0-9a-f]{16}$/.test(checksum)) throw new Error(`sent a result with no checksum: "${line}"`);
  const latency = fields.has('latns') ? { reportedNs: number(line, fields, 'latns') } : {};
  const known = ['units', 'ops', 'checksum', 'errors', 'ns', 'latns'];
  const others = [...fields.keys()].filter((name) => !known.includes(name));
  return {
    units: number(line, fields, 'units'),
    ops: number(line, fields, 'ops'),
    checksum,
    errors: number(line, fields, 'errors'),
    guestNs: number(line, fields, 'ns'),
    ...latency,
    counters: Object.fromEntries(others.map((name) => [name, number(line, fields, name)])),
  };
}

function pairs(line: string, words: string[]): Map<string, string> {
  const fields = new Map<string, string>();
  for (const word of words) {
    const at = word.indexOf('=');
    const name = word.slice(0, at);
    if (at < 1 || !NAME.test(name) || fields.has(name))
      throw new Error(`sent a line with a bad word "${word}": "${line}"`);
    fields.set(name, word.slice(at + 1));
  }
  return fields;
}

function number(line: string, fields: Map<string, string>, name: string): number {
  const text = fields.get(name);
  const value = Number(text);
  if (text === undefined || !NUMBER.test(text) || value > Number.MAX_SAFE_INTEGER) {
    throw new Error(`sent a line with no number ${name}: "${line}"`);
  }
  return value;
}
