import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  addUp,
  CHECKED,
  checkFrame,
  findIp,
  fold,
  insertIpChecksum,
  insertTransportChecksum,
  pseudoHeader,
} from '#engines/full/devices/net/internet-checksum.js';
import { type LargeSend, sendLarge } from '#engines/full/devices/net/large-send.js';
import {
  bytes,
  checksummed,
  checksumsRight,
  L3,
  L4,
  onesComplementSum,
  tcp6Frame,
  tcpFrame,
  udpFrame,
  word,
} from './packets.js';

const u8 = (b: number[]): Uint8Array => Uint8Array.from(b);

describe('Internet checksum', () => {
  it("sums RFC 1071's example (chapter 3): ddf2", () => {
    expect(fold(addUp(u8([0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]), 0, 8))).toBe(0xddf2);
  });

  it('is the same for any place, length and alignment', () => {
    const place = fc.record({ before: fc.nat(9), at: fc.nat(9), seed: fc.nat(255), n: fc.nat(3000) });
    fc.assert(
      fc.property(place, ({ before, at, seed, n }) => {
        const all = u8([...bytes(before + at, seed), ...bytes(n, seed), 1, 2, 3]).subarray(before);
        expect(fold(addUp(all, at, at + n))).toBe(onesComplementSum(bytes(n, seed)));
      }),
    );
  });

  it('computes the header checksum of a known datagram: b861', () => {
    const header = '450000730000400040110000c0a80001c0a800c7'.match(/../g) ?? [];
    const f = u8([...new Array<number>(12).fill(0), 8, 0, ...header.map((h) => Number.parseInt(h, 16)), ...bytes(95)]);
    const ip = findIp(f, f.length);
    expect(ip).toMatchObject({ version: 4, l3: 14, l4: 34, end: 14 + 0x73, protocol: 17 });
    if (ip) insertIpChecksum(f, ip);
    expect([f[24], f[25]]).toEqual([0xb8, 0x61]);
  });

  it.each([
    ['TCP', tcpFrame({ payload: bytes(101) })],
    ['UDP', udpFrame({ payload: bytes(64) })],
  ])('%s over IPv4, whatever stood in the field', (_name, sent) => {
    const f = u8(sent);
    f[L3 + 10] = 0xbb;
    f[L4 + (f[L3 + 9] === 6 ? 16 : 6)] = 0xaa;
    const ip = findIp(f, f.length);
    if (ip === undefined) throw new Error('no IP found');
    insertIpChecksum(f, ip);
    insertTransportChecksum(f, ip);
    expect(Array.from(f)).toEqual(checksummed(sent));
  });

  it('TCP over IPv6', () => {
    const f = u8(tcp6Frame(bytes(50)));
    const ip = findIp(f, f.length);
    if (ip === undefined) throw new Error('no IP found');
    insertTransportChecksum(f, ip);
    const all = Array.from(f);
    const header = [...all.slice(22, 54), 0, 0, 0, 70, 0, 0, 0, 6]; // RFC 8200, 8.1
    expect(onesComplementSum([...header, ...all.slice(54)])).toBe(0xffff);
  });

  it('a UDP checksum of zero goes out as ffff', () => {
    const f = udpFrame({ payload: [0, 0] });
    // The payload makes the sum ffff, so that the checksum would be 0.
    const rest = ~onesComplementSum([...f.slice(L3 + 12, L4), 0, 17, 0, 10, ...f.slice(L4)]) & 0xffff;
    const g = u8(udpFrame({ payload: [rest >> 8, rest & 255] }));
    const ip = findIp(g, g.length);
    if (ip) insertTransportChecksum(g, ip);
    expect(word(Array.from(g), L4 + 6)).toBe(0xffff);
  });

  it.each([
    ['TCP', checksummed(tcpFrame({ payload: bytes(9) })), CHECKED.IP | CHECKED.IPV4 | CHECKED.TCP],
    ['UDP', checksummed(udpFrame({ payload: bytes(9) })), CHECKED.IP | CHECKED.IPV4 | CHECKED.UDP],
    ['UDP without one', udpFrame({ payload: bytes(9) }), CHECKED.IP | CHECKED.IPV4 | CHECKED.IP_BAD],
    ['ARP', [...new Array<number>(12).fill(1), 8, 6, ...bytes(46)], 0],
  ])('of what arrives: %s', (_name, f, found) => {
    expect(checkFrame(u8(f), f.length)).toBe(found);
    expect(checkFrame(u8([...f, 0, 0, 0, 0, 0, 0]), f.length + 6)).toBe(found); // padding does not count
  });

  it('finds every single wrong bit', () => {
    const f = checksummed(tcpFrame({ payload: bytes(20) }));
    for (let bit = L3 * 8; bit < f.length * 8; bit++) {
      const g = u8(f);
      g[bit >> 3] ^= 1 << (bit & 7);
      expect(checkFrame(g, g.length)).not.toBe(CHECKED.IP | CHECKED.IPV4 | CHECKED.TCP);
    }
  });

  it('lengths that lie never lead outside the frame', () => {
    const kind = fc.constantFrom([8, 0], [0x86, 0xdd], [0x81, 0, 0, 1, 8, 0]);
    fc.assert(
      fc.property(kind, fc.uint8Array({ maxLength: 120 }), (type, rest) => {
        const f = u8([...new Array<number>(12).fill(2), ...type, ...rest]);
        const ip = findIp(f, f.length);
        checkFrame(f, f.length);
        if (!ip) return;
        expect(ip.end).toBeLessThanOrEqual(f.length);
        expect(ip.l4).toBeLessThanOrEqual(ip.end);
      }),
    );
  });
});

describe('large send', () => {
  const out = new Uint8Array(4096);
  const cut = (f: number[], fields: Partial<LargeSend> = {}): number[][] => {
    const large = u8(f);
    const ip = findIp(large, large.length, true);
    if (ip === undefined) throw new Error('no IP found');
    const send = { l3: ip.l3, l4: ip.l4, header: ip.l4 + 20, mss: 1000, udp: false, pseudo: pseudoHeader(large, ip) };
    const segments: number[][] = [];
    const count = sendLarge(large, large.length, { ...send, ...fields }, out, (n) =>
      segments.push(Array.from(out.subarray(0, n))),
    );
    expect(count).toBe(segments.length);
    return segments;
  };

  it('gives every byte once, in order, in frames that are right by themselves', () => {
    const arbitrary = { bytes: fc.integer({ min: 0, max: 20_000 }), mss: fc.integer({ min: 536, max: 1460 }) };
    fc.assert(
      fc.property(fc.record(arbitrary), ({ bytes: n, mss }) => {
        const payload = bytes(n);
        const segments = cut(tcpFrame({ payload, sequence: 0xffff_ff00, id: 0xfffe }), { mss });
        expect(segments.flatMap((s) => s.slice(L4 + 20))).toEqual(payload);
        segments.forEach((s, i) => {
          expect(checksumsRight(s)).toBe(true);
          expect(word(s, L3 + 2)).toBe(s.length - L3);
          expect(word(s, L3 + 4)).toBe((0xfffe + i) & 0xffff);
          const sequence = word(s, L4 + 4) * 65_536 + word(s, L4 + 6);
          expect(sequence).toBe((0xffff_ff00 + i * mss) % 2 ** 32);
        });
      }),
      { numRuns: 30 },
    );
  });

  it('FIN and PSH go with the last segment, CWR with the first', () => {
    const flags = cut(tcpFrame({ payload: bytes(2500), flags: 0x99 })).map((s) => s[L4 + 13]);
    expect(flags).toEqual([0x90, 0x10, 0x19]);
  });

  it('IPv6: payload length and checksum', () => {
    const segments = cut(tcp6Frame(bytes(1500)));
    expect(segments.map((s) => word(s, 18))).toEqual([1020, 520]);
    for (const s of segments) {
      const header = [...s.slice(22, 54), 0, 0, ...[(s.length - 54) >> 8, (s.length - 54) & 255], 0, 0, 0, 6];
      expect(onesComplementSum([...header, ...s.slice(54)])).toBe(0xffff);
    }
  });

  it.each([
    ['an MSS of 0', { mss: 0 }],
    ['an MSS that would make thousands of frames', { mss: 1 }],
    ['headers longer than the packet', { header: 4000 }],
    ['headers shorter than TCP’s', { header: L4 + 12 }],
    ['segments longer than any buffer', { mss: 4096 }],
    ['headers in the wrong order', { l4: 20 }],
  ])('refuses %s', (_name, fields) => {
    expect(cut(tcpFrame({ payload: bytes(3000) }), fields)).toEqual([]);
  });
});
