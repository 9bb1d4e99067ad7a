/**
 * Drivers that die at any moment, against a model: two of them work on one queue; requests overlap at random; what a dead one had with
 * the device was done or was not. Each request is answered once, and each read and the disk are as if all had been done one after
 * another in the order of the ring.
 */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { Completion, Pieces } from '#engines/backends/io.js';
import * as abi from '#engines/para/abi.js';
import { BlockBackEnd } from '#engines/para/core-os/blkback.js';
import type { BlockDevice } from '#engines/para/core-os/block-device.js';
import { BlockDriver } from '#engines/para/core-os/block-driver.js';
import { HypervisorMemory } from '#engines/para/hypervisor-memory.js';
import { IoQueue, NO_SLOT } from '#engines/para/io-queue.js';
import { FakeGuest } from './guest-fixture.js';
import { connectBlock, dataOf, push, putRequest, response, rspProd } from './ring-fixture.js';

const BLOCKS = 12;
const BLOCK = 4096;
const IDS = 24;

interface Job {
  act: () => number;
  done: Completion;
}

/** Words of the disk, one a block, moved when the test says so. */
class Device implements BlockDevice {
  readonly bytes = BLOCKS * BLOCK;
  jobs: Job[] = [];

  constructor(
    private readonly guest: FakeGuest,
    private readonly words: number[],
  ) {}

  transfer(reads: boolean, { address, bytes, count }: Pieces, offset: number, done: Completion): void {
    const at = Array.from({ length: count }, (_, i) => ({ address: address[i], bytes: bytes[i] }));
    const act = (): number => {
      let block = offset / BLOCK;
      for (const piece of at) {
        for (let from = piece.address; from < piece.address + piece.bytes; from += BLOCK, block++) {
          if (reads) this.guest.put(from, this.words[block]);
          else this.words[block] = this.guest.u32(from);
        }
      }
      return at.reduce((sum, piece) => sum + piece.bytes, 0);
    };
    this.jobs.push({ act, done });
  }

  flush(done: Completion): void {
    this.jobs.push({ act: () => 0, done });
  }

  discard(_offset: number, _bytes: number, done: Completion): void {
    this.jobs.push({ act: () => 0, done });
  }

  reopen(): BlockDevice {
    return this;
  }
  close(): void {}
}

/** A thread of the core OS, or a vCPU's that lends itself. */
class Driver {
  readonly device: Device;
  private readonly backEnd: BlockBackEnd;
  private driver: BlockDriver;

  constructor(
    private readonly guest: FakeGuest,
    private readonly queue: IoQueue,
    words: number[],
    private readonly slot: number,
  ) {
    this.device = new Device(guest, words);
    const thread = { domain: this.slot === 0 ? 0 : guest.domain, id: 0 };
    this.backEnd = new BlockBackEnd(guest.cpu.vcpu, queue, { bytes: this.device.bytes, discards: true }, thread);
    this.driver = this.fresh();
  }

  private fresh(): BlockDriver {
    return new BlockDriver(this.guest.hv, this.device, (slot, status) => this.backEnd.answer(slot, status));
  }

  accept(): void {
    this.backEnd.accept();
    this.queue.dispatch(this.guest.domain, 0);
  }

  startOne(): boolean {
    const slot = this.queue.takeReady(this.guest.domain, 0, this.slot);
    if (slot !== NO_SLOT) this.driver.start(slot);
    return slot !== NO_SLOT;
  }

  complete(which: number): boolean {
    const [job] = this.device.jobs.splice(which % Math.max(1, this.device.jobs.length), 1);
    job?.done(job.act());
    return job !== undefined;
  }

  /** Of what is with the device those happen whose bit is set; of those of `heard` the completion comes to the dead driver. */
  kill(happen: number, heard: number): void {
    const { jobs } = this.device;
    this.device.jobs = [];
    this.driver.kill(() => {});
    jobs.forEach(({ act, done }, i) => {
      const result = happen & (1 << (i % 31)) ? act() : -125;
      if (heard & (1 << (i % 31))) done(result);
    });
    this.driver = this.fresh();
    this.queue.recover(this.slot);
  }
}

const hv = HypervisorMemory.create();
const clean = hv.i32.slice(0, hv.domainWord(2));

const step = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      what: fc.constantFrom('read' as const, 'write' as const, 'write' as const, 'flush' as const),
      block: fc.integer({ min: 0, max: BLOCKS - 1 }),
      blocks: fc.integer({ min: 1, max: 3 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ what: fc.constant('accept' as const), who: fc.nat(1) }) },
  { weight: 4, arbitrary: fc.record({ what: fc.constant('start' as const), who: fc.nat(1) }) },
  { weight: 4, arbitrary: fc.record({ what: fc.constant('complete' as const), who: fc.nat(1), which: fc.nat(20) }) },
  {
    weight: 1,
    arbitrary: fc.record({ what: fc.constant('kill' as const), who: fc.nat(1), happen: fc.nat(), heard: fc.nat() }),
  },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

function play(steps: Step[]): void {
  hv.i32.set(clean);
  const guest = new FakeGuest({ hv, vcpus: 1, network: false });
  connectBlock(guest);
  const queue = new IoQueue(hv, guest.cpu.events, () => 1);
  const words: number[] = new Array(BLOCKS).fill(0);
  const model = [...words];
  const drivers = [0, 1].map((n) => new Driver(guest, queue, words, n === 0 ? 0 : 32));
  const expected: { id: number; reads?: number[] }[] = [];
  let produced = 0;

  const submit = ({ what, block, blocks }: Extract<Step, { block: number }>): void => {
    if (produced >= IDS) return;
    const id = produced;
    const refs = Array.from({ length: Math.min(blocks, BLOCKS - block) }, (_, i) => 1 + 2 * id + i);
    if (what === 'flush') putRequest(guest, produced++, { operation: abi.BLKIF_OP_FLUSH_DISKCACHE, id });
    else {
      const used = refs.slice(0, 2);
      const operation = what === 'read' ? abi.BLKIF_OP_READ : abi.BLKIF_OP_WRITE;
      const segments = used.map((ref) => [ref, 0, BLOCK] as [number, number, number]);
      if (what === 'write') {
        for (const [i, ref] of used.entries()) {
          model[block + i] = 100 + 3 * id + i;
          guest.put(dataOf(ref), model[block + i]);
        }
      }
      putRequest(guest, produced++, { operation, segments, sector: block * 8, id });
      if (what === 'read') expected.push({ id, reads: used.map((_, i) => model[block + i]) });
    }
    push(guest, produced);
  };

  for (const one of steps) {
    if ('block' in one) submit(one);
    else if (one.what === 'accept') drivers[one.who].accept();
    else if (one.what === 'start') drivers[one.who].startOne();
    else if (one.what === 'complete') drivers[one.who].complete(one.which);
    else drivers[one.who].kill(one.happen, one.heard);
  }
  for (let left = true; left; ) {
    drivers[0].accept();
    left = drivers.map((driver) => driver.startOne() || driver.complete(0)).includes(true);
  }
  expect(rspProd(guest)).toBe(produced);
  const answers = Array.from({ length: produced }, (_, n) => response(guest, n));
  expect(answers.map(({ id }) => id).sort((a, b) => a - b)).toEqual(Array.from({ length: produced }, (_, n) => n));
  expect(answers.every(({ status }) => status === 0)).toBe(true);
  expect(words).toEqual(model);
  for (const { id, reads = [] } of expected) {
    expect(reads.map((_, i) => guest.u32(dataOf(1 + 2 * id + i)))).toEqual(reads);
  }
}

it('answers each request once, in the ring’s order where they overlap, whenever a driver dies', () => {
  fc.assert(fc.property(fc.array(step, { minLength: 1, maxLength: 120 }), play), { numRuns: 1500 });
});
