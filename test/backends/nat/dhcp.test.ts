import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DhcpServer } from '#engines/backends/nat/dhcp.js';
import { parseResolvConf } from '#engines/backends/nat/resolver.js';
import { GUEST_MAC } from '../frames.js';

const ip = (...bytes: number[]): number => bytes.reduce((all, byte) => all * 256 + byte, 0);
/** A client's message by RFC 2131, figure 1. */
function message(
  options: number[],
  over: { flags?: number; ciaddr?: number[]; mac?: number[]; cookie?: number[] } = {},
) {
  const { flags = 0, ciaddr = [0, 0, 0, 0], mac = GUEST_MAC, cookie = [99, 130, 83, 99] } = over;
  const head = [1, 1, 6, 0, 0xde, 0xad, 0xbe, 0xef, 0, 7, flags, 0, ...ciaddr, ...Array(12).fill(0), ...mac];
  return Uint8Array.from([...head, ...Array(10 + 64 + 128).fill(0), ...cookie, ...options, 255]);
}
/** Options by number, as RFC 2132 encodes them. */
function optionsOf(bytes: Uint8Array): Record<number, number[]> {
  const found: Record<number, number[]> = {};
  for (let at = 240; bytes[at] !== 255; at += 2 + bytes[at + 1])
    found[bytes[at]] = [...bytes.slice(at + 2, at + 2 + bytes[at + 1])];
  return found;
}
const DISCOVER = [53, 1, 1];
const NETWORK = { 1: [255, 255, 255, 0], 3: [10, 0, 2, 2], 6: [10, 0, 2, 3], 26: [5, 220], 28: [10, 0, 2, 255] };

describe('DHCP server', () => {
  const server = () => new DhcpServer(() => 'example.org');

  it('offers the first card 10.0.2.15 and tells of the network', () => {
    const reply = server().answer(message(DISCOVER));
    if (reply === undefined) throw new Error('no offer');
    const bytes = reply.message;
    expect([...bytes.slice(0, 20)]).toEqual([2, 1, 6, 0, 0xde, 0xad, 0xbe, 0xef, 0, 7, 0, 0, 0, 0, 0, 0, 10, 0, 2, 15]);
    expect([...bytes.slice(28, 34)]).toEqual(GUEST_MAC);
    expect([...bytes.slice(236, 240)]).toEqual([99, 130, 83, 99]);
    const domain = [...Buffer.from('example.org')];
    expect(optionsOf(bytes)).toEqual({ ...NETWORK, 15: domain, 51: [0, 1, 81, 128], 53: [2], 54: [10, 0, 2, 2] });
    expect(bytes.length).toBeGreaterThanOrEqual(300);
    expect(reply).toMatchObject({ toMac: 0x525400123456, toIp: ip(10, 0, 2, 15) });
  });

  it('grants what it offered, refuses anything else, and is silent when another server was chosen', () => {
    const it = server();
    const request = (...options: number[]) => it.answer(message([53, 1, 3, ...options]));
    const granted = request(50, 4, 10, 0, 2, 15, 54, 4, 10, 0, 2, 2);
    expect(optionsOf(granted?.message ?? new Uint8Array())[53]).toEqual([5]);
    const refused = request(50, 4, 10, 0, 2, 99, 54, 4, 10, 0, 2, 2);
    expect(optionsOf(refused?.message ?? new Uint8Array())).toEqual({ 53: [6], 54: [10, 0, 2, 2] });
    expect(refused?.toIp).toBe(ip(255, 255, 255, 255));
    expect(request(50, 4, 10, 0, 2, 15, 54, 4, 10, 0, 2, 7)).toBeUndefined();
    // Renewing: the address stands in ciaddr, and the answer goes there (RFC 2131, 4.3.2).
    const renewed = it.answer(message([53, 1, 3], { ciaddr: [10, 0, 2, 15] }));
    expect(optionsOf(renewed?.message ?? new Uint8Array())[53]).toEqual([5]);
    expect(renewed?.toIp).toBe(ip(10, 0, 2, 15));
    // A release and a decline are not answered.
    for (const type of [4, 7, 200]) expect(it.answer(message([53, 1, type]))).toBeUndefined();
  });

  it('answers by broadcast where the client asks for it, and BOOTP without DHCP options', () => {
    expect(server().answer(message(DISCOVER, { flags: 0x80 }))?.toIp).toBe(ip(255, 255, 255, 255));
    const bootp = server().answer(message([]));
    expect([...(bootp?.message.slice(16, 20) ?? [])]).toEqual([10, 0, 2, 15]);
    expect(optionsOf(bootp?.message ?? new Uint8Array())[53]).toBeUndefined();
    const inform = server().answer(message([53, 1, 8], { ciaddr: [10, 0, 2, 77] }));
    expect(inform?.toIp).toBe(ip(10, 0, 2, 77));
    expect(optionsOf(inform?.message ?? new Uint8Array())[51]).toBeUndefined();
  });

  it('gives each card an address of its own, and keeps to it', () => {
    const it = server();
    const lease = (n: number) => it.answer(message(DISCOVER, { mac: [2, 0, 0, 0, n >> 8, n & 255] }))?.message[19];
    expect([lease(1), lease(2), lease(1), lease(3)]).toEqual([15, 16, 15, 17]);
    for (let n = 4; n < 1000; n++) expect(lease(n)).toBeLessThan(255);
    expect(lease(999)).toBe(lease(999));
  });

  it('survives any message', () => {
    const edits = fc.array(fc.tuple(fc.nat(400), fc.nat(255)), { maxLength: 8 });
    const messages = fc.tuple(fc.uint8Array({ maxLength: 200 }), edits, fc.nat(400)).map(([options, changes, cut]) => {
      const bytes = message([...DISCOVER, ...options]);
      for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
      return bytes.subarray(0, Math.max(bytes.length - cut, 0));
    });
    const it = server();
    fc.assert(fc.property(messages, (bytes) => (it.answer(bytes)?.message.length ?? 300) >= 300));
  });
});

describe('resolv.conf', () => {
  it('has the first IPv4 name server and the last domain', () => {
    const text =
      '# nameserver 9.9.9.9\nnameserver ::1\n nameserver\t192.0.2.53 \nnameserver 1.1.1.1\ndomain a\nsearch b.example c\n';
    expect(parseResolvConf(text)).toEqual({ address: ip(192, 0, 2, 53), domain: 'b.example' });
    expect(parseResolvConf('nameserver 1.2.3\nnameserver 1.2.3.400\n')).toEqual({ address: -1, domain: '' });
  });
});
