/**
 * Debian's unmodified kernel drives the emulated network cards: its r8169, e1000 and virtio_net bring the link up, and a file is fetched
 * from the host and sent back, through TCP of the guest's, byte for byte. A dropped or damaged segment would only make TCP slower,
 * so the driver's counters of errors are looked at too.
 */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BOOT_MS, bootDebian } from './support/debian.js';

const FILE = Buffer.from(Uint8Array.from({ length: 1 << 20 }, (_, i) => (Math.imul(i, 2_654_435_761) >>> 13) & 255));
const md5 = (bytes: Buffer): string => createHash('md5').update(bytes).digest('hex');

/** busybox's shell; PORT comes from the kernel's command line. */
const SCRIPT = `
ip link set eth0 up
ip addr add 10.0.2.15/24 dev eth0
ip route add default via 10.0.2.2
for i in 1 2 3 4 5 6 7 8 9; do [ "$(cat /sys/class/net/eth0/carrier)" = 1 ] && break; sleep 1; done
echo "speed $(cat /sys/class/net/eth0/speed)"
wget -q -T 60 -O /tmp/file http://10.0.2.2:$PORT/file && echo "fetched $(md5sum < /tmp/file)"
(printf 'POST / HTTP/1.0\\r\\nContent-Length: ${FILE.length}\\r\\n\\r\\n'; cat /tmp/file; sleep 3) | nc -w 60 10.0.2.2 $PORT | tail -1
for n in rx_errors rx_dropped rx_crc_errors tx_errors; do echo "$n $(cat /sys/class/net/eth0/statistics/$n)"; done
`;

const folder = mkdtempSync(join(tmpdir(), 'virtax-network-'));
const uploads: string[] = [];
const server = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    if (request.method === 'POST') uploads.push(md5(Buffer.concat(chunks)));
    response.end(request.method === 'POST' ? 'taken\n' : FILE);
  });
});

describe('Debian drives', () => {
  let port = 0;
  beforeAll(async () => {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    port = (server.address() as AddressInfo).port;
  });
  afterAll(() => {
    server.close();
    rmSync(folder, { recursive: true, force: true });
  });

  it.each([
    ['rtl8169', ['realtek', 'r8169'], 'speed 1000'],
    ['e1000', ['e1000'], 'speed 1000'],
    ['virtio', ['virtio_net'], 'speed -1'], // it does not offer SPEED_DUPLEX
  ])(
    '%s: fetches a file from the host, and sends it back',
    async (model, modules, speed) => {
      const { output, status } = await bootDebian({
        folder,
        modules,
        script: SCRIPT,
        append: `PORT=${port}`,
        flags: ['--net', `user,model=${model}`],
      });
      expect(output).toContain(speed);
      expect(output).toContain(`fetched ${md5(FILE)}`);
      expect(output).toContain('taken');
      expect(uploads.splice(0)).toEqual([md5(FILE)]);
      for (const name of ['rx_errors', 'rx_dropped', 'rx_crc_errors', 'tx_errors'])
        expect(output).toMatch(new RegExp(`${name} 0\\r?\\n`));
      expect(status).toBe(0);
    },
    BOOT_MS + 30_000,
  );
});
