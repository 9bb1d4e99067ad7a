import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { nativeImage, paraImage, riscvImage } from '#workloads/images.js';
import { matchWorkloads, workloads } from '#workloads/index.js';
import { readManifest, sha256 } from '#workloads/manifest.js';
import { packageRoot } from '#workloads/package-root.js';
import { tool } from './native.js';

const images = `${packageRoot()}/workloads/images`;

describe('workload specs', () => {
  it('name the same workloads as the guest, in the same order', async () => {
    const { stdout } = await tool(['list']);
    const listed = stdout.trimEnd().split('\n');
    const own = listed.filter((name) => !name.startsWith('timed/'));
    expect(workloads.filter(({ policy }) => !policy).map(({ name }) => name)).toEqual(own);
    for (const { policy } of workloads) for (const role of policy?.roles ?? []) expect(listed).toContain(role);
  });

  it('are named after their group and measure something', () => {
    for (const { name, group, measures, scale } of workloads) {
      expect(name.startsWith(`${group}/`)).toBe(true);
      expect(measures).not.toBe('');
      expect(scale).toBeGreaterThan(0);
    }
  });

  it('of os and policy are never compared with bare metal', () => {
    expect(workloads.filter((w) => w.comparable === (w.group === 'os' || w.group === 'policy'))).toEqual([]);
  });

  it('are found by name and by pattern', () => {
    expect(matchWorkloads('cpu/sieve').map(({ group }) => group)).toEqual(['cpu']);
    expect(matchWorkloads('cpu/nothing')).toEqual([]);
    expect(matchWorkloads('block/*').map(({ name }) => name)).toContain('block/read-1m');
    expect(matchWorkloads('*qd?').map(({ name }) => name)).toEqual(['block/randread-4k-qd1']);
    expect(matchWorkloads('cpu/siev')).toEqual([]);
  });
});

describe('committed images', () => {
  it('have the SHA-256 that the manifest says', () => {
    const manifest = readManifest(`${images}/manifest.json`);
    expect(Object.keys(manifest.images).length).toBeGreaterThan(0);
    for (const [name, entry] of Object.entries(manifest.images)) {
      const bytes = readFileSync(`${images}/${name}`);
      expect({ name, sha256: sha256(bytes), bytes: bytes.length }).toEqual({
        name,
        sha256: entry.sha256,
        bytes: entry.bytes,
      });
    }
  });

  it('are found from the package root for every engine', () => {
    for (const image of [
      nativeImage({ arch: 'x64' }),
      nativeImage({ arch: 'arm64', vectorized: false }),
      riscvImage(),
      paraImage(),
    ]) {
      expect(sha256(readFileSync(image.path))).toBe(image.sha256);
    }
  });

  it('do not exist for other processors, and the error says so', () => {
    expect(() => nativeImage({ arch: 's390x' })).toThrow(/bare metal needs Linux on x86-64 or arm64.*s390x/);
  });
});
