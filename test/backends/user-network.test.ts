import dgram from 'node:dgram';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FLOWS_MAX, FlowTable } from '#engines/backends/flow-table.js';
import type { IoContext } from '#engines/backends/io.js';
import { createIoContext } from '#engines/backends/io-context.js';
import { createKickArea } from '#engines/backends/kick.js';
import { libcProblem } from '#engines/backends/libc.js';
import { FrameBuffer } from '#engines/backends/packet.js';
import { createFlowMemory, createUserNetwork, type UserNetwork } from '#engines/backends/user-network.js';
import {
  arpRequest,
  echoRequest,
  GUEST_IP,
  GUEST_MAC,
  HOST_IP,
  HOST_MAC,
  internetChecksum,
  ipv4,
  udp,
} from './frames.js';

const slice = (frame: Uint8Array, from: number, to?: number) => [...frame.slice(from, to)];

describe('Internet checksum', () => {
  it("agrees with RFC 1071's example and a published IPv4 header", () => {
    const buffer = new FrameBuffer(new ArrayBuffer(2048), 0, 2048);
    buffer.bytes.set([0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7], 14);
    expect(buffer.sum(14, 8, 0)).toBe(0xddf2);
    const header = '450000730000400040110000c0a80001c0a800c7';
    buffer.bytes.set(Buffer.from(header, 'hex'), 14);
    buffer.sealIp();
    expect(slice(buffer.bytes, 24, 26)).toEqual([0xb8, 0x61]);
  });

  it('agrees with the plain definition for every length and even offset', () => {
    const buffer = new FrameBuffer(new ArrayBuffer(2048), 0, 2048);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 1500 }), fc.nat(20), (bytes, half) => {
        buffer.bytes.set(bytes, half * 2);
        expect(0xffff - buffer.sum(half * 2, bytes.length, 0)).toBe(internetChecksum(bytes));
      }),
    );
  });
});

describe.skipIf(libcProblem() !== undefined)('user network', () => {
  let io: IoContext;
  let flows: SharedArrayBuffer;
  let network: UserNetwork;
  let received: Uint8Array[];
  let server: dgram.Socket;
  let port: number;

  beforeEach(async () => {
    io = createIoContext(createKickArea(1), 0, { waiting: { pollUs: 0 } });
    flows = createFlowMemory();
    network = createUserNetwork(io, flows);
    received = listen(network);
    server = dgram.createSocket('udp4');
    server.bind(0, '127.0.0.1');
    await once(server, 'listening');
    port = (server.address() as AddressInfo).port;
  });
  afterEach(() => {
    server.close();
    network.dispose();
    io.dispose();
  });

  function listen(of: UserNetwork): Uint8Array[] {
    const frames: Uint8Array[] = [];
    of.port.onReceive((frame) => {
      frames.push(frame.slice());
      return true;
    });
    return frames;
  }
  /** Gives one frame to the network as a card does, at the end of a doorbell. */
  const transmit = (frame: Uint8Array): boolean => {
    const taken = network.port.transmit(frame);
    network.port.flush();
    io.submit();
    return taken;
  };
  /** What the server gets next. */
  const atServer = async (): Promise<{ data: number[]; from: number }> => {
    const [data, from] = (await once(server, 'message')) as [Buffer, dgram.RemoteInfo];
    return { data: [...data], from: from.port };
  };
  const answer = (data: number[], to: number): Promise<unknown> =>
    new Promise((resolve) => server.send(Uint8Array.from(data), to, '127.0.0.1', resolve));
  const waitForFrames = (count: number): void => {
    for (let i = 0; i < 20 && received.length < count; i++) io.wait(1e9);
    expect(received).toHaveLength(count);
  };

  it('answers ARP for the host and the name server only, and outside of transmit()', () => {
    expect(transmit(arpRequest())).toBe(true);
    expect(received).toHaveLength(0);
    io.poll();
    expect(received).toHaveLength(1);
    expect(slice(received[0], 0)).toEqual([
      ...GUEST_MAC,
      ...HOST_MAC,
      8,
      6,
      0,
      1,
      8,
      0,
      6,
      4,
      0,
      2,
      ...HOST_MAC,
      ...HOST_IP,
      ...GUEST_MAC,
      ...GUEST_IP,
    ]);
    expect(transmit(arpRequest([10, 0, 2, 3]))).toBe(true);
    io.poll();
    expect(slice(received[1], 22, 32)).toEqual([0x52, 0x55, 10, 0, 2, 3, 10, 0, 2, 3]);
    for (const other of [GUEST_IP, [10, 0, 2, 1], [10, 0, 2, 255], [10, 0, 3, 2]]) {
      expect(transmit(arpRequest(other))).toBe(false);
    }
    io.poll();
    expect(received).toHaveLength(2);
  });

  it('answers ICMP echo with the same data and right checksums', () => {
    for (let length = 0; length < 100; length++) {
      const data = Array.from({ length }, (_, i) => (i * 7 + length) & 0xff);
      expect(transmit(echoRequest(data))).toBe(true);
      io.poll();
      const reply = received[length];
      expect(slice(reply, 0, 14)).toEqual([...GUEST_MAC, ...HOST_MAC, 8, 0]);
      expect(internetChecksum(slice(reply, 14, 34))).toBe(0);
      expect(slice(reply, 26, 34)).toEqual([...HOST_IP, ...GUEST_IP]);
      expect(internetChecksum(slice(reply, 34))).toBe(0);
      expect(slice(reply, 34, 36)).toEqual([0, 0]);
      expect(slice(reply, 38)).toEqual([0, 1, 0, 2, ...data]);
    }
  });

  it('carries UDP to the host and back, with checksums that the guest can verify', async () => {
    for (const length of [0, 1, 2, 3, 59, 512, 1471, 1472]) {
      const data = Array.from({ length }, (_, i) => (i * 13 + length) & 0xff);
      const arrival = atServer();
      expect(transmit(udp(5000, port, data))).toBe(true);
      const got = await arrival;
      expect(got.data).toEqual(data);
      received.length = 0;
      await answer(
        data.map((byte) => byte ^ 0xff),
        got.from,
      );
      waitForFrames(1);
      const reply = received[0];
      expect(slice(reply, 0, 14)).toEqual([...GUEST_MAC, ...HOST_MAC, 8, 0]);
      expect(internetChecksum(slice(reply, 14, 34))).toBe(0);
      expect(slice(reply, 16, 18)).toEqual([(length + 28) >>> 8, (length + 28) & 0xff]);
      expect(slice(reply, 23, 24)).toEqual([17]);
      expect(slice(reply, 34, 38)).toEqual([port >>> 8, port & 0xff, 5000 >>> 8, 5000 & 0xff]);
      const pseudo = [...slice(reply, 26, 34), 0, 17, ...slice(reply, 38, 40)];
      expect(internetChecksum([...pseudo, ...slice(reply, 34)])).toBe(0);
      expect(slice(reply, 42)).toEqual(data.map((byte) => byte ^ 0xff));
    }
    expect(network.counters()).toMatchObject({ flowsOpened: 1, malformed: 0 });
  });

  it('sends a burst in order, from shared guest memory as from any other, with few system calls', async () => {
    const memory = new Uint8Array(new WebAssembly.Memory({ initial: 2, maximum: 2, shared: true }).buffer);
    const messages: number[] = [];
    const all = new Promise<void>((resolve) => {
      server.on('message', (data) => {
        messages.push(data[0]);
        if (messages.length === 70) resolve();
      });
    });
    for (let i = 0; i < 70; i++) {
      const frame = udp(6000, port, [i, i, i]);
      memory.set(frame, 1000 * (i % 2) + 1);
      expect(network.port.transmit(memory, 1000 * (i % 2) + 1, frame.length)).toBe(true);
    }
    network.port.flush();
    await all;
    expect(messages).toEqual(Array.from({ length: 70 }, (_, i) => i));
    expect(network.counters().sendCalls).toBe(3);
    expect(network.counters().sent).toBe(70);
  });

  it('sends what follows a first burst closely when the thread next looks at its I/O, all at once', async () => {
    const messages: number[] = [];
    const arrived = async (count: number): Promise<number[]> => {
      while (messages.length < count) await once(server, 'message');
      return messages;
    };
    server.on('message', (data) => messages.push(data[0]));
    const send = (...data: number[]): void => {
      for (const byte of data) transmit(udp(6100, port, [byte]));
    };
    send(1);
    expect(await arrived(1)).toEqual([1]);
    send(2, 3, 4);
    expect(network.counters().sendCalls).toBe(1);
    io.poll();
    expect(network.counters().sendCalls).toBe(2);
    expect(await arrived(4)).toEqual([1, 2, 3, 4]);
    // The stream goes on: what comes next is held back too, until nothing comes any more.
    send(5);
    expect(network.counters().sendCalls).toBe(2);
    io.poll();
    io.poll();
    send(6);
    expect(network.counters().sendCalls).toBe(4);
    expect(await arrived(6)).toEqual([1, 2, 3, 4, 5, 6]);
  });

  it('keeps datagrams of any lengths apart that are sent together', async () => {
    const lengths = [7, 7, 7, 0, 0, 1, 1400, 1400, 1399, 3];
    const got: number[] = [];
    const all = new Promise<void>((resolve) => {
      server.on('message', (data) => {
        got.push(data.length);
        if (got.length === lengths.length) resolve();
      });
    });
    for (const length of lengths) network.port.transmit(udp(6200, port, new Array<number>(length).fill(length & 255)));
    network.port.flush();
    await all;
    expect(got).toEqual(lengths);
    expect(network.counters()).toMatchObject({ sendCalls: 1, sent: lengths.length, unsent: 0 });
  });

  it('lets another thread of the machine send on a flow, from the same source port', async () => {
    const other = createUserNetwork(io, flows);
    const atOther = listen(other);
    let arrival = atServer();
    transmit(udp(7000, port, [1]));
    const first = await arrival;
    arrival = atServer();
    other.port.transmit(udp(7000, port, [2]));
    other.port.flush();
    expect(await arrival).toEqual({ data: [2], from: first.from });
    await answer([3], first.from);
    waitForFrames(1);
    expect(atOther).toHaveLength(0);
    expect(other.counters().flowsOpened).toBe(0);
    other.dispose();
  });

  it('keeps flows apart, and reuses the least recently used when there are too many', async () => {
    const sources = new Set<number>();
    for (let i = 0; i < FLOWS_MAX + 10; i++) {
      const arrival = atServer();
      expect(transmit(udp(10_000 + i, port, [i]))).toBe(true);
      io.poll();
      sources.add((await arrival).from);
    }
    expect(sources.size).toBe(FLOWS_MAX + 10);
    expect(network.counters()).toMatchObject({ flowsOpened: FLOWS_MAX + 10, flowsEvicted: 10 });
    transmit(udp(10_000 + FLOWS_MAX + 9, port, [0]));
    expect(network.counters().flowsOpened).toBe(FLOWS_MAX + 10);
    transmit(udp(10_000, port, [0]));
    expect(network.counters().flowsOpened).toBe(FLOWS_MAX + 11);
  });

  it('drops what is broken or not for the gateway', () => {
    const good = udp(5000, port, [1, 2, 3, 4]);
    const change = (at: number, value: number): Uint8Array => {
      const frame = good.slice();
      frame[at] = value;
      return frame;
    };
    const bad = [
      change(14, 0x46), // header length beyond its checksum
      change(14, 0x65), // version 6
      change(17, 200), // total length beyond the frame
      change(24, good[24] ^ 1), // IP checksum
      change(40, good[40] ^ 1), // UDP checksum
      change(45, 9), // data that the checksum does not cover
      good.slice(0, 40), // cut
      ipv4(17, [0, 1, 0, 2, 0, 4, 0, 0]), // UDP length below its header's
      ipv4(17, [0, 1, 0, 2, 0, 9, 0, 0]), // UDP length beyond the packet
      ipv4(17, [0, 1, 0, 0, 0, 8, 0, 0]), // port 0
      ipv4(17, [0, 1]),
      ipv4(1, [8, 0, 0, 0]),
      arpRequest().slice(0, 41),
    ];
    for (const frame of bad) expect(transmit(frame)).toBe(false);
    expect(network.counters().malformed).toBe(bad.length);
    for (const frame of [udp(1, port, [1], [224, 0, 0, 1]), ipv4(47, [1, 2, 3, 4]), change(0, 0xaa)]) {
      expect(transmit(frame)).toBe(false);
    }
    expect(network.counters()).toMatchObject({ ignored: 3, malformed: bad.length, udpToHost: 0 });
  });

  it('tells the guest at once where there is no way: ICMP unreachable that quotes its packet', () => {
    const frame = udp(5000, 7, [1, 2, 3, 4], [10, 0, 2, 99]);
    expect(transmit(frame)).toBe(false);
    io.poll();
    const reply = received[0];
    expect(slice(reply, 0, 14)).toEqual([...GUEST_MAC, ...HOST_MAC, 8, 0]);
    expect(slice(reply, 23, 24)).toEqual([1]);
    expect(internetChecksum(slice(reply, 34))).toBe(0);
    expect(slice(reply, 34, 36)).toEqual([3, 1]);
    expect(slice(reply, 42)).toEqual(slice(frame, 14, 42));
    // Loopback and "this network" are the guest's own; broadcasts are not answered (RFC 1122, 3.2.2).
    for (const to of [
      [127, 0, 0, 1],
      [0, 0, 0, 0],
      [10, 0, 2, 3],
    ])
      transmit(udp(5000, port, [1], to));
    for (const to of [
      [255, 255, 255, 255],
      [10, 0, 2, 255],
      [239, 1, 1, 1],
    ])
      transmit(udp(5000, 9, [1], to));
    io.poll();
    expect(received).toHaveLength(4);
    expect(network.counters()).toMatchObject({ unreachable: 4, ignored: 3, udpToHost: 0 });
  });

  it('serves DHCP from whichever thread comes first, also what another thread sends', () => {
    const head = [1, 1, 6, 0, 1, 2, 3, 4, 0, 0, 0, 0, ...Array(16).fill(0), ...GUEST_MAC];
    const discover = udp(
      68,
      67,
      [...head, ...Array(202).fill(0), 99, 130, 83, 99, 53, 1, 1, 255],
      [255, 255, 255, 255],
    );
    discover.fill(255, 0, 6);
    expect(transmit(discover)).toBe(true);
    waitForFrames(1);
    expect(slice(received[0], 34, 38)).toEqual([0, 67, 0, 68]);
    expect(slice(received[0], 58, 62)).toEqual([10, 0, 2, 15]);
    const pseudo = [...slice(received[0], 26, 34), 0, 17, ...slice(received[0], 38, 40)];
    expect(internetChecksum([...pseudo, ...slice(received[0], 34)])).toBe(0);
    const other = createUserNetwork(io, flows);
    const atOther = listen(other);
    expect(other.port.transmit(discover)).toBe(true);
    waitForFrames(2);
    expect(slice(received[1], 42)).toEqual(slice(received[0], 42));
    expect(atOther).toHaveLength(0);
    // When the first thread goes, the next one takes over.
    network.dispose();
    expect(other.port.transmit(discover)).toBe(true);
    io.poll();
    expect(atOther).toHaveLength(1);
    other.dispose();
    network = createUserNetwork(io, flows);
  });

  it('takes a datagram without a checksum, and one behind IP options', async () => {
    const arrival = atServer();
    const ports = [0x13, 0x88, port >>> 8, port & 0xff];
    expect(transmit(ipv4(17, [...ports, 0, 10, 0, 0, 7, 8], HOST_IP, [1, 1, 1, 0]))).toBe(true);
    expect((await arrival).data).toEqual([7, 8]);
  });

  it('survives any frame', () => {
    const seeds = [udp(5000, port, [1, 2, 3]), echoRequest([1, 2, 3]), arpRequest()];
    const mutation = fc.tuple(fc.nat(200), fc.nat(255));
    const frame = fc.oneof(
      fc.uint8Array({ minLength: 0, maxLength: 1600 }),
      fc
        .tuple(fc.constantFrom(...seeds), fc.array(mutation, { maxLength: 4 }), fc.nat(60))
        .map(([seed, edits, cut]) => {
          const bytes = seed.slice(0, Math.max(0, seed.length - Math.max(0, cut - 40)));
          for (const [at, value] of edits) if (at < bytes.length) bytes[at] = value;
          return bytes;
        }),
    );
    fc.assert(
      fc.property(frame, (bytes) => {
        transmit(bytes);
        io.poll();
        return received.every((reply) => reply.length <= 1514);
      }),
      { numRuns: 3000 },
    );
  });
});

describe('flow table', () => {
  const key = {
    guestMac: 0x525400123456,
    guestIp: 0x0a00020f,
    guestPort: 40_000,
    hostIp: 0x0a000202,
    hostPort: 50_000,
  };

  it('finds what was claimed and nothing else, and evicts only what nobody uses', () => {
    const table = new FlowTable(FlowTable.create());
    expect(table.pin(key, -1)).toBe(-1);
    const index = table.claim(key, 17);
    expect(table.pin(key, -1)).toBe(index);
    expect(table.pin(key, index)).toBe(index);
    expect(table.descriptor(index)).toBe(17);
    for (const field of ['guestMac', 'guestIp', 'guestPort', 'hostIp', 'hostPort'] as const) {
      expect(table.pin({ ...key, [field]: key[field] + 1 }, index)).toBe(-1);
    }
    for (let users = 3; users > 0; users--) {
      expect(table.evict(index)).toBe(false);
      table.unpin(index);
    }
    expect(table.evict(index)).toBe(true);
    expect(table.pin(key, index)).toBe(-1);
    table.release(index);
    expect(table.pin(key, index)).toBe(-1);
    expect(table.claim(key, 18)).toBe(index);
    table.unpin(index);
    expect(table.evict(index)).toBe(true);
  });
});
