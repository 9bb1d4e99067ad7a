/**
 * The block driver is killed in the middle of load, by threads of the core OS that end with requests in flight, and by instances on
 * vCPUs' threads that are torn down. Each request is answered exactly once, the disk ends as if requests had been done in the order
 * of the ring, and what was acknowledged before a flush is on it when the flush is answered.
 */
import { closeSync, mkdtempSync, openSync, readSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Worker } from 'node:worker_threads';
import { afterAll, describe, expect, it } from 'vitest';
import * as abi from '#engines/para/abi.js';
import { CoreOs } from '#engines/para/core-os/core-os.js';
import { createHostIo, kickerOf } from '#engines/para/host-io.js';
import { Hypervisor } from '#engines/para/hypervisor.js';
import { HypervisorMemory } from '#engines/para/hypervisor-memory.js';
import { FakeGuest } from './guest-fixture.js';
import { ParaGuest } from './para-guest.js';
import { writePristineDisk } from './pristine-disk.js';
import { connectBlock, dataOf, push, putRequest, response, rspProd } from './ring-fixture.js';

const folder = mkdtempSync(join(tmpdir(), 'virtax-kill-'));
afterAll(() => rmSync(folder, { recursive: true }));
const BLOCK = 4096;
const BLOCKS = 48;
const IDS = 40;
const DISK = 8 << 20;
const pass = () => new Promise<void>((resolve) => setImmediate(resolve));

/** A front end of this test's own: writes blocks with numbers that go up, and flushes; knows what the disk owes it. */
class Writer {
  private readonly port: number;
  private readonly free = Array.from({ length: IDS }, (_, i) => i + 1);
  /** By id: block and number of a write, or the numbers that a flush promises. */
  private readonly inFlight = new Map<number, { block: number; number: number } | { promised: number[] }>();
  /** By block: the last number that was submitted, answered. */
  readonly submitted: number[] = new Array(BLOCKS).fill(0);
  private readonly answered: number[] = new Array(BLOCKS).fill(0);
  private produced = 0;
  private seen = 0;
  answers = 0;
  flushes = 0;
  private random = 12345;

  constructor(
    private readonly guest: FakeGuest,
    private readonly fd: number,
  ) {
    this.port = connectBlock(guest);
  }

  private next(below: number): number {
    this.random = (Math.imul(this.random, 1103515245) + 12345) >>> 0;
    return (this.random >>> 8) % below;
  }

  get busy(): boolean {
    return this.inFlight.size > 0;
  }

  submit(): void {
    while (this.free.length > 0) this.one();
    if (push(this.guest, this.produced)) this.guest.cpu.event(abi.EVTCHNOP_send, this.port);
  }

  private one(): void {
    const id = this.free.shift() as number;
    if (this.next(20) === 0) {
      this.inFlight.set(id, { promised: [...this.answered] });
      putRequest(this.guest, this.produced++, { operation: abi.BLKIF_OP_FLUSH_DISKCACHE, id });
      return;
    }
    const block = this.next(BLOCKS);
    const number = ++this.submitted[block];
    this.inFlight.set(id, { block, number });
    this.guest.memory.i32.fill(number, dataOf(id) / 4, (dataOf(id) + BLOCK) / 4);
    const request = { operation: abi.BLKIF_OP_WRITE, segments: [[id, 0, BLOCK] as [number, number, number]], id };
    putRequest(this.guest, this.produced++, { ...request, sector: block * 8 });
  }

  /** Takes the answers that are there. */
  reap(): void {
    for (; this.seen !== rspProd(this.guest); this.seen++) {
      const { id, status } = response(this.guest, this.seen);
      const what = this.inFlight.get(id);
      if (what === undefined) throw new Error(`request ${id} was answered twice`);
      expect(status).toBe(0);
      this.inFlight.delete(id);
      this.free.push(id);
      this.answers++;
      if ('promised' in what) this.checkPromise(what.promised);
      else this.answered[what.block] = Math.max(this.answered[what.block], what.number);
    }
  }

  private checkPromise(promised: number[]): void {
    this.flushes++;
    promised.forEach((number, block) => {
      expect(this.onDisk(block), `block ${block}`).toBeGreaterThanOrEqual(number);
    });
  }

  onDisk(block: number): number {
    const words = new Int32Array(BLOCK / 4);
    readSync(this.fd, words, 0, BLOCK, block * BLOCK);
    return words[words.length - 1];
  }
}

/** A number that no mark can have, as if the file system had none. */
const NO_MARKS = 2 ** 62;

describe.each([
  ['io_uring', undefined],
  ['io_uring', NO_MARKS],
  ['workers', undefined],
])('a thread of the core OS by %s (marks from %s)', (method, marks) => {
  it('is killed 12 times with requests in flight', { timeout: 120_000 }, async () => {
    process.env.VIRTAX_IO = method;
    const path = join(folder, method);
    writeFileSync(path, '');
    truncateSync(path, BLOCKS * BLOCK);
    const hv = HypervisorMemory.create();
    const shared = createHostIo(2048);
    const io = { ...shared, marks: marks ?? shared.marks };
    const kicker = kickerOf(io);
    const guest = new FakeGuest({ hv, diskBytes: BLOCKS * BLOCK, vcpus: 1, network: false, kicker });
    const problems: string[] = [];
    const coreOs = new CoreOs(hv, io, kicker, { threads: 1, lending: false }, (_, reason) => problems.push(reason));
    const { memory } = guest.memory;
    const fd = openSync(path, 'r');
    try {
      coreOs.serve({
        domain: 1,
        memory,
        frames: guest.memory.bytes / 4096,
        disk: { kind: 'file', discards: true, path, bytes: BLOCKS * BLOCK, direct: false },
      });
      const writer = new Writer(guest, fd);
      for (let kill = 0; kill < 12; kill++) {
        for (const goal = writer.answers + 60; writer.answers < goal; await pass()) {
          writer.submit();
          writer.reap();
        }
        writer.submit();
        let killed = false;
        void coreOs.restart().then(() => {
          killed = true;
        });
        while (!killed) {
          writer.reap();
          await pass();
        }
      }
      while (writer.busy) {
        writer.reap();
        await pass();
      }
      for (let block = 0; block < BLOCKS; block++) expect(writer.onDisk(block)).toBe(writer.submitted[block]);
      expect(writer.flushes).toBeGreaterThan(20);
      expect(problems).toEqual([]);
      await coreOs.forget(1);
    } finally {
      await coreOs.close();
      closeSync(fd);
      delete process.env.VIRTAX_IO;
    }
  });
});

it('a thread of the core OS that ends by itself is replaced', { timeout: 30_000 }, async () => {
  const hv = HypervisorMemory.create();
  const io = createHostIo(2048);
  const kicker = kickerOf(io);
  const guest = new FakeGuest({ hv, diskBytes: BLOCKS * BLOCK, vcpus: 1, network: false, kicker });
  const coreOs = new CoreOs(hv, io, kicker, { lending: false }, () => {});
  const { memory } = guest.memory;
  const path = join(folder, 'failing');
  writeFileSync(path, Buffer.alloc(BLOCKS * BLOCK));
  const disk = { kind: 'file' as const, discards: true, path, bytes: BLOCKS * BLOCK, direct: false };
  coreOs.serve({ domain: 1, memory, frames: guest.memory.bytes / 4096, disk });
  const fd = openSync(path, 'r');
  const writer = new Writer(guest, fd);
  const { threads } = coreOs as unknown as { threads: Worker[] };
  for (let turn = 0; turn < 2; turn++) {
    for (writer.submit(); writer.busy; await pass()) writer.reap();
    await threads[0].terminate(); // it sleeps
  }
  for (writer.submit(); writer.busy; await pass()) writer.reap();
  for (let block = 0; block < BLOCKS; block++) expect(writer.onDisk(block)).toBe(writer.submitted[block]);
  closeSync(fd);
  await coreOs.close();
});

describe('the block driver of a hypervisor', () => {
  it.each([true, false])('is killed under our own guest, lending: %s', { timeout: 60_000 }, async (lending) => {
    const hypervisor = new Hypervisor({ coreOs: { lending } });
    const path = join(folder, `guest-${lending}`);
    writePristineDisk(path, DISK);
    const disk = { path, bytes: DISK, direct: false };
    try {
      const guest = await ParaGuest.start(hypervisor, { vcpus: 2, disk });
      guest.send('prepare block/randwrite-4k-qd32 seed=1 cpus=2');
      await guest.line('ready');
      guest.send('start ms=900 seed=7');
      await guest.sampleBegun();
      for (let kill = 0; kill < 12; kill++) {
        await hypervisor.restartDriver();
        expect(guest.domain.store.get('device/vbd/0/backend-generation')).toBe(String(kill + 2));
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
      const result = await guest.line('result');
      expect(result).toMatch(/ errors=0\b/);
      guest.domain.destroy();
      await guest.ended();
    } finally {
      hypervisor.close();
    }
  });
});
