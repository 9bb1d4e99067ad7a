/** Domains in a hypervisor of this process, with real threads: hostile guests fail alone, and what they had is given back. */
import { rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Domain } from '#engines/para/domain.js';
import { Hypervisor } from '#engines/para/hypervisor.js';
import type { DomainConfig } from '#engines/para/messages.js';
import { type GuestBody, guestFile, op, SELF, say } from './wasm-guest.js';

let hypervisor: Hypervisor;
const files: string[] = [];

beforeAll(() => {
  hypervisor = new Hypervisor();
});

afterAll(() => {
  hypervisor.close();
  for (const file of files) rmSync(dirname(file), { recursive: true });
});

interface Running {
  domain: Domain;
  console: () => string;
  bytes: () => number[];
  ended: Promise<string>;
}

async function start(body: GuestBody, config: Partial<DomainConfig> = {}): Promise<Running> {
  const image = guestFile(body);
  files.push(image);
  let text = '';
  const all: number[] = [];
  let over: (reason: string) => void = () => {};
  const ended = new Promise<string>((resolve) => {
    over = resolve;
  });
  const full = { name: 'test', vcpus: 1, memoryBytes: 1 << 20, image, bootargs: '', pollUs: 0, ...config };
  const domain = await hypervisor.create(full, {
    output: (bytes) => {
      text += Buffer.from(bytes).toString();
      all.push(...bytes);
    },
    doorbell: () => {},
    facts: () => {},
    ended: over,
  });
  return { domain, console: () => text, bytes: () => all, ended };
}

const SHUTDOWN = op.hypercall(29, 2, 0);

describe('a domain', () => {
  it('runs, prints, and powers itself off', async () => {
    const { data, write } = say('hello\n');
    const guest = await start({ data, start: [...write, ...SHUTDOWN] } as GuestBody);
    expect(await guest.ended).toBe('powered itself off');
    expect(guest.console()).toBe('hello\n');
  });

  it('brings a second vCPU up, which ends it', async () => {
    const context = Buffer.from(new Int32Array([16384, 0, 5]).buffer);
    const { ended } = await start(
      {
        data: { address: 1024, bytes: context },
        start: [
          ...op.hypercall(24, 0, 1, 1024),
          ...op.hypercall(24, 1, 1),
          ...op.hypercall(24, 10, 0, 2048),
          ...op.hypercall(29, 1),
        ],
        vcpuStart: op.hypercall(29, 2, 1),
      },
      { vcpus: 2 },
    );
    expect(await ended).toBe('rebooted itself');
  });

  it('sees its vCPU leave and come back', async () => {
    const context = Buffer.from(new Int32Array([16384, 0, 5]).buffer);
    // vCPU 1 counts its starts at 3000 and goes down; vCPU 0 brings it up until there were three.
    const count = [...op.i32(3000), ...op.i32(1), 0xfe, 0x1e, 2, 0, 0x1a]; // i32.atomic.rmw.add, drop
    const upAgain = [
      ...[0x03, 0x40], // loop
      ...op.hypercall(24, 1, 1),
      ...op.hypercall(29, 0),
      ...[...op.i32(3000), 0xfe, 0x10, 2, 0], // i32.atomic.load
      ...[...op.i32(3), 0x49, 0x0d, 0, 0x0b], // i32.lt_u, br_if 0, end
    ];
    const { ended } = await start(
      {
        data: { address: 1024, bytes: context },
        start: [...op.hypercall(24, 0, 1, 1024), ...upAgain, ...SHUTDOWN],
        vcpuStart: count,
      },
      { vcpus: 2 },
    );
    expect(await ended).toBe('powered itself off');
  });
});

describe('run-state accounts', () => {
  it('of a real vCPU are the time since the domain began, most of it before the vCPU was up', async () => {
    const began = process.hrtime.bigint();
    const { ended, bytes } = await start({
      start: [
        ...op.hypercall(24, 10, 0, 2048), // vcpu_info
        ...op.hypercall(24, 4, 0, 8192), // VCPUOP_get_runstate_info
        ...op.hypercall(18, 0, 48, 8192),
        ...SHUTDOWN,
      ],
    });
    expect(await ended).toBe('powered itself off');
    const lasted = Number(process.hrtime.bigint() - began);
    const words = new BigUint64Array(Uint8Array.from(bytes()).buffer);
    if (words.every((word) => word === 0n)) return; // a host that does not tell: -EOPNOTSUPP
    const [running, runnable, blocked, offline] = [...words.subarray(2)].map(Number);
    expect(Number(words[0] & 0xffffffffn)).toBe(0); // RUNSTATE_running
    expect(running).toBeGreaterThan(0);
    expect(offline).toBeGreaterThan(0);
    expect(running + runnable + blocked + offline).toBeLessThanOrEqual(lasted);
  });
});

describe('a guest that', () => {
  it.each<[string, GuestBody, RegExp]>([
    ['traps', { start: op.unreachable }, /^crashed: vCPU 0 trapped: unreachable/],
    [
      'reaches outside of its memory',
      { start: op.store(1 << 20, 1) },
      /^crashed: vCPU 0 trapped: memory access out of bounds/,
    ],
    ['overflows its stack', { start: op.call(SELF) }, /^crashed: vCPU 0 trapped: Maximum call stack/],
    ['returns', { start: [] }, /^crashed: vCPU 0 returned from para_start\(\)/],
    ['says that it crashed', { start: op.hypercall(29, 2, 3) }, /^crashed: the guest said so/],
    [
      'traps in its start function',
      { start: op.unreachable, startSection: true },
      /^crashed: vCPU 0 trapped: unreachable/,
    ],
    ['never comes out of a loop', { start: op.forever }, /^crashed: vCPU 0 hung: it made no hypercall for 1000 ms/],
    ['never comes out of its start function', { start: op.forever, startSection: true }, /^crashed: vCPU 0 hung/],
  ])('%s fails with its reason', async (_, body, reason) => {
    expect(await (await start(body)).ended).toMatch(reason);
  });

  it('grows its memory by itself, past the hypervisor, is destroyed', async () => {
    const grow = [...op.i32(1), 0x40, 0x00, 0x1a]; // memory.grow
    const spin = [0x03, 0x40, ...op.hypercall(29, 0), 0x0c, 0, 0x0b];
    const { ended } = await start({ start: [...grow, ...spin] }, { maxMemoryBytes: 1 << 21 });
    expect(await ended).toMatch(/^crashed: it grew its memory by memory\.grow/);
  });

  it('is destroyed while it loops, blocks or spins in hypercalls, goes', async () => {
    const spin = [0x03, 0x40, ...op.hypercall(17, 0), 0x0c, 0, 0x0b];
    const sleep = [...op.hypercall(24, 10, 0, 2048), ...op.hypercall(29, 1)];
    for (const body of [op.forever, spin, sleep]) {
      const { data, write } = say('up');
      const guest = await start({ data, start: [...write, ...body] } as GuestBody);
      while (guest.console() !== 'up') await new Promise((resolve) => setImmediate(resolve));
      guest.domain.destroy();
      expect(await guest.ended).toBe('was destroyed');
    }
  });

  it('crashes leaves its neighbour alone', async () => {
    const { data, write } = say('.');
    // The neighbour prints a dot for each console event; it lives until the other has crashed.
    const loop = [
      ...op.hypercall(24, 10, 0, 2048),
      ...op.hypercall(32, 1, 2, 0),
      0x03,
      0x40,
      ...op.hypercall(29, 1),
      ...op.hypercall(18, 1, 64, 4096),
    ];
    const neighbour = await start({
      data,
      start: [...loop, ...op.store(2048, 0), ...write, 0x0c, 0, 0x0b],
    } as GuestBody);
    for (const bad of [op.unreachable, op.store(1 << 20, 1), []])
      expect(await (await start({ start: bad })).ended).toMatch(/^crashed/);
    neighbour.domain.feed(Buffer.from('x'));
    while (!neighbour.console().includes('.')) await new Promise((resolve) => setImmediate(resolve));
    neighbour.domain.destroy();
    expect(await neighbour.ended).toBe('was destroyed');
  });
});

describe('two domains', () => {
  it('share memory by grants: one grants, the other copies, and a third gets nothing', async () => {
    // Grant 0: frame 3 to domain 2, read-only. The text lies at the frame's start.
    const table = Buffer.from(new Int32Array([5 | (2 << 16), 3, 1]).buffer);
    const bytes = Buffer.alloc(3 * 4096 + 6 - 4096);
    table.copy(bytes);
    bytes.write('shared', 2 * 4096);
    const ready = [...op.hypercall(20, 2, 4096, 1), ...op.hypercall(18, 0, 6, 3 * 4096)];
    const sleep = [...op.hypercall(24, 10, 0, 2048), ...op.hypercall(29, 1)];
    const giver = await start({ data: { address: 4096, bytes }, start: [...ready, ...sleep] });
    while (giver.console() !== 'shared') await new Promise((resolve) => setImmediate(resolve));
    expect(giver.domain.id).toBe(1);
    const request = Buffer.from(new Int32Array([0, 1, 0, 8192, 6, 0]).buffer);
    const taker: GuestBody = {
      data: { address: 1024, bytes: request },
      start: [...op.hypercall(20, 5, 1024), ...op.hypercall(18, 0, 6, 8192), ...sleep],
    };
    const [second, third] = [await start(taker), await start(taker)];
    while (second.console().length + third.console().length < 12) await new Promise((resolve) => setImmediate(resolve));
    expect(second.console()).toBe('shared');
    expect(third.console()).toBe('\0'.repeat(6));
    for (const { domain, ended } of [giver, second, third]) {
      domain.destroy();
      await ended;
    }
  });
});

describe('the hypervisor', () => {
  it.each<[string, GuestBody, RegExp]>([
    ['wants more than a guest may have', { start: [], extraImport: ['env', 'open'] }, /imports env\.open/],
    ['has no entry', { start: [], without: 'para_start' }, /does not export the function para_start/],
  ])('refuses a module that %s', async (_, body, message) => {
    await expect(start(body)).rejects.toThrow(message);
  });

  it('says which image cannot be loaded', async () => {
    const image = '/nonexistent/guest.wasm';
    const config = { name: 'x', vcpus: 1, memoryBytes: 1 << 20, image, bootargs: '', pollUs: 0 };
    const listener = { output() {}, doorbell() {}, facts() {}, ended() {} };
    await expect(hypervisor.create(config, listener)).rejects.toThrow(
      /\/nonexistent\/guest\.wasm cannot be loaded: ENOENT/,
    );
  });

  it.each([
    [{ vcpus: 33 }, /1 to 32 vCPUs, not 33/],
    [{ maxVcpus: 33 }, /1 to 32 vCPUs, not 33/],
    [{ memoryBytes: 1000 }, /64 KiB to 1024 MiB of memory, not 0/],
    [{ maxMemoryBytes: 2 ** 31 }, /64 KiB to 1024 MiB of memory, not 2048/],
  ])('refuses a domain of the size %j', async (config, message) => {
    await expect(start({ start: SHUTDOWN }, config)).rejects.toThrow(message);
  });

  it('builds no domain that its pool has no memory for, and gives memory back to it', async () => {
    const small = new Hypervisor({ poolBytes: 3 << 20 });
    const config = {
      name: 'x',
      vcpus: 1,
      memoryBytes: 2 << 20,
      image: guestFile({ start: SHUTDOWN }),
      bootargs: '',
      pollUs: 0,
    };
    files.push(config.image);
    const create = (): Promise<string> =>
      new Promise((ended, reject) => {
        small.create(config, { output() {}, doorbell() {}, facts() {}, ended }).catch(reject);
      });
    const both = await Promise.allSettled([create(), create()]);
    expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    expect(String(both.find((one) => one.status === 'rejected')?.reason)).toMatch(
      /pool has 1 MiB left, the domain wants 2;/,
    );
    expect(await create()).toBe('powered itself off');
    small.close();
  });

  it('gives a domain’s number and memory to the next one', async () => {
    const ids: number[] = [];
    for (const body of [op.unreachable, SHUTDOWN, op.unreachable, SHUTDOWN]) {
      const { domain, ended } = await start({
        start: [...op.hypercall(32, 6, 0), ...op.hypercall(20, 2, 4096, 8), ...body],
      });
      ids.push(domain.id);
      await ended;
    }
    expect(ids).toEqual([1, 1, 1, 1]);
  });
});
