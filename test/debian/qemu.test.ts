import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { nativeImage, riscvImage } from '#workloads/images.js';
import { fixture } from './support/fixture.js';
import { LineGuest } from './support/qemu.js';

const KERNEL = riscvImage().path;
const NATIVE = nativeImage().path;
const DISK_BYTES = 64 << 20;
const SAMPLE_MS = 40;

const host = fixture(DISK_BYTES);

function ownDisk(name: string): string {
  const path = join(host.folder, name);
  copyFileSync(host.disk, path);
  return path;
}

const WORK = [
  ...['sieve', 'sha256', 'matmul', 'quicksort', 'mandelbrot', 'nbody', 'lists'].map((name) => `cpu/${name}`),
  ...['triad', 'copy', 'chase'].map((name) => `memory/${name}`),
  ...['read-1m', 'write-1m', 'randread-4k-qd1', 'randread-4k-qd32', 'randwrite-4k-qd32'].map((name) => `block/${name}`),
  ...['net/udp-rr', 'net/udp-stream', 'mixed/average'],
];
const OS = ['trap', 'timer', 'ipi', 'map', 'lock', 'spawn'].map((name) => `os/${name}`);

describe.each([1, 4])('the committed riscv64 image under QEMU with %i harts', (harts) => {
  let guest: LineGuest;
  let native: LineGuest;
  let banner = '';

  beforeAll(async () => {
    guest = LineGuest.qemu(KERNEL, { harts, memory: '256M', disk: ownDisk(`guest-${harts}`), net: true });
    native = new LineGuest(NATIVE, ['guest', '--vcpus', `${harts}`, '--disk', ownDisk(`native-${harts}`)]);
    banner = await guest.expect('virtax-guest');
    await native.expect('virtax-guest');
  });
  afterAll(async () => {
    await Promise.all([guest?.end(), native?.end()]);
  });

  it('finds its CPUs, disk and card', () => {
    expect(banner).toBe(`virtax-guest 1 ready port=riscv64 cpus=${harts} disk=${DISK_BYTES} net=1`);
  });

  it.each(WORK)('%s computes what bare metal computes', async (workload) => {
    const got = await guest.sample(workload, `cpus=${harts} peer=10.0.2.2:${host.port}`, SAMPLE_MS);
    const want = await native.sample(workload, `cpus=${harts} peer=127.0.0.1:${host.port}`, SAMPLE_MS);
    expect(got.get('refused')).toBeUndefined();
    expect({ checksum: got.get('checksum'), errors: got.get('errors') }).toEqual({
      checksum: want.get('checksum'),
      errors: '0',
    });
    expect(Number(got.get('units'))).toBeGreaterThan(0);
  });

  it.each(OS)('%s runs, or says why not', async (workload) => {
    const got = await guest.sample(workload, `cpus=${harts}`, SAMPLE_MS);
    if (harts === 1 && ['os/ipi', 'os/spawn'].includes(workload)) {
      expect(got.get('refused')).toContain(`skipped ${workload} two CPUs are needed`);
    } else {
      expect(got.get('errors')).toBe('0');
      expect(Number(got.get('ops'))).toBeGreaterThan(0);
    }
  });
});
