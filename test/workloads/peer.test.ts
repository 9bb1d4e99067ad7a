import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { mix64, Native } from './native.js';

const DATA = 0x7661746164787476n;
const QUERY = 0x7972657571787476n;
const COUNT = 0x746e756f63787476n;

let peer: Native;
let port: number;

beforeAll(async () => {
  peer = new Native(['peer']);
  const line = await peer.line();
  expect(line).toMatch(/^peer port=\d+$/);
  port = Number(line.split('=')[1]);
});
afterAll(() => peer.close());

describe('peer process', () => {
  let socket: Socket;
  beforeEach(async () => {
    socket = createSocket('udp4');
    socket.connect(port, '127.0.0.1');
    await once(socket, 'connect');
  });
  afterEach(() => socket.close());

  const words = (...values: bigint[]) => Buffer.from(BigUint64Array.from(values).buffer);
  const datagram = (stream: bigint, sequence: bigint, mark = mix64(stream ^ sequence)) => {
    const bytes = Buffer.alloc(1472, 0xab);
    words(DATA, stream, sequence).copy(bytes);
    words(mark).copy(bytes, 1464);
    return bytes;
  };
  const ask = async (message: Buffer) => {
    const answer = once(socket, 'message');
    socket.send(message);
    return (await answer)[0] as Buffer;
  };

  it('answers a byte with the same byte', async () => {
    expect(await ask(Buffer.from([77]))).toEqual(Buffer.from([77]));
  });

  it('counts the datagrams of a stream, and the broken ones apart', async () => {
    for (const sequence of [0n, 1n, 5n]) socket.send(datagram(9n, sequence));
    socket.send(datagram(9n, 6n, 1n)); // wrong mark
    socket.send(datagram(9n, 7n).subarray(0, 1000)); // cut
    socket.send(datagram(10n, 0n));
    expect(await ask(words(QUERY, 9n))).toEqual(words(COUNT, 9n, 3n, 3n * 1472n, 2n));
    expect(await ask(words(QUERY, 10n))).toEqual(words(COUNT, 10n, 1n, 1472n, 0n));
    expect(await ask(words(QUERY, 11n))).toEqual(words(COUNT, 11n, 0n, 0n, 0n));
  });

  it('keeps streams of the same id from other senders apart', async () => {
    const other = createSocket('udp4');
    const sent = new Promise((resolve) => other.send(datagram(12n, 0n), port, '127.0.0.1', resolve));
    await sent;
    expect(await ask(words(QUERY, 12n))).toEqual(words(COUNT, 12n, 0n, 0n, 0n));
    other.close();
  });

  it('does not mind nonsense', async () => {
    for (const bytes of [0, 2, 8, 15, 17, 1471]) socket.send(Buffer.alloc(bytes, 0xff));
    expect(await ask(Buffer.from([1]))).toEqual(Buffer.from([1]));
  });

  it('ends with its standard input', async () => {
    const another = new Native(['peer']);
    await another.line();
    another.process.stdin.end();
    expect(await another.status()).toBe(0);
  });
});

describe('net workloads', () => {
  let guest: Native;
  beforeEach(async () => {
    guest = new Native(['guest', '--vcpus', '2']);
    await guest.line();
  });
  afterEach(() => guest.close());

  it('udp-rr makes round trips', async () => {
    const result = await guest.sample('net/udp-rr', `cpus=2 peer=127.0.0.1:${port}`);
    expect(result).toMatchObject({ errors: '0', retries: '0' });
    expect(Number(result.ops)).toBe(8 * Number(result.units));
  });

  it('udp-stream reports what the peer counted', async () => {
    const result = await guest.work('net/udp-stream', `cpus=1 peer=127.0.0.1:${port}`);
    expect(result.errors).toBe('0');
    expect(Number(result.ops)).toBe(1472 * Number(result.received));
    expect(Number(result.sent)).toBe(32 * Number(result.units));
    expect(Number(result.received)).toBeLessThanOrEqual(Number(result.sent));
    expect(Number(result.received)).toBeGreaterThan(0);
  });

  it('fail when there is no peer, and say so', async () => {
    await guest.ask('prepare net/udp-rr peer=127.0.0.1:9');
    const line = await guest.ask('start ms=5 seed=1');
    expect(line).toMatch(/note the peer does not answer$/);
    expect(await guest.line()).toMatch(/errors=[1-9]/);
  });
});
