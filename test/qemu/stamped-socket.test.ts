import { createSocket } from 'node:dgram';
import { closeSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { libc } from '#engines/backends/libc.js';
import { openStampedSocket, StampedReader } from '#engines/qemu/stamped-socket.js';

const c = libc();

describe.skipIf(c === undefined)('stamped socket', () => {
  let socket: { fd: number; port: number };
  let reader: StampedReader;
  const senders: ReturnType<typeof createSocket>[] = [];
  beforeEach(() => {
    if (c === undefined) return;
    socket = openStampedSocket(c);
    reader = new StampedReader(c, socket.fd);
  });
  afterEach(() => {
    for (const sender of senders.splice(0)) sender.close();
    reader.dispose();
    closeSync(socket.fd);
  });

  function sender() {
    const made = createSocket('udp4');
    senders.push(made);
    return {
      send: (text: string) => new Promise<void>((done) => made.send(text, socket.port, '127.0.0.1', () => done())),
      received: () => new Promise<string>((done) => made.once('message', (bytes) => done(bytes.toString()))),
    };
  }

  it('says when a datagram came, not when it was read', async () => {
    const { send } = sender();
    const before = process.hrtime.bigint();
    await send('a');
    const after = process.hrtime.bigint();
    while (process.hrtime.bigint() - after < 5_000_000n); // the reader is late
    const [datagram] = reader.receive();
    expect(datagram.byKernel).toBe(true);
    expect(datagram.ns).toBeGreaterThan(before - 100_000n); // the two clocks are compared to some µs
    expect(datagram.ns).toBeLessThan(after + 100_000n);
  });

  it('gives each datagram in order, batch after batch, and tells one that was cut', async () => {
    const { send } = sender();
    const sent = Array.from({ length: 200 }, (_, i) => `${i}`);
    for (const text of sent) await send(text);
    const seen: string[] = [];
    for (let batch = reader.receive(); batch.length > 0; batch = reader.receive()) {
      for (const { bytes, cut, lost } of batch) {
        expect({ cut, lost }).toEqual({ cut: false, lost: 0 });
        seen.push(Buffer.from(bytes).toString());
      }
    }
    expect(seen).toEqual(sent);
    await send('x'.repeat(5000));
    expect(reader.receive()).toMatchObject([{ cut: true }]);
  });

  it('listens to its first sender alone, and can answer it', async () => {
    const [one, other] = [sender(), sender()];
    await one.send('first');
    expect(reader.receive()).toHaveLength(1);
    await other.send('other');
    expect(reader.receive()).toHaveLength(0);
    const answer = one.received();
    const text = Buffer.from('answer');
    c?.send(socket.fd, c.address(text), text.length, 0);
    expect(await answer).toBe('answer');
  });
});
