import { Worker } from 'node:worker_threads';
import { expect, it } from 'vitest';
import { buildCpuModule, HART_STATE_BYTES, RAM_BASE } from '#engines/full/cpu/hart.js';
import { addi, bne, hang, ld, li, rType } from './support/encode.js';

const HARTS = 3;
const ROUNDS = 60_000;
const RAM_BYTES = 1 << 20;
const STATE_BASE = 0x1_0000;
const RAM_OFFSET = STATE_BASE + HARTS * HART_STATE_BYTES;
const PAGES = (RAM_OFFSET + RAM_BYTES) / 65536;
const COUNTERS = RAM_BASE + 0x8000;

/** Runs one hart on its own thread until it hangs in the last instruction. */
const THREAD = `
  const { parentPort, workerData } = require('node:worker_threads');
  import(workerData.url).then(({ Hart }) => {
    const bus = { read: () => NaN, write: () => false, time: () => 0 };
    const hart = new Hart(workerData.module, workerData.memory, workerData.config, bus);
    hart.reset(${RAM_BASE}, workerData.config.hartId, 0);
    while (hart.state.pc !== workerData.end) hart.run(10000);
    parentPort.postMessage('done');
  });
`;

const amoadd = rType(0x2f, 3, 0x00);
const amoaddw = rType(0x2f, 2, 0x00);
const lr = rType(0x2f, 3, 0x08);
const sc = rType(0x2f, 3, 0x0c);

it('AMOs and LR/SC of several harts lose nothing', async () => {
  const memory = new WebAssembly.Memory({ initial: PAGES, maximum: PAGES, shared: true });
  const module = buildCpuModule({ maximumPages: PAGES });
  const view = new DataView(memory.buffer, RAM_OFFSET);
  const start = [
    ...li(10, BigInt(COUNTERS)),
    addi(11, 10, 64),
    addi(14, 10, 128),
    addi(15, 10, 192),
    addi(7, 0, HARTS),
    ...li(5, BigInt(ROUNDS)),
    addi(6, 0, 1),
  ];
  // All start together.
  const barrier = [amoadd(0, 15, 6), ld(16, 15, 0), bne(16, 7, -4)];
  const body = [
    amoadd(0, 10, 6),
    lr(12, 11, 0),
    addi(12, 12, 1),
    sc(13, 11, 12),
    bne(13, 0, -12),
    amoaddw(0, 14, 6),
    addi(5, 5, -1),
  ];
  const words = [...start, ...barrier, ...body, bne(5, 0, -4 * body.length), hang];
  words.forEach((insn, index) => {
    view.setUint32(index * 4, insn >>> 0, true);
  });
  const end = BigInt(RAM_BASE + (words.length - 1) * 4);
  const url = new URL('../../../dist/engines/full/cpu/hart.js', import.meta.url).href;
  const threads = Array.from({ length: HARTS }, (_, hartId) => {
    const config = {
      hartId,
      stateBase: STATE_BASE + hartId * HART_STATE_BYTES,
      ramOffset: RAM_OFFSET,
      ramBytes: RAM_BYTES,
    };
    const worker = new Worker(THREAD, { eval: true, workerData: { url, module, memory, config, end } });
    return new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
  });
  await Promise.all(threads);
  const total = BigInt(HARTS * ROUNDS);
  const counter = (index: number): bigint => view.getBigUint64(COUNTERS - RAM_BASE + 64 * index, true);
  expect([counter(0), counter(1), counter(2)]).toEqual([total, total, total]);
});
