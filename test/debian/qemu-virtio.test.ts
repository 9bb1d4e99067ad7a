/** The virtio drivers of our kernel against QEMU's devices: everything that a device may offer or not. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { nativeImage, riscvImage } from '#workloads/images.js';
import { fixture } from './support/fixture.js';
import { LineGuest, qemuRun } from './support/qemu.js';

const KERNEL = riscvImage().path;
const NATIVE = nativeImage().path;
const DISK_BYTES = 64 << 20;
const SAMPLE_MS = 40;

const host = fixture(DISK_BYTES);

const WORK = [
  ...['read-1m', 'write-1m', 'randread-4k-qd1', 'randread-4k-qd32', 'randwrite-4k-qd32'].map((name) => `block/${name}`),
  ...['net/udp-rr', 'net/udp-stream', 'mixed/average'],
];

describe.each([
  { name: 'a queue for the one CPU', harts: 1, virtio: '', fact: '1 x 64' },
  { name: 'a queue for each CPU', harts: 4, virtio: '', fact: '4 x 64' },
  { name: 'two queues, which four CPUs share', harts: 4, virtio: ',num-queues=2,queue-size=256', fact: '2 x 128' },
  { name: 'one queue of indirect tables', harts: 2, virtio: ',num-queues=1,queue-size=64', fact: '1 x 64' },
  {
    name: 'the barest device: no indirect tables, no event index',
    harts: 2,
    virtio: ',num-queues=1,queue-size=64,indirect_desc=off,event_idx=off',
    fact: '1 x 21',
  },
])('virtio under QEMU: $name', ({ harts, virtio, fact }) => {
  let guest: LineGuest;
  let native: LineGuest;

  beforeAll(() => {
    guest = LineGuest.qemu(KERNEL, { harts, memory: '256M', disk: host.disk, virtio });
    native = new LineGuest(NATIVE, ['guest', '--vcpus', `${harts}`, '--disk', host.disk]);
  });
  afterAll(async () => {
    await Promise.all([guest?.end(), native?.end()]);
  });

  it('finds its disk and card, and says which', async () => {
    expect(await guest.expect('fact block', 'virtax-guest')).toContain(`fact block virtio-blk, ${fact} requests`);
    expect(await guest.expect('fact net', 'virtax-guest')).toContain('fact net virtio-net, 52:54:00:12:34:56');
    expect(await guest.expect('virtax-guest')).toContain(`disk=${DISK_BYTES} net=1`);
    await native.expect('virtax-guest');
  });

  it.each(WORK)('%s computes what bare metal computes', async (workload) => {
    const got = await guest.sample(workload, `cpus=${harts} peer=10.0.2.2:${host.port}`, SAMPLE_MS);
    const want = await native.sample(workload, `cpus=${harts} peer=127.0.0.1:${host.port}`, SAMPLE_MS);
    expect(got.get('refused')).toBeUndefined();
    expect([got.get('checksum'), got.get('errors')]).toEqual([want.get('checksum'), '0']);
  });
});

describe('virtio under QEMU', () => {
  it('refuses a legacy device with a message, and goes on', async () => {
    const { console } = await qemuRun(KERNEL, {
      harts: 1,
      memory: '64M',
      disk: host.disk,
      virtio: ',disable-legacy=off,disable-modern=on',
      append: 'virtax.run=os/trap virtax.ms=5',
    });
    expect(console).toContain('virtio-blk: the device in PCI slot 1 has no modern interface');
    expect(console).toMatch(/disk=0 net=1/);
  });
});
