/** What a test file's guests need of the host: a folder, a disk with the workloads' contents, a network peer. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import { makeDisk, Peer } from '#harness/native-tools.js';

export interface Fixture {
  folder: string;
  disk: string;
  /** Of the peer; 0 until the tests begin. */
  port: number;
}

export function fixture(diskBytes: number): Fixture {
  const folder = mkdtempSync(join(tmpdir(), 'virtax-qemu-'));
  const own: Fixture = { folder, disk: join(folder, 'disk'), port: 0 };
  const peer = new Peer();
  beforeAll(async () => {
    await makeDisk(own.disk, diskBytes);
    own.port = await peer.port();
  });
  afterAll(async () => {
    await peer.stop();
    rmSync(folder, { recursive: true, force: true });
  });
  return own;
}
