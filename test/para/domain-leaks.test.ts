/**
 * Domains that crash leave the process where it began: its threads, descriptors, memory, and the hypervisor's own accounts.
 * VIRTAX_DOMAINS: how many (npm run check:domains takes 1,000).
 */
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { Hypervisor } from '#engines/para/hypervisor.js';
import { deviceWord, type HypervisorMemory, POOL } from '#engines/para/hypervisor-memory.js';
import { Device, REC } from '#engines/para/io-queue/records.js';
import { guestFile, op, SELF } from './wasm-guest.js';

const COUNT = Number(process.env.VIRTAX_DOMAINS ?? 12);
const AT_ONCE = 4;
/** Their threads' heaps come and go, and so does what the C library keeps of them. */
const WARM = 8;
const MEMORY_SLACK_MIB = 32;
/** What waits for garbage collection is bounded. */
const MAPPINGS_SLACK = 500;
const IDLE_THREAD_MS = 200;
const DISK_BYTES = 65536;

const images = [
  guestFile({ start: op.unreachable }),
  guestFile({ start: op.hypercall(29, 2, 3) }), // SCHEDOP_shutdown, SHUTDOWN_crash
  guestFile({ start: op.call(SELF) }), // no end of the stack
  guestFile({ start: [] }), // returns
];
const disk = join(dirname(images[0]), 'disk');
writeFileSync(disk, Buffer.alloc(DISK_BYTES));
afterAll(() => {
  for (const image of images) rmSync(dirname(image), { recursive: true });
});

async function crash(hypervisor: Hypervisor, n: number): Promise<void> {
  const image = images[n % images.length];
  const size = { vcpus: 1 + (n % 2), memoryBytes: (1 + (n % 3)) << 20 };
  const config = {
    name: `crash${n}`,
    ...size,
    image,
    bootargs: '',
    pollUs: 0,
    disk: { path: disk, bytes: DISK_BYTES, direct: false },
  };
  const reason = await new Promise<string>((ended, refused) => {
    const mac = n % 2 === 0 ? {} : { mac: '52:54:00:12:34:56' };
    hypervisor.create({ ...config, ...mac }, { output() {}, doorbell() {}, facts() {}, ended }).catch(refused);
  });
  expect(reason).toMatch(/^crashed/);
}

async function crashMany(hypervisor: Hypervisor, count: number): Promise<void> {
  let next = 0;
  const lane = async () => {
    while (next < count) await crash(hypervisor, next++);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, lane));
}

const threads = () => readdirSync('/proc/self/task').length;
const descriptors = () => readdirSync('/proc/self/fd').length;
/** Each memory that is left takes two, and 10 GiB of addresses. */
const mappings = () => readFileSync('/proc/self/maps', 'latin1').split('\n').length;
const memoryMib = () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'latin1'))?.[1]) / 1024;

/** Threads go when they were idle for a while. */
async function settled(read: () => number, expected: number): Promise<number> {
  for (let turn = 0; turn < 500 && read() > expected; turn++) await new Promise((resolve) => setTimeout(resolve, 10));
  return read();
}

it(`${COUNT} domains are created and crash`, { timeout: 600_000 }, async () => {
  const hypervisor = new Hypervisor({ idleThreadMs: IDLE_THREAD_MS });
  const { hv } = hypervisor as unknown as { hv: HypervisorMemory };
  const begin = threads() + 1; // the core OS's own begins with the first disk
  await crashMany(hypervisor, WARM);
  await settled(threads, begin);
  const [fds, memory, mapped] = [descriptors(), memoryMib(), mappings()];
  await crashMany(hypervisor, COUNT);
  expect(await settled(threads, begin)).toBeLessThanOrEqual(begin);
  expect(await settled(descriptors, fds)).toBeLessThanOrEqual(fds);
  expect(memoryMib() - memory).toBeLessThan(MEMORY_SLACK_MIB);
  expect(mappings() - mapped).toBeLessThan(MAPPINGS_SLACK);
  expect(hypervisor.running).toEqual([]);
  expect(hv.i32[POOL.taken]).toBe(0);
  expect(hv.i32[deviceWord(Device.vbd) + REC.inFlight]).toBe(0);
  if (COUNT > 100) {
    process.stdout.write(`${COUNT} domains: ${threads()} threads, ${descriptors()} descriptors, `);
    process.stdout.write(`${memory.toFixed(0)} -> ${memoryMib().toFixed(0)} MiB\n`);
  }
  hypervisor.close();
});
