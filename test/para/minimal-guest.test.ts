/** The second guest: written from the documentation alone, in fewer than 150 lines, and it gets all that it asks for. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Hypervisor } from '#engines/para/hypervisor.js';
import type { DomainConfig } from '#engines/para/messages.js';
import { packageRoot } from '#workloads/package-root.js';

const workloads = join(packageRoot(), 'workloads');
const folder = mkdtempSync(join(tmpdir(), 'virtax-minimal-'));
const path = join(folder, 'disk');

let hypervisor: Hypervisor;
beforeAll(() => {
  hypervisor = new Hypervisor();
  const disk = Buffer.alloc(65536);
  disk.write('read from disk!', 512);
  writeFileSync(path, disk);
});
afterAll(() => {
  hypervisor.close();
  rmSync(folder, { recursive: true });
});

async function run(config: Partial<DomainConfig>): Promise<{ text: string; reason: string }> {
  const image = join(workloads, 'images/wasm32/minimal.wasm');
  let text = '';
  const reason = await new Promise<string>((ended, reject) => {
    const full = { name: 'minimal', vcpus: 1, memoryBytes: 2 ** 20, image, bootargs: '', pollUs: 0, ...config };
    const output = (bytes: Uint8Array) => {
      text += Buffer.from(bytes).toString('latin1');
    };
    hypervisor.create(full, { output, doorbell() {}, facts() {}, ended }).catch(reject);
  });
  return { text, reason };
}

const EVENTS = 'the urgent one first\nthen the timer\n';

describe('the minimal guest', () => {
  it('prints, takes its events by priority, reads a sector and powers off', async () => {
    expect(await run({ disk: { path, bytes: 65536, direct: false } })).toEqual({
      text: `ABI 2\nKiB 1024\n${EVENTS}the disk answers\nread from disk!`,
      reason: 'powered itself off',
    });
  });

  it('does without a disk', async () => {
    expect(await run({ memoryBytes: 2 ** 21 })).toEqual({
      text: `ABI 2\nKiB 2048\n${EVENTS}`,
      reason: 'powered itself off',
    });
  });

  it('is small, and knows nothing but the header', () => {
    const source = readFileSync(join(workloads, 'guest/minimal/minimal.c'), 'utf8');
    expect(source.split('\n').length).toBeLessThan(150);
    expect(source.match(/#include .*/g)).toEqual(['#include "para-abi.h"']);
  });
});
