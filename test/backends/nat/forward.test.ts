import net from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { IoContext } from '#engines/backends/io.js';
import { createIoContext } from '#engines/backends/io-context.js';
import { createKickArea } from '#engines/backends/kick.js';
import { libcProblem } from '#engines/backends/libc.js';
import { parseForward } from '#engines/backends/nat/forward.js';
import { createFlowMemory, createUserNetwork, type UserNetwork } from '#engines/backends/user-network.js';
import { echoRequest, GUEST_IP, GUEST_MAC, HOST_IP, HOST_MAC, internetChecksum, udp } from '../frames.js';
import type { Peer } from '../tcp/peer.js';
import { Guest, tcpFrame } from './guest.js';

describe('hostfwd=', () => {
  it("reads QEMU's form", () => {
    const guestIp = 0x0a00020f;
    expect(parseForward('tcp::2222-:22')).toEqual({ hostAddress: 0, hostPort: 2222, guestIp, guestPort: 22 });
    const full = { hostAddress: 0x7f000001, hostPort: 80, guestIp: 0x0a000210, guestPort: 8080 };
    expect(parseForward('tcp:127.0.0.1:80-10.0.2.16:8080')).toEqual(full);
    expect(parseForward(':127.0.0.1:80-10.0.2.16:8080')).toEqual(full);
  });

  it.each(['', 'tcp', 'tcp::22', 'udp::53-:53', 'tcp:1.2.3:1-:2', 'tcp::70000-:1', 'tcp::1-:0', 'tcp::1-:2:3'])(
    'says what is wrong with "%s"',
    (text) => {
      expect(() => parseForward(text)).toThrow(`hostfwd=${text}: `);
    },
  );
});

describe.skipIf(libcProblem() !== undefined)('forwarded ports', () => {
  let io: IoContext;
  let flows: SharedArrayBuffer;
  let network: UserNetwork;
  let guest: Guest;
  let port: number;

  beforeEach(async () => {
    // A free port: asked from the host, and given back.
    const probe = net.createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => probe.once('listening', resolve));
    port = (probe.address() as net.AddressInfo).port;
    await new Promise((resolve) => probe.close(resolve));
    io = createIoContext(createKickArea(1), 0, { waiting: { pollUs: 0 } });
    flows = createFlowMemory();
    network = createUserNetwork(io, flows, { forwards: [parseForward(`tcp:127.0.0.1:${port}-:22`)] });
    guest = new Guest((frame) => {
      network.port.transmit(frame);
      network.port.flush();
    });
    network.port.onReceive((frame) => {
      guest.receive(frame);
      return true;
    });
  });
  afterEach(() => {
    network.dispose();
    io.dispose();
  });

  async function until(done: () => boolean): Promise<void> {
    const giveUp = performance.now() + 20_000;
    while (performance.now() < giveUp && !done()) {
      io.submit();
      io.poll();
      guest.flush();
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(done()).toBe(true);
  }

  it('asks for the guest by ARP, then connects to it, and carries both ways', async () => {
    const client = net.connect(port, '127.0.0.1');
    let text = '';
    client.on('data', (chunk) => {
      text += chunk;
    });
    await until(() => guest.others.length > 0);
    const [request] = guest.others;
    expect([...request.slice(0, 22)]).toEqual([
      255,
      255,
      255,
      255,
      255,
      255,
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
      1,
    ]);
    expect([...request.slice(28, 42)]).toEqual([...HOST_IP, 0, 0, 0, 0, 0, 0, ...GUEST_IP]);
    const answer = [0, 1, 8, 0, 6, 4, 0, 2, ...GUEST_MAC, ...GUEST_IP, ...HOST_MAC, ...HOST_IP];
    let peer: Peer | undefined;
    void guest.listen(22).then((it) => {
      peer = it;
    });
    network.port.transmit(Uint8Array.from([...HOST_MAC, ...GUEST_MAC, 8, 6, ...answer]));
    await until(() => peer !== undefined);
    client.write('from the host');
    peer?.write(Buffer.from('from the guest'));
    await until(() => text === 'from the guest' && peer?.received.length === 13);
    client.end();
    await until(() => peer?.finReceived === true);
    peer?.close();
    await until(() => peer?.done === true);
    expect(network.counters().tcpForwarded).toBe(1);
  });

  it('is listened on by one thread of the machine, and says so when the port is taken', () => {
    const other = createUserNetwork(io, flows, { forwards: [parseForward(`tcp:127.0.0.1:${port}-:22`)] });
    other.dispose();
    const taken = () =>
      createUserNetwork(io, createFlowMemory(), { forwards: [parseForward(`tcp:127.0.0.1:${port}-:22`)] });
    expect(taken).toThrow(`port ${port} of the host cannot be listened on: another program listens there`);
  });

  it('leads to the loopback alone where that is asked for', async () => {
    const other = createUserNetwork(io, createFlowMemory(), { loopbackOnly: true });
    const replies: Uint8Array[] = [];
    other.port.onReceive((frame) => replies.push(frame.slice()) > 0);
    const packet = (to: number[]) => tcpFrame(1, 80, { flags: 2, seq: 1, ack: 0, window: 1, data: [] }, to);
    for (const frame of [packet([192, 0, 2, 1]), udp(1, 53, [1], [10, 0, 2, 3]), udp(1, 9, [1], [192, 0, 2, 1])]) {
      other.port.transmit(frame);
      io.poll();
    }
    expect(replies.map((frame) => frame[34])).toEqual([3, 3, 3]);
    other.dispose();
  });

  it('answers a ping to elsewhere from the host, or says that it may not', async () => {
    const ping = echoRequest([1, 2, 3]);
    ping.set([192, 0, 2, 1], 30);
    ping.set([0, 0], 24);
    const sum = internetChecksum(ping.slice(14, 34));
    ping.set([sum >>> 8, sum & 255], 24);
    network.port.transmit(ping);
    const { pingsToHost } = network.counters();
    if (pingsToHost > 0) return; // the host allows it; nobody answers at 192.0.2.1 (RFC 5737)
    await until(() => guest.others.length > 0);
    expect([...guest.others[0].slice(34, 35)]).toEqual([3]);
    expect([...guest.others[0].slice(42, 62)]).toEqual([...ping.slice(14, 34)]);
  });
});
