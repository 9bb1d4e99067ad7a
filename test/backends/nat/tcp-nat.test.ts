import { once } from 'node:events';
import net, { type AddressInfo } from 'node:net';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { IoContext } from '#engines/backends/io.js';
import { createIoContext, FORCE_VARIABLE, uringProblem } from '#engines/backends/io-context.js';
import { createKickArea } from '#engines/backends/kick.js';
import { libcProblem } from '#engines/backends/libc.js';
import { CONNECTIONS_MAX } from '#engines/backends/nat/tcp-nat.js';
import { createFlowMemory, createUserNetwork, type UserNetwork } from '#engines/backends/user-network.js';
import { ACK, RST, SYN } from '../tcp/bench.js';
import type { Peer } from '../tcp/peer.js';
import { Guest, tcpFrame } from './guest.js';

const METHODS = [
  { name: 'io_uring', force: 'io_uring', unavailable: uringProblem() ?? libcProblem() },
  { name: 'worker threads', force: 'workers', unavailable: libcProblem() },
];
const pattern = (length: number): Buffer => Buffer.from(Array.from({ length }, (_, i) => (i * 31 + (i >>> 8)) & 255));

describe.each(METHODS)('TCP out of a guest, $name', ({ force, unavailable }) => {
  let io: IoContext;
  let flows: SharedArrayBuffer;
  let network: UserNetwork;
  let guest: Guest;
  let server: net.Server;
  let port: number;
  /** What the card refuses, by turns. */
  let cardFull: () => boolean;

  beforeEach(async (context) => {
    if (unavailable !== undefined) context.skip(unavailable);
    process.env[FORCE_VARIABLE] = force;
    io = createIoContext(createKickArea(1), 0, { waiting: { pollUs: 0 } });
    flows = createFlowMemory();
    network = createUserNetwork(io, flows);
    guest = new Guest((frame) => transmit(frame));
    cardFull = () => false;
    let inside = false;
    network.port.onReceive((frame) => {
      if (transmitting) throw new Error('a frame came from within transmit()');
      if (inside || cardFull()) return false;
      inside = true;
      guest.receive(frame);
      inside = false;
      return true;
    });
    server = net.createServer({ allowHalfOpen: true });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    port = (server.address() as AddressInfo).port;
  });
  afterEach(async () => {
    network?.dispose();
    io?.dispose();
    delete process.env[FORCE_VARIABLE];
    if (server?.listening) await new Promise((resolve) => server.close(resolve));
  });

  let transmitting = false;
  function transmit(frame: Uint8Array): void {
    transmitting = true;
    network.port.transmit(frame);
    network.port.flush();
    transmitting = false;
  }
  /** Lets both sides work until `done`; the server's events run in between. */
  async function until(done: () => boolean): Promise<void> {
    const giveUp = performance.now() + 20_000;
    for (let i = 0; performance.now() < giveUp && !done(); i++) {
      io.submit();
      io.poll();
      guest.flush();
      if (i % 200 === 199) for (const peer of guest.peers.values()) peer.pump();
      await new Promise((resolve) => setImmediate(resolve));
    }
    guest.flush();
    expect(done()).toBe(true);
  }
  const accepted = async (): Promise<net.Socket> => {
    let socket: net.Socket | undefined;
    server.once('connection', (it) => {
      socket = it;
    });
    await until(() => socket !== undefined);
    socket?.on('error', () => {});
    return socket as net.Socket;
  };
  const collect = (socket: net.Socket): { bytes: Buffer[]; ended: boolean } => {
    const all = { bytes: [] as Buffer[], ended: false };
    socket.on('data', (chunk) => all.bytes.push(chunk));
    socket.on('end', () => {
      all.ended = true;
    });
    return all;
  };
  const same = (a: Iterable<number>, b: Buffer): boolean => Buffer.compare(Buffer.from([...a]), b) === 0;

  it('connects, carries both ways more than any buffer holds, and closes from both sides', async () => {
    const data = pattern(400_000);
    const peer = guest.connect(40_000, port, undefined, { scale: 3, window: 200_000 });
    const socket = await accepted();
    const got = collect(socket);
    peer.write(data);
    socket.write(data);
    await until(() => peer.received.length === data.length && Buffer.concat(got.bytes).length === data.length);
    expect(same(peer.received, data)).toBe(true);
    expect(Buffer.compare(Buffer.concat(got.bytes), data)).toBe(0);
    // Half closed: the guest has no more, the host has.
    peer.close();
    await until(() => got.ended);
    socket.end('and this');
    await until(() => peer.finReceived && peer.done);
    expect(Buffer.from(peer.received.slice(data.length)).toString()).toBe('and this');
    expect(network.counters()).toMatchObject({ tcpOpened: 1, tcpRetransmitted: 0, tcpMalformed: 0, tcpResets: 0 });
  });

  it('loses nothing when the card has no room', async () => {
    const data = pattern(100_000);
    let turn = 0;
    cardFull = () => turn++ % 3 !== 0;
    const peer = guest.connect(40_000, port);
    const socket = await accepted();
    socket.end(data);
    await until(() => peer.finReceived);
    expect(same(peer.received, data)).toBe(true);
    expect(peer.state).toBe('open');
  });

  it('answers a refused connection with a reset, and one to nowhere with ICMP', async () => {
    server.close();
    await once(server, 'close');
    const peer = guest.connect(40_000, port);
    await until(() => peer.state === 'reset');
    guest.connect(40_001, 80, [10, 0, 2, 77]);
    await until(() => guest.others.length > 0);
    expect([...guest.others[0].slice(34, 36)]).toEqual([3, 1]);
    // Sixteen bits of the quoted TCP header are its source port.
    expect([...guest.others[0].slice(62, 64)]).toEqual([40_001 >>> 8, 40_001 & 255]);
    transmit(tcpFrame(40_002, port, { flags: ACK, seq: 5, ack: 77, window: 1, data: [1] }));
    await until(() => guest.strays.length === 1);
    expect(guest.strays[0]).toMatchObject({ flags: RST, seq: 77, data: [] });
  });

  it('passes resets on, both ways', async () => {
    const peer = guest.connect(40_000, port);
    const socket = await accepted();
    let failed: NodeJS.ErrnoException | undefined;
    socket.on('error', (error) => {
      failed = error;
    });
    peer.reset();
    await until(() => failed !== undefined);
    expect(failed?.code).toBe('ECONNRESET');
    const second = guest.connect(40_000, port);
    const other = await accepted();
    other.resetAndDestroy();
    await until(() => second.state === 'reset');
  });

  it('stops taking from the guest while the host does not read, and from the host while the guest does not', async () => {
    const data = pattern(1_500_000);
    const peer = guest.connect(40_000, port, undefined, { scale: 0, window: 0 });
    const socket = await accepted();
    socket.pause();
    peer.write(data.subarray(0, 1));
    let written = 0;
    const fill = (): void => {
      for (let room = true; room && written < data.length; written += 65_536) {
        room = socket.write(data.subarray(written, written + 65_536));
      }
    };
    fill();
    socket.on('drain', fill);
    for (let i = 0; i < 300; i++) await until(() => true);
    expect(peer.received).toHaveLength(0);
    peer.window = 65_535;
    peer.announce();
    await until(() => peer.received.length >= data.length);
    expect(same(peer.received, data)).toBe(true);
    peer.reset();
    await until(() => socket.destroyed);
  });

  it('takes connections from another thread of the machine, and answers from its own', async () => {
    const other = createUserNetwork(io, flows);
    let stray = 0;
    other.port.onReceive(() => ++stray > 0);
    const peer = guest.connect(40_000, port);
    const socket = await accepted();
    const got = collect(socket);
    guest.flush();
    const mine = network.port.transmit;
    network.port.transmit = (...args: Parameters<typeof mine>) => other.port.transmit(...args);
    peer.write(pattern(5000));
    await until(() => Buffer.concat(got.bytes).length === 5000);
    expect(stray).toBe(0);
    expect(other.counters().handedOver).toBeGreaterThan(3);
    network.port.transmit = mine;
    other.dispose();
    socket.destroy();
  });

  it('keeps many connections apart, and gives up the one that was used least recently', async () => {
    const sockets: net.Socket[] = [];
    server.on('connection', (socket) => {
      socket.on('error', () => {});
      socket.on('data', (chunk) => socket.write(chunk));
      sockets.push(socket);
    });
    const peers: Peer[] = [];
    for (let i = 0; i < CONNECTIONS_MAX + 3; i++) {
      peers.push(guest.connect(20_000 + i, port));
      peers[i].write([i & 255, i >>> 8]);
      await until(() => peers[i].received.length === 2 || peers[i].state === 'reset');
    }
    expect(peers.map((peer) => peer.state).indexOf('open')).toBe(3);
    expect(peers.slice(3).every((peer, i) => same(peer.received, Buffer.from([(i + 3) & 255, (i + 3) >>> 8])))).toBe(
      true,
    );
    expect(network.counters()).toMatchObject({ tcpEvicted: 3, tcpOpened: CONNECTIONS_MAX + 3 });
    for (const socket of sockets) socket.destroy();
  });

  it('survives any segments', async () => {
    server.on('connection', (socket) => {
      socket.on('error', () => {});
      socket.end('x');
    });
    const edit = fc.tuple(fc.nat(60), fc.nat(255));
    const segments = fc.record({
      flags: fc.oneof(fc.constantFrom(SYN, ACK, RST, 0x11, 0x18), fc.nat(255)),
      seq: fc.nat(3),
      ack: fc.nat(3),
      window: fc.constantFrom(0, 65535),
      data: fc.constantFrom<number[]>([], [1, 2, 3]),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(segments, fc.nat(3), fc.array(edit, { maxLength: 2 })), { maxLength: 10 }),
        async (list) => {
          for (const [packet, from, edits] of list) {
            const frame = tcpFrame(1 + from, port, packet);
            for (const [at, value] of edits) if (at + 14 < frame.length) frame[at + 14] = value;
            transmit(frame);
            io.submit();
            io.poll();
          }
          await new Promise((resolve) => setImmediate(resolve));
          io.submit();
          io.poll();
        },
      ),
      { numRuns: 200 },
    );
    expect(network.counters().tcpOpened).toBeGreaterThan(0);
  });
});
