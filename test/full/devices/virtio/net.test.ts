import { describe, expect, it } from 'vitest';
import type { FrameHandler, NetPort } from '#engines/backends/net-port.js';
import { VirtioNet } from '#engines/full/devices/virtio/net.js';
import { BUFFERS, EVENT_IDX, type Piece, VERSION_1, VirtioBench } from './driver.js';

const MAC = [0x52, 0x54, 0, 0x12, 0x34, 0x56];
const PEER = [2, 0, 0, 0, 0, 9];
const BROADCAST = new Array<number>(6).fill(0xff);
/** Feature bits of 5.1.3. */
const bit = (n: number): bigint => 1n << BigInt(n);
const F = {
  CSUM: bit(0),
  GUEST_CSUM: bit(1),
  MAC: bit(5),
  TSO4: bit(11),
  TSO6: bit(12),
  MRG: bit(15),
  STATUS: bit(16),
};
const CTRL = bit(17) | bit(18) | bit(20) | bit(23);
const MQ = bit(22);
const HEADER = 12;

class FakePort implements NetPort {
  readonly name = 'fake';
  readonly sent: number[][] = [];
  flushes = 0;
  handler: FrameHandler = () => false;
  answer: number[] | undefined;
  readonly counters = { txFrames: 0, txBytes: 0, txDropped: 0, rxFrames: 0, rxBytes: 0, rxDropped: 0 };
  transmit(buffer: Uint8Array, offset = 0, bytes = buffer.length): boolean {
    this.sent.push(Array.from(buffer.subarray(offset, offset + bytes)));
    if (this.answer) this.handler(Uint8Array.from(this.answer));
    return true;
  }
  flush(): void {
    this.flushes++;
  }
  onReceive(handler: FrameHandler): void {
    this.handler = handler;
  }
}

class Bench extends VirtioBench {
  readonly port = new FakePort();
  readonly model: VirtioNet;
  constructor(features = 0n, { pairs = 1, over = 'pci' as 'pci' | 'mmio' } = {}) {
    super();
    this.model = new VirtioNet(this.context(), this.port, Uint8Array.from(MAC), pairs);
    this.attach(this.model, over);
    this.start(2 * pairs + 1, features | F.MAC);
  }
  /** Header and frame in one piece at `at`. */
  frame(
    at: number,
    frame: number[],
    header: Partial<Record<'flags' | 'gso' | 'size' | 'start' | 'offset', number>> = {},
  ): Piece {
    const { flags = 0, gso = 0, size = 0, start = 0, offset = 0 } = header;
    const word = (value: number) => [value & 255, value >> 8];
    this.poke(at, flags, gso, 0, 0, ...word(size), ...word(start), ...word(offset), 0, 0, ...frame);
    return { at, bytes: HEADER + frame.length };
  }
  send(q = 1, ...frames: number[][]): void {
    for (const [i, frame] of frames.entries()) this.rings[q].add(this.frame(BUFFERS + 0x800 * i, frame));
    this.transport.notify(q);
  }
  post(bytes: number, count = 1, q = 0): void {
    for (let i = 0; i < count; i++) this.rings[q].add({ at: BUFFERS + 0x8000 + 0x800 * i, bytes, write: true });
    this.transport.notify(q);
  }
  arrive(frame: number[]): boolean {
    return this.port.handler(Uint8Array.from(frame));
  }
  /** The driver's command on the control queue: what the device answers. */
  command(q: number, ...bytes: number[]): number {
    this.poke(BUFFERS + 0x4000, ...bytes);
    this.poke(BUFFERS + 0x5000, 0xee);
    const ack = { at: BUFFERS + 0x5000, bytes: 1, write: true };
    this.rings[q].add({ at: BUFFERS + 0x4000, bytes: 2 }, { at: BUFFERS + 0x4002, bytes: bytes.length - 2 }, ack);
    this.transport.notify(q);
    expect(this.rings[q].used()).toHaveLength(1);
    return this.peek(BUFFERS + 0x5000, 1)[0];
  }
}

const ethernet = (to: number[], bytes: number, fill = 0x5a): number[] => [
  ...to,
  ...PEER,
  0x88,
  0xb5,
  ...new Array<number>(bytes - 14).fill(fill),
];

describe.each(['pci', 'mmio'] as const)('virtio-net over %s', (over) => {
  it('shows what it can, its address and its link (5.1.3, 5.1.4)', () => {
    const b = new Bench(0n, { over, pairs: 2 });
    const all = F.CSUM | F.GUEST_CSUM | F.MAC | F.TSO4 | F.TSO6 | F.MRG | F.STATUS | CTRL | MQ;
    expect(b.transport.features()).toBe(all | VERSION_1 | EVENT_IDX | bit(28));
    expect([0, 1, 2, 3, 4, 5].map((i) => b.transport.config(i, 1))).toEqual(MAC);
    expect(b.transport.config(6, 2)).toBe(1);
    expect(b.transport.config(8, 2)).toBe(2);
  });

  it('sends all frames of a doorbell as one burst', () => {
    const b = new Bench(EVENT_IDX, { over });
    b.send(1, ethernet(PEER, 60), ethernet(PEER, 61), ethernet(PEER, 1514));
    expect(b.port.sent.map((f) => f.length)).toEqual([60, 61, 1514]);
    expect(b.port.sent[0]).toEqual(ethernet(PEER, 60));
    expect(b.port.flushes).toBe(1);
    expect(b.rings[1].used().map((u) => u.written)).toEqual([0, 0, 0]);
    expect(b.model.core.counters()['virtio-net.interrupts']).toBe(1);
  });

  it('receives into the buffer of the driver, a header before the frame', () => {
    const b = new Bench(0n, { over });
    expect(b.arrive(ethernet(MAC, 60))).toBe(false); // no buffer
    b.post(2048, 2);
    expect(b.rings[0].usedFlags).toBe(1); // it need not tell of buffers
    expect(b.arrive(ethernet(MAC, 100))).toBe(true);
    expect(b.rings[0].used()).toEqual([{ head: 0, written: HEADER + 100 }]);
    expect(b.peek(BUFFERS + 0x8000, HEADER)).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0]);
    expect(b.peek(BUFFERS + 0x8000 + HEADER, 100)).toEqual(ethernet(MAC, 100));
    expect(b.transport.interrupt).toBe(true);
    expect(b.model.counters()['virtio-net.dropped']).toBe(1);
  });
});

describe('virtio-net', () => {
  it('sends a frame in any pieces', () => {
    const b = new Bench();
    const { at } = b.frame(BUFFERS, ethernet(PEER, 80));
    b.poke(BUFFERS + 0x900, ...ethernet(PEER, 80).slice(20));
    b.rings[1].add(
      { at, bytes: 5 },
      { at: at + 5, bytes: 7 },
      { at: at + 12, bytes: 20 },
      { at: BUFFERS + 0x900, bytes: 60 },
    );
    b.transport.notify(1);
    expect(b.port.sent).toEqual([ethernet(PEER, 80)]);
  });

  it('a frame may be answered from within the call, and both directions end', () => {
    const b = new Bench();
    b.post(2048, 4);
    b.port.answer = ethernet(MAC, 64);
    b.send(1, ethernet(PEER, 60), ethernet(PEER, 61));
    expect(b.rings[0].used().map((u) => u.head)).toEqual([0, 1]);
    expect(b.rings[1].used().map((u) => u.head)).toEqual([0, 1]);
  });

  it('without MRG_RXBUF drops what does not fit, and keeps the buffer', () => {
    const b = new Bench();
    b.post(HEADER + 99);
    expect(b.arrive(ethernet(MAC, 100))).toBe(false);
    expect(b.arrive(ethernet(MAC, 99))).toBe(true);
    expect(b.rings[0].used()).toHaveLength(1);
  });

  it('MRG_RXBUF spreads a frame over buffers (5.1.6.4)', () => {
    const b = new Bench(F.MRG);
    b.post(112, 2);
    expect(b.arrive(ethernet(MAC, 300))).toBe(false); // three are wanted
    expect(b.rings[0].usedIndex).toBe(0);
    b.rings[0].add({ at: BUFFERS + 0x9000, bytes: 2048, write: true });
    const frame = ethernet(MAC, 300).map((byte, i) => (i < 14 ? byte : i & 255));
    expect(b.arrive(frame)).toBe(true);
    expect(b.rings[0].used().map((u) => u.written)).toEqual([112, 112, 88]);
    expect(b.peek(BUFFERS + 0x8000 + 10, 2)).toEqual([3, 0]);
    const parts = [
      ...b.peek(BUFFERS + 0x8000 + 12, 100),
      ...b.peek(BUFFERS + 0x8800, 112),
      ...b.peek(BUFFERS + 0x9000, 88),
    ];
    expect(parts).toEqual(frame);
  });

  it.each([
    ['a frame without a whole header', 1, { at: BUFFERS, bytes: 11 }],
    ['a buffer without room for a header', 0, { at: BUFFERS, bytes: 11, write: true }],
    ['a command without room for its answer', 2, { at: BUFFERS, bytes: 11 }],
  ])('%s needs a reset', (_name, q, piece) => {
    const b = new Bench(CTRL);
    b.rings[q].add(piece);
    b.transport.notify(q);
    b.arrive(ethernet(MAC, 60));
    expect(b.broken).toBe(true);
  });

  /** UDP over IPv4, 10.0.2.15 to 10.0.2.2, ports 1 and 2, "hello!"; its checksums by hand (RFC 1071). */
  const IP = [0x45, 0, 0, 34, 0, 0, 0, 0, 64, 17, 0x62, 0xbb, 10, 0, 2, 15, 10, 0, 2, 2];
  const UDP = [0, 1, 0, 2, 0, 14, 0xab, 0xfe, ...Buffer.from('hello!')];
  const udp = (checksum: number[]): number[] => [
    ...PEER,
    ...MAC,
    8,
    0,
    ...IP,
    ...UDP.slice(0, 6),
    ...checksum,
    ...UDP.slice(8),
  ];
  const sum16 = (bytes: number[]): number => {
    let sum = 0;
    for (let i = 0; i < bytes.length; i += 2) sum += (bytes[i] << 8) | (bytes[i + 1] ?? 0);
    while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
    return sum;
  };
  const PSEUDO = [...IP.slice(12), 0, 17, 0, 14];

  it('inserts the checksum that the driver leaves to it', () => {
    const b = new Bench(F.CSUM);
    const partial = sum16(PSEUDO);
    const frame = udp([partial >> 8, partial & 255]);
    b.rings[1].add(b.frame(BUFFERS, frame, { flags: 1, start: 34, offset: 6 }));
    b.rings[1].add(b.frame(BUFFERS + 0x800, frame, { flags: 1, start: 60_000, offset: 60_000 })); // nonsense: as it is
    b.transport.notify(1);
    const [done, left] = b.port.sent;
    expect(sum16([...PSEUDO, ...done.slice(34)])).toBe(0xffff);
    expect(done.slice(42)).toEqual(frame.slice(42));
    expect(left).toEqual(frame);
  });

  it('says which checksums it has found right', () => {
    const b = new Bench(F.GUEST_CSUM);
    b.post(2048, 3);
    const right = 0xffff - sum16([...PSEUDO, ...udp([0, 0]).slice(34)]);
    b.arrive(udp([right >> 8, right & 255]));
    b.arrive(udp([right >> 8, (right & 255) ^ 1]));
    b.arrive(ethernet(MAC, 60));
    expect([0, 1, 2].map((i) => b.peek(BUFFERS + 0x8000 + 0x800 * i, 1)[0])).toEqual([2, 0, 0]);
  });

  it('cuts a large TCP packet into frames', () => {
    const b = new Bench(F.CSUM | F.TSO4);
    const tcp = [0, 1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, 0x18, 1, 0, 0, 0, 0, 0];
    const ip = [...IP.slice(0, 9), 6, ...IP.slice(10)];
    const payload = Array.from({ length: 2500 }, (_, i) => i & 255);
    const packet = [...PEER, ...MAC, 8, 0, ...ip, ...tcp, ...payload];
    const header = { flags: 1, gso: 1, size: 1000, start: 34, offset: 16 };
    b.rings[1].add(b.frame(BUFFERS, packet, header));
    b.transport.notify(1);
    expect(b.port.sent.map((f) => f.length)).toEqual([1054, 1054, 554]);
    expect(b.port.sent.flatMap((f) => f.slice(54))).toEqual(payload);
    for (const frame of b.port.sent) {
      const pseudo = [...ip.slice(12), 0, 6, (frame.length - 34) >> 8, (frame.length - 34) & 255];
      expect(sum16([...pseudo, ...frame.slice(34)])).toBe(0xffff);
    }
  });

  it('filters by what the control queue set (5.1.6.5)', () => {
    const b = new Bench(CTRL);
    b.post(2048, 12);
    const other = [2, 0, 0, 0, 0, 7];
    const group = [1, 0, 0x5e, 0, 0, 1];
    const taken = () => [MAC, other, group, BROADCAST].map((to) => b.arrive(ethernet(to, 60)));
    expect(taken()).toEqual([true, true, true, true]);
    expect(b.command(2, 0, 0, 0)).toBe(0); // promiscuous off
    expect(taken()).toEqual([true, false, false, true]);
    expect(b.command(2, 1, 0, 1, 0, 0, 0, ...other, 1, 0, 0, 0, ...group)).toBe(0);
    expect(taken()).toEqual([true, true, true, true]);
    expect(b.command(2, 1, 1, ...other)).toBe(0);
    expect(b.transport.config(5, 1)).toBe(7);
    b.post(2048, 12);
    expect(b.command(2, 0, 4, 1)).toBe(0); // no unicast
    expect(b.command(2, 0, 2, 1)).toBe(0); // and all of it: less is more
    expect(taken()).toEqual([false, false, true, true]);
    expect(b.command(2, 0, 4, 0)).toBe(0);
    expect(taken()).toEqual([true, true, true, true]);
    expect(b.command(2, 0, 2, 0)).toBe(0);
    expect(b.command(2, 0, 5, 1)).toBe(0);
    expect(b.command(2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0)).toBe(0);
    b.post(2048, 12);
    expect(taken()).toEqual([false, true, false, false]);
  });

  it.each([
    ['an unknown class', [9, 0, 0]],
    ['an unknown mode', [0, 6, 1]],
    ['a table that is cut off', [1, 0, 2, 0, 0, 0, 1, 2, 3, 4, 5, 6]],
    ['half an address', [1, 1, 1, 2, 3]],
    ['no pairs', [4, 0, 0, 0]],
    ['too many pairs', [4, 0, 2, 0]],
  ])('answers %s with an error', (_name, command) => {
    expect(new Bench(CTRL).command(2, ...command)).toBe(1);
  });

  it('with MQ receives on the pair on which this thread has sent last', () => {
    const b = new Bench(CTRL | MQ, { pairs: 2 });
    b.post(2048, 2, 0);
    b.post(2048, 2, 2);
    b.send(3, ethernet(PEER, 60));
    b.arrive(ethernet(MAC, 60));
    expect(b.rings[0].usedIndex).toBe(1); // one pair is in use
    expect(b.command(4, 4, 0, 2, 0)).toBe(0);
    b.arrive(ethernet(MAC, 60));
    expect(b.rings[2].usedIndex).toBe(1);
  });
});
