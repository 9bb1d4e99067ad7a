/**
 * Hostile guests on real threads: random hypercalls on a connected disk, while a second vCPU changes rings, tables and structures as they
 * are read. The hypervisor answers or ends the guest, and a neighbour's work is right.
 *
 * Seeds are kept: the first ones are the same in each run. VIRTAX_HOSTILE=N: so many guests (default 100: over a million hypercalls, 20,000 of them random);
 * VIRTAX_HOSTILE_SEED=S: from this seed on.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import * as abi from '#engines/para/abi.js';
import { Hypervisor } from '#engines/para/hypervisor.js';
import {
  DOM,
  type HypervisorMemory,
  LOCK_EVENTS,
  LOCK_QUEUE,
  POOL,
  QUEUE,
  QUEUE_HEADER_WORD,
} from '#engines/para/hypervisor-memory.js';
import { FakeGuest } from './guest-fixture.js';
import { ParaGuest } from './para-guest.js';
import { writePristineDisk } from './pristine-disk.js';
import { AT, connectBlock } from './ring-fixture.js';
import { guestFile, op } from './wasm-guest.js';

const GUESTS = Number(process.env.VIRTAX_HOSTILE ?? 100);
const FIRST_SEED = Number(process.env.VIRTAX_HOSTILE_SEED ?? 1);
const STEPS = 300;
const AT_ONCE = 3;
const MEMORY = 1 << 20;
const MIB = 1 << 20;
/** Where the second vCPU's context lies. */
const CONTEXT = 0x800;

const folder = mkdtempSync(join(tmpdir(), 'virtax-hostile-'));
const disk = (name: string, bytes: number) => {
  const path = join(folder, name);
  writePristineDisk(path, bytes);
  return { path, bytes, direct: false };
};
afterAll(() => rmSync(folder, { recursive: true }));

type Random = (below: number) => number;

/** mulberry32 (T. Ettinger): the same numbers from the same seed. */
function randomOf(seed: number): Random {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

/** What a guest does to connect its disk: recorded of the fixture, as the writes and hypercalls that it makes. */
function connected(): { code: number[]; port: number } {
  const guest = new FakeGuest({ vcpus: 2, pages: MEMORY / 65536 });
  const code: number[] = [];
  let known = guest.memory.i32.slice();
  const writes = () => {
    const now = guest.memory.i32;
    now.forEach((value, at) => {
      if (value !== known[at]) code.push(...op.store(4 * at, value));
    });
  };
  const { call } = guest.cpu;
  Object.assign(guest.cpu, {
    call: (number: number, cmd: number, arg1 = 0, arg2 = 0) => {
      writes();
      code.push(...op.hypercall(number, cmd, arg1, arg2));
      const result = call(number, cmd, arg1, arg2);
      known = guest.memory.i32.slice();
      return result;
    },
  });
  const port = connectBlock(guest);
  writes();
  return { code, port };
}

const { code, port } = connected();

const NUMBERS = [12, 17, 18, 20, 20, 24, 24, 29, 32, 32, 48, 48];
const COMMANDS = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 14, 15, 64];
const EDGES = [-1, -4, 0x7fffffff, -0x80000000, MEMORY - 4, MEMORY, MEMORY - 1, 1024, AT.info, AT.table, AT.ring];

function word(random: Random): number {
  const kind = random(10);
  if (kind < 4) return random(70);
  if (kind < 7) return random(MEMORY + 4096);
  return kind < 9 ? EDGES[random(EDGES.length)] : random(2 ** 32) | 0;
}

/** In rings, tables and structures; in the counter of requests, which ends the guest soon, only where `counter` says. */
function place(random: Random, counter: boolean): number {
  const [start, words] = [
    [AT.ring, 80],
    [AT.table, 200],
    [AT.info, 66],
    [0, 64],
    [0x400, 96],
  ][random(5)];
  const at = start + 4 * random(words);
  return at === AT.ring && !counter ? at + 64 : at;
}

/** Anything but what makes the program end early or sleep: not stop, block, or take its own vCPU down. */
function hypercall(random: Random): number[] {
  const number = random(20) === 0 ? word(random) : NUMBERS[random(NUMBERS.length)];
  const cmd = random(20) === 0 ? word(random) : COMMANDS[random(COMMANDS.length)];
  if (number === abi.HYPERVISOR_sched_op) return op.hypercall(number, [abi.SCHEDOP_yield, abi.SCHEDOP_poll][random(2)]);
  if (number === abi.HYPERVISOR_vcpu_op && cmd === abi.VCPUOP_down) return [];
  return op.hypercall(number, cmd, word(random), word(random));
}

function hostile(seed: number): string {
  const random = randomOf(seed);
  const breaksCounter = seed % 5 === 0;
  const poke = (): number[] => op.store(place(random, breaksCounter), word(random));
  let produced = 0;
  const step = (): number[] => {
    const kind = random(8);
    if (kind < 2) return poke();
    if (kind > 2) return hypercall(random);
    produced += random(3);
    return [...op.store(AT.ring, produced), ...op.hypercall(32, abi.EVTCHNOP_send, port)];
  };
  const steps = Array.from({ length: STEPS }, step).flat();
  const second = Array.from({ length: 200 }, poke).flat();
  return guestFile({
    start: [
      ...code,
      ...op.store(CONTEXT, 16384),
      ...op.hypercall(24, abi.VCPUOP_initialise, 1, CONTEXT),
      ...op.hypercall(24, abi.VCPUOP_up, 1, 0),
      ...steps,
      ...op.unreachable,
    ],
    vcpuStart: [0x03, 0x40, ...second, ...op.hypercall(29, abi.SCHEDOP_poll), 0x0c, 0x00, 0x0b],
  });
}

interface Ended {
  reason: string;
  hypercalls: number;
}

async function run(hypervisor: Hypervisor, seed: number): Promise<Ended> {
  const image = hostile(seed);
  try {
    return await new Promise<Ended>((resolve, reject) => {
      const config = { name: `hostile${seed}`, vcpus: 2, memoryBytes: MEMORY, maxMemoryBytes: 2 * MEMORY, image };
      const ended = (reason: string, _: string, counters: Record<string, number>) => {
        const calls = Object.entries(counters).filter(([name]) => name.startsWith('hypercall_'));
        resolve({ reason, hypercalls: calls.reduce((sum, [, count]) => sum + count, 0) });
      };
      const own = { bootargs: '', pollUs: 0, disk: disk(`${seed}.img`, 65536) };
      hypervisor.create({ ...config, ...own }, { output() {}, doorbell() {}, facts() {}, ended }).catch(reject);
    });
  } finally {
    rmSync(dirname(image), { recursive: true });
    rmSync(join(folder, `${seed}.img`));
  }
}

/** Its own end, or its own fault; anything else was the hypervisor's. */
const ITS_OWN = /^crashed: (vCPU \d )?(trapped: unreachable|broke the block ring)/;

it(`${GUESTS} hostile guests harm nobody but themselves`, { timeout: 600_000 }, async () => {
  const hypervisor = new Hypervisor();
  const { hv } = hypervisor as unknown as { hv: HypervisorMemory };
  const neighbour = await ParaGuest.start(hypervisor, {
    name: 'neighbour',
    disk: disk('neighbour.img', 64 * MIB),
    memoryBytes: 64 * MIB,
  });
  neighbour.send('prepare cpu/sieve seed=1 cpus=1');
  await neighbour.line('ready');
  neighbour.send('start ms=500 seed=7');
  let next = FIRST_SEED;
  let hypercalls = 0;
  const reasons = new Map<string, number>();
  const lane = async () => {
    while (next < FIRST_SEED + GUESTS) {
      const seed = next++;
      const ended = await run(hypervisor, seed);
      hypercalls += ended.hypercalls;
      const kind = ended.reason.replace(/\d+/g, 'N').slice(0, 90);
      reasons.set(kind, (reasons.get(kind) ?? 0) + 1);
      expect(ended.reason, `VIRTAX_HOSTILE_SEED=${seed} VIRTAX_HOSTILE=1`).toMatch(ITS_OWN);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, lane));
  expect(await neighbour.line('result')).toMatch(/errors=0/);
  expect((await neighbour.run('block/randread-4k-qd32', 1, 50)).errors).toBe('0');
  expect([hv.i32[LOCK_EVENTS], hv.i32[LOCK_QUEUE], hv.i32[QUEUE_HEADER_WORD + QUEUE.waiting]]).toEqual([0, 0, 0]);
  const own = hv.i32[hv.domainWord(neighbour.domain.id) + DOM.populated];
  expect(hv.i32[POOL.taken]).toBe(own);
  if (GUESTS > 500)
    process.stdout.write(`${GUESTS} guests, ${hypercalls} hypercalls: ${JSON.stringify([...reasons], null, 1)}\n`);
  if (GUESTS > 1) expect(hypercalls).toBeGreaterThan(GUESTS * 100);
  neighbour.domain.destroy();
  await neighbour.ended();
  hypervisor.close();
});
