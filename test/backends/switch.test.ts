import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Switch } from '#engines/backends/switch.js';

const BROADCAST = 0xffffffffffff;

function frame(to: number, from: number, length = 60): Uint8Array {
  const bytes = new Uint8Array(length);
  const view = new DataView(bytes.buffer);
  for (const [at, mac] of [
    [0, to],
    [6, from],
  ]) {
    view.setUint16(at, Math.floor(mac / 2 ** 32));
    view.setUint32(at + 2, mac % 2 ** 32);
  }
  return bytes;
}

function make(count: number) {
  const network = new Switch();
  const got: number[] = new Array(count).fill(0);
  const ports = got.map((_, i) => {
    const port = network.addPort(`p${i}`);
    port.onReceive(() => {
      got[i]++;
      return true;
    });
    return port;
  });
  return { ports, got };
}

describe('switch', () => {
  it('floods unknown and group addresses to every other port, and sends known ones to theirs', () => {
    const { ports, got } = make(3);
    expect(ports[0].transmit(frame(0x020000000002, 0x020000000001))).toBe(true);
    expect(got).toEqual([0, 1, 1]);
    ports[1].transmit(frame(0x020000000001, 0x020000000002));
    expect(got).toEqual([1, 1, 1]);
    ports[0].transmit(frame(0x020000000002, 0x020000000001));
    expect(got).toEqual([1, 2, 1]);
    ports[0].transmit(frame(BROADCAST, 0x020000000001));
    expect(got).toEqual([1, 3, 2]);
  });

  it('follows an address that moves, and never learns a group address', () => {
    const { ports, got } = make(3);
    ports[0].transmit(frame(BROADCAST, 1));
    ports[1].transmit(frame(BROADCAST, 1));
    ports[2].transmit(frame(1, 2));
    expect(got).toEqual([1, 2, 2]);
    ports[0].transmit(frame(BROADCAST, 0x010000000005));
    ports[2].transmit(frame(0x010000000005, 2));
    expect(got).toEqual([2, 4, 3]);
  });

  it('sends nothing back to where it came from', () => {
    const { ports, got } = make(2);
    ports[0].transmit(frame(BROADCAST, 1));
    expect(ports[0].transmit(frame(1, 1))).toBe(false);
    expect(got).toEqual([0, 1]);
    expect(ports[0].counters).toMatchObject({ txFrames: 1, txDropped: 1 });
  });

  it('refuses frames of impossible length or outside of their buffer', () => {
    const { ports, got } = make(2);
    const buffer = new Uint8Array(4096);
    for (const [offset, bytes] of [
      [0, 13],
      [0, 1515],
      [4090, 60],
      [-1, 60],
      [0, -1],
      [0, Number.NaN],
    ]) {
      expect(ports[0].transmit(buffer, offset, bytes)).toBe(false);
    }
    buffer.fill(0xff, 100, 106);
    expect(ports[0].transmit(buffer, 100, 1514)).toBe(true);
    expect(got).toEqual([0, 1]);
    expect(ports[0].counters).toMatchObject({ txFrames: 1, txBytes: 1514, txDropped: 6 });
  });

  it('counts what a receiver has no room for', () => {
    const { ports } = make(2);
    ports[1].onReceive(() => false);
    expect(ports[0].transmit(frame(BROADCAST, 1))).toBe(false);
    expect(ports[1].counters).toMatchObject({ rxFrames: 0, rxDropped: 1 });
  });

  it('shows the receiver exactly the frame', () => {
    const { ports } = make(2);
    let seen: number[] = [];
    ports[1].onReceive((bytes) => {
      seen = [...bytes];
      return true;
    });
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 14, maxLength: 200 }), fc.nat(50), (bytes, offset) => {
        bytes[0] |= 1;
        const buffer = new Uint8Array(400);
        buffer.set(bytes, offset);
        ports[0].transmit(buffer, offset, bytes.length);
        expect(seen).toEqual([...bytes]);
      }),
    );
  });

  it('survives a guest that invents addresses', () => {
    const { ports, got } = make(2);
    for (let i = 0; i < 5000; i++) ports[0].transmit(frame(BROADCAST, 2 * i));
    ports[1].transmit(frame(BROADCAST, 0x020000000009));
    ports[0].transmit(frame(0x020000000009, 1));
    expect(got).toEqual([1, 5001]);
  });
});
