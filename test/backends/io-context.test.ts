/** One behaviour suite for every way to do I/O: each test is named `behaviour method`. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { HandleId, IoContext, MemoryId } from '#engines/backends/io.js';
import { createIoContext, FORCE_VARIABLE, uringProblem } from '#engines/backends/io-context.js';
import { createKickArea, KickArea } from '#engines/backends/kick.js';

const PAGE = 4096;
const DISK_BYTES = 64 * PAGE;
const ENOSPC = 28;
const EAGAIN = 11;
const METHODS = [
  { name: 'io_uring', force: 'io_uring', unavailable: uringProblem() },
  { name: 'worker threads', force: 'workers', unavailable: undefined },
];

describe.each(METHODS)('$name', ({ name, force, unavailable }) => {
  let folder: string;
  let path: string;
  let area: SharedArrayBuffer;
  let io: IoContext;
  let memory: WebAssembly.Memory;
  let bytes: Uint8Array;
  let id: MemoryId;

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'virtax-io-'));
    path = join(folder, 'disk');
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  beforeEach((context) => {
    if (unavailable !== undefined) context.skip(unavailable);
    process.env[FORCE_VARIABLE] = force;
    writeFileSync(path, pattern(1));
    area = createKickArea(4);
    io = createIoContext(area, 0, { waiting: { pollUs: 0 } });
    memory = new WebAssembly.Memory({ initial: 16, maximum: 32, shared: true });
    bytes = new Uint8Array(memory.buffer);
    id = io.addMemory(memory);
  });
  afterEach(() => {
    io?.dispose();
    delete process.env[FORCE_VARIABLE];
  });

  const open = (direct = true) => io.openBlock(path, { direct, readonly: false });
  /** Starts something and waits for its completion. */
  const run = (start: (done: (result: number) => void) => void): number => {
    let result: number | undefined;
    start((value) => {
      result = value;
    });
    while (result === undefined) io.wait(Number.POSITIVE_INFINITY);
    return result;
  };
  const read = (disk: HandleId, address: number, length: number, offset: number) =>
    run((done) => io.read(disk, id, address, length, offset, done));
  const write = (disk: HandleId, address: number, length: number, offset: number) =>
    run((done) => io.write(disk, id, address, length, offset, done));

  it(`says what it is ${name}`, () => {
    expect(io.method).toBe(name);
    expect(io.slot).toBe(0);
    const info = io.blockInfo(open());
    expect(info.bytes).toBe(DISK_BYTES);
    expect(info.direct ? info.alignment >= 1 : info.alignment === 1).toBe(true);
    expect(io.blockInfo(open(false))).toEqual({ bytes: DISK_BYTES, direct: false, alignment: 1 });
  });

  it(`reads what the file holds ${name}`, () => {
    const disk = open();
    expect(read(disk, PAGE, 3 * PAGE, 5 * PAGE)).toBe(3 * PAGE);
    expect(same(bytes.subarray(PAGE, 4 * PAGE), pattern(1).subarray(5 * PAGE, 8 * PAGE))).toBe(true);
    expect(bytes[PAGE - 1] + bytes[4 * PAGE]).toBe(0);
  });

  it(`puts what it writes into the file ${name}`, () => {
    const disk = open();
    bytes.set(pattern(2).subarray(0, 2 * PAGE), 0);
    expect(write(disk, 0, 2 * PAGE, 7 * PAGE)).toBe(2 * PAGE);
    expect(run((done) => io.flush(disk, done))).toBe(0);
    const expected = pattern(1);
    expected.set(pattern(2).subarray(0, 2 * PAGE), 7 * PAGE);
    expect(same(readFileSync(path), expected)).toBe(true);
  });

  it(`takes any alignment of address, length and offset ${name}`, () => {
    const disk = open();
    const model = pattern(1);
    const range = fc.record({
      write: fc.boolean(),
      address: fc.integer({ min: 0, max: 3 * PAGE }),
      length: fc.oneof(fc.integer({ min: 1, max: 3 * PAGE }), fc.constant(512), fc.constant(PAGE)),
      offset: fc.oneof(fc.integer({ min: 0, max: 60 * PAGE }), fc.constant(PAGE), fc.constant(512)),
      seed: fc.integer({ min: 0, max: 255 }),
    });
    fc.assert(
      fc.property(range, ({ write: writes, address, length, offset, seed }) => {
        if (writes) {
          bytes.fill(seed, address, address + length);
          model.fill(seed, offset, offset + length);
          expect(write(disk, address, length, offset)).toBe(length);
        } else {
          bytes.fill(0, 0, 8 * PAGE);
          expect(read(disk, address, length, offset)).toBe(length);
          expect(same(bytes.subarray(address, address + length), model.subarray(offset, offset + length))).toBe(true);
          expect(bytes[address + length]).toBe(0);
        }
      }),
      { numRuns: 300 },
    );
    expect(same(readFileSync(path), model)).toBe(true);
  });

  it(`moves pieces of memory from and to one range of the file ${name}`, () => {
    const disk = open();
    const model = pattern(1);
    const lengths = fc.array(
      fc.oneof({ weight: 3, arbitrary: fc.constantFrom(512, PAGE, 2 * PAGE) }, fc.integer({ min: 1, max: PAGE })),
      { minLength: 1, maxLength: 20 },
    );
    const request = fc.record({
      writes: fc.boolean(),
      lengths,
      gap: fc.constantFrom(0, 512, PAGE, 3),
      page: fc.nat(8),
    });
    fc.assert(
      fc.property(request, ({ writes, lengths: all, gap, page }) => {
        const total = all.reduce((sum, length) => sum + length, 0);
        const address = all.map((_, i) => all.slice(0, i).reduce((sum, length) => sum + length + gap, 0));
        const pieces = { address, bytes: all, count: all.length };
        const offset = page * PAGE;
        const whole = () => Buffer.concat(all.map((length, i) => bytes.subarray(address[i], address[i] + length)));
        if (writes) {
          for (let i = 0; i < address[all.length - 1] + PAGE; i++) bytes[i] = i * 7 + total;
          expect(run((done) => io.writev(disk, id, pieces, offset, done))).toBe(total);
          model.set(whole(), offset);
        } else {
          bytes.fill(0);
          expect(run((done) => io.readv(disk, id, pieces, offset, done))).toBe(total);
          expect(same(whole(), model.subarray(offset, offset + total))).toBe(true);
        }
      }),
      { numRuns: 150 },
    );
    expect(same(readFileSync(path), model)).toBe(true);
  });

  it(`counts requests that O_DIRECT would not take ${name}`, () => {
    const disk = open();
    read(disk, 0, PAGE, 0);
    expect(io.counters.bounced).toBe(0);
    read(disk, 1, PAGE, 0);
    expect(io.counters.bounced).toBe(io.blockInfo(disk).direct ? 1 : 0);
    expect(same(bytes.subarray(1, PAGE + 1), pattern(1).subarray(0, PAGE))).toBe(true);
  });

  it(`keeps many requests in flight, each with its own result ${name}`, () => {
    const disk = open();
    const results: number[] = [];
    for (let i = 0; i < 64; i++) {
      io.read(disk, id, i * PAGE, PAGE, ((i * 37) % 64) * PAGE, (result) => {
        results[i] = result;
      });
    }
    while (results.filter(Number.isFinite).length < 64) io.wait(Number.POSITIVE_INFINITY);
    expect(new Set(results)).toEqual(new Set([PAGE]));
    for (let i = 0; i < 64; i++) {
      const from = ((i * 37) % 64) * PAGE;
      expect(same(bytes.subarray(i * PAGE, (i + 1) * PAGE), pattern(1).subarray(from, from + PAGE))).toBe(true);
    }
    expect(io.counters.submitted).toBe(64);
    expect(io.counters.completed).toBe(64);
  });

  it(`answers requests beyond its table with EAGAIN, and every one exactly once ${name}`, () => {
    const disk = open();
    const answers = new Map<number, number>();
    const seen = new Array(1100).fill(0);
    for (let i = 0; i < seen.length; i++) {
      io.read(disk, id, 0, 512, 0, (result) => {
        seen[i]++;
        answers.set(result, (answers.get(result) ?? 0) + 1);
      });
    }
    while (io.counters.completed < seen.length) io.wait(Number.POSITIVE_INFINITY);
    expect(seen.every((times) => times === 1)).toBe(true);
    expect(answers).toEqual(
      new Map([
        [-EAGAIN, 76],
        [512, 1024],
      ]),
    );
  });

  it(`lets a completion start the next request ${name}`, () => {
    const disk = open();
    let count = 0;
    const next = (): void => {
      if (++count <= 50) io.read(disk, id, 0, PAGE, count * PAGE, next);
    };
    next();
    while (count <= 50) io.wait(Number.POSITIVE_INFINITY);
    expect(same(bytes.subarray(0, PAGE), pattern(1).subarray(50 * PAGE, 51 * PAGE))).toBe(true);
  });

  it(`delivers a full disk as ENOSPC ${name}`, () => {
    const full = io.openBlock('/dev/full', { direct: false, readonly: false });
    expect(write(full, 0, PAGE, 0)).toBe(-ENOSPC);
  });

  it(`refuses ranges outside of the memory and of the file ${name}`, () => {
    const disk = open();
    const done = () => {
      throw new Error('completed');
    };
    const size = bytes.length;
    for (const [address, length] of [
      [size, 512],
      [size - 511, 512],
      [-512, 512],
      [Number.NaN, 512],
      [0.5, 512],
      [0, -512],
      [0, 2 ** 52],
    ]) {
      expect(() => io.read(disk, id, address, length, 0, done)).toThrow(RangeError);
      expect(() => io.write(disk, id, address, length, 0, done)).toThrow(RangeError);
    }
    expect(() => io.read(disk, id + 1, 0, 512, 0, done)).toThrow(RangeError);
    expect(() => io.write(disk, id, 0, 512, DISK_BYTES - 511, done)).toThrow(RangeError);
    expect(() => io.read(disk, id, 0, 512, -1, done)).toThrow(RangeError);
    expect(() => io.read(disk + 1, id, 0, 512, 0, done)).toThrow(RangeError);
    expect(io.poll()).toBe(0);
  });

  it(`follows a memory that grows ${name}`, () => {
    const disk = open();
    const before = bytes.length;
    memory.grow(1);
    expect(read(disk, before, PAGE, PAGE)).toBe(PAGE);
    const grown = new Uint8Array(memory.buffer, before, PAGE);
    expect(same(grown, pattern(1).subarray(PAGE, 2 * PAGE))).toBe(true);
  });

  it(`names the file that it cannot open ${name}`, () => {
    const missing = join(folder, 'missing');
    expect(() => io.openBlock(missing, { direct: true, readonly: true })).toThrow(missing);
  });

  it(`returns from wait() for a kick that came before, and for a timeout ${name}`, () => {
    const kicks = new KickArea(area);
    kicks.kick(0);
    kicks.kick(0);
    io.wait(Number.POSITIVE_INFINITY);
    expect(io.counters.kicksReceived).toBe(1);
    io.wait(1e6);
    io.wait(0);
    expect(io.counters.kicksReceived).toBe(1);
    expect(io.counters.waits).toBe(3);
  });

  it.each([
    [0, 'never', 20_000],
    [20, 'never', 20_000],
    [0, 'always', 5000],
    [0, 'by turns', 5000],
  ])(`loses no wake-up between two threads that poll %i µs first, and %s watch a socket ${name}`, async (...how) => {
    const [pollUs, watches, rounds] = how;
    const turns = new SharedArrayBuffer(8);
    const start = (slot: number, peer: number, parity: number) =>
      new Promise((resolve, reject) => {
        const workerData = { area, turns, rounds, slot, peer, parity, pollUs, watches };
        const worker = new Worker(new URL('./fixtures/ponger.mjs', import.meta.url), { workerData });
        worker.on('exit', resolve).on('error', reject);
      });
    expect(await Promise.all([start(1, 2, 0), start(2, 1, 1)])).toEqual([0, 0]);
    expect(new Int32Array(turns)[0]).toBeGreaterThanOrEqual(rounds);
  });

  it(`carries datagrams both ways, whole and in order ${name}`, async () => {
    const echo = await startEcho();
    const socket = io.openUdp(echo.port);
    const got: Uint8Array[] = [];
    io.receive(socket, (datagram) => got.push(datagram.slice()));
    for (let i = 0; i < 100; i++) {
      const length = 1 + ((i * 131) % 1472);
      bytes.fill(i, 0, length);
      expect(io.send(socket, id, 0, length)).toBe(length);
      while (got.length <= i) io.wait(1e9);
      expect(got[i].length).toBe(length);
      expect(got[i].every((byte) => byte === i)).toBe(true);
    }
    io.close(socket);
    await echo.stop();
  });

  it(`takes bursts and goes on after a refused datagram ${name}`, async () => {
    const echo = await startEcho();
    const nobody = io.openUdp(await unusedPort());
    io.receive(nobody, () => expect.unreachable());
    for (let i = 0; i < 4; i++) io.send(nobody, id, 0, 8);
    io.wait(1e6);
    const socket = io.openUdp(echo.port);
    let got = 0;
    io.receive(socket, () => got++);
    for (let i = 0; i < 50; i++) io.send(socket, id, 0, 1472);
    while (got < 50) io.wait(1e9);
    await echo.stop();
  });

  it(`does not mix up sockets that come and go ${name}`, async () => {
    const echo = await startEcho();
    for (let i = 0; i < 60; i++) {
      const socket = io.openUdp(echo.port);
      const got: number[] = [];
      io.receive(socket, (datagram) => got.push(datagram[0]));
      bytes[0] = i;
      io.send(socket, id, 0, 1);
      // Every third is closed before its answer has come.
      while (i % 3 !== 0 && got.length === 0) io.wait(1e9);
      io.close(socket);
      expect(got).toEqual(i % 3 === 0 ? [] : [i]);
      expect(() => io.send(socket, id, 0, 1)).toThrow(RangeError);
    }
    expect(io.openUdp(echo.port)).toBe(0);
    await echo.stop();
  });

  it(`watches descriptors once, and not after unwatch() ${name}`, async () => {
    const echo = await startEcho();
    const socket = io.openUdp(echo.port);
    const seen: number[] = [];
    const fd = io.descriptor(socket);
    io.watch(fd, 4, (events) => seen.push(events));
    io.wait(1e9);
    expect(seen).toEqual([4]);
    io.watch(fd, 1, (events) => seen.push(events));
    const dropped = io.watch(fd, 1, () => seen.push(-1));
    io.unwatch(dropped);
    io.wait(1e6);
    expect(seen).toEqual([4]);
    io.send(socket, id, 0, 1);
    for (let i = 0; i < 20 && seen.length < 2; i++) io.wait(1e9);
    expect(seen).toEqual([4, 1]);
    io.wait(1e6);
    expect(seen).toHaveLength(2);
    await echo.stop();
  });

  it(`runs what was deferred in the next poll or wait ${name}`, () => {
    const ran: number[] = [];
    io.defer(() => {
      ran.push(1);
      io.defer(() => ran.push(2));
    });
    expect(ran).toEqual([]);
    expect(io.poll()).toBe(1);
    expect(ran).toEqual([1]);
    io.wait(Number.POSITIVE_INFINITY);
    expect(ran).toEqual([1, 2]);
  });

  it(`lets a sleeping thread be ended, and takes back what it left open ${name}`, async () => {
    const [before, mappings] = [openDescriptors(), ringMappings()];
    const workerData = { area, turns: new SharedArrayBuffer(8), rounds: 10, slot: 3, peer: 0, parity: 1, pollUs: 0 };
    const worker = new Worker(new URL('./fixtures/ponger.mjs', import.meta.url), { workerData });
    const state = new Int32Array(area, 3 * 256, 1);
    while (Atomics.load(state, 0) < 2) await new Promise(setImmediate);
    await worker.terminate();
    new KickArea(area).reclaim(3);
    expect(openDescriptors()).toBeLessThanOrEqual(before);
    expect(ringMappings()).toBeLessThanOrEqual(mappings);
    expect(Atomics.load(state, 0)).toBe(0);
  });

  it(`can be disposed of twice, and with requests in flight ${name}`, () => {
    const disk = open();
    for (let i = 0; i < 32; i++) io.write(disk, id, i * PAGE, PAGE, i * PAGE, () => expect.unreachable());
    io.submit();
    io.dispose();
    io.dispose();
  });
});

function pattern(seed: number): Uint8Array {
  const words = new Uint32Array(DISK_BYTES / 4).map((_, i) => Math.imul(i + seed * 1_000_003, 2654435761));
  return new Uint8Array(words.buffer);
}

/** Of rings that are shared with the kernel, proc(5). */
const ringMappings = (): number => readFileSync('/proc/self/maps', 'latin1').split('[io_uring]').length - 1;

const openDescriptors = (): number => readdirSync('/proc/self/fd').length;

const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(Buffer.from(a), Buffer.from(b)) === 0;

async function startEcho(): Promise<{ port: number; stop: () => Promise<unknown> }> {
  const shared = new Int32Array(new SharedArrayBuffer(4));
  const worker = new Worker(new URL('./fixtures/udp-echo.mjs', import.meta.url), { workerData: shared.buffer });
  Atomics.wait(shared, 0, 0);
  return { port: shared[0], stop: () => worker.terminate() };
}

/** A port on which nobody listens: one that was just given back. */
async function unusedPort(): Promise<number> {
  const echo = await startEcho();
  await echo.stop();
  return echo.port;
}
