#!/usr/bin/env node
/**
 * Figures of the host side of I/O, each beside its native peer where that is installed. Not a test: it asserts nothing.
 *
 *     npm run build && node test/backends/measure.mjs [--file PATH] [--seconds N]
 *
 * PATH: a file of at least 64 MiB on the disk to be measured; one is made in the system's temporary folder otherwise.
 * VIRTAX_IO=workers measures the fallback.
 */
import { spawn, spawnSync } from 'node:child_process';
import { randomFillSync } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';
import { nowNs } from '#engines/backends/clock.js';
import { createIoContext } from '#engines/backends/io-context.js';
import { createKickArea, KickArea } from '#engines/backends/kick.js';
import { createFlowMemory, createUserNetwork } from '#engines/backends/user-network.js';

const PAGE = 4096;
const { values } = parseArgs({ options: { file: { type: 'string' }, seconds: { type: 'string', default: '2' } } });
const seconds = Number(values.seconds);
const folder = mkdtempSync(join(tmpdir(), 'virtax-measure-'));
const guest = fileURLToPath(new URL(`../../workloads/images/linux-${process.arch}/virtax-guest`, import.meta.url));

const say = (what, figure) => console.log(`${what.padEnd(58)} ${figure}`);
const quantile = (sorted, q) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))];
const makeContext = (pollUs = 0) => createIoContext(createKickArea(1), 0, { waiting: { pollUs } });

/** Nanoseconds of one call, the least of several rounds. */
function costOf(call, count = 200_000) {
  let least = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 7; round++) {
    const start = process.hrtime.bigint();
    for (let i = 0; i < count; i++) call();
    least = Math.min(least, Number(process.hrtime.bigint() - start) / count);
  }
  return `${least.toFixed(1)} ns`;
}

function measureCalls() {
  const io = makeContext();
  say(
    'poll() with nothing to do',
    costOf(() => io.poll()),
  );
  say(
    'submit() with nothing to do',
    costOf(() => io.submit()),
  );
  say(
    'nowNs()',
    costOf(() => nowNs()),
  );
  say(
    'process.hrtime.bigint()',
    costOf(() => process.hrtime.bigint()),
  );
  const kicks = new KickArea(createKickArea(1));
  say(
    'kick() of a thread that is awake',
    costOf(() => kicks.kick(0)),
  );
  const overshoot = [];
  for (let i = 0; i < 300; i++) {
    const start = nowNs();
    io.wait(200e3);
    overshoot.push(nowNs() - start - 200e3);
  }
  overshoot.sort((a, b) => a - b);
  say('wait(200 µs) returns late by, median', `${(quantile(overshoot, 0.5) / 1e3).toFixed(1)} µs`);
  io.dispose();
}

async function measureKick(pollUs) {
  const rounds = 2000;
  const area = createKickArea(1);
  const shared = new SharedArrayBuffer(16);
  const phase = new Int32Array(shared, 0, 1);
  const wokenAt = new Float64Array(shared, 8, 1);
  const workerData = { area, slot: 0, shared, rounds, pollUs };
  const worker = new Worker(new URL('./fixtures/kicked.mjs', import.meta.url), { workerData });
  const kicks = new KickArea(area);
  const latency = [];
  for (let round = 0; round < rounds; round++) {
    while (Atomics.load(phase, 0) < round * 2 + 1) Atomics.wait(phase, 0, round * 2, 100);
    Atomics.wait(phase, 0, round * 2 + 1, 0.1); // long enough for it to sleep
    const start = nowNs();
    kicks.kick(0);
    while (Atomics.load(phase, 0) < round * 2 + 2);
    latency.push(wokenAt[0] - start);
  }
  await once(worker, 'exit');
  latency.sort((a, b) => a - b);
  const figure = [0.1, 0.5, 0.9].map((q) => (quantile(latency, q) / 1e3).toFixed(1)).join(' / ');
  say(`kick to a thread asleep (polls ${pollUs} µs), 10/50/90 %`, `${figure} µs`);
}

function randread(path, depth) {
  const io = makeContext();
  const memory = io.addMemory(new WebAssembly.Memory({ initial: 16, maximum: 16, shared: true }));
  const disk = io.openBlock(path, { direct: true, readonly: true });
  const pages = Math.floor(io.blockInfo(disk).bytes / PAGE);
  let done = 0;
  let inFlight = depth;
  const end = nowNs() + seconds * 1e9;
  const issue = (i) => io.read(disk, memory, i * PAGE, PAGE, Math.floor(Math.random() * pages) * PAGE, next[i]);
  const next = Array.from({ length: depth }, (_, i) => (result) => {
    if (result !== PAGE) throw new Error(`read: ${result}`);
    done++;
    if (nowNs() < end) issue(i);
    else inFlight--;
  });
  const start = nowNs();
  for (let i = 0; i < depth; i++) issue(i);
  while (inFlight > 0) io.wait(1e9);
  const rate = (done / (nowNs() - start)) * 1e9;
  const how = `${io.method}, ${io.blockInfo(disk).direct ? 'O_DIRECT' : 'buffered'}`;
  const syscalls = (io.counters.syscalls / done).toFixed(2);
  say(`randread 4 KiB, depth ${depth} (${how})`, `${rate.toFixed(0)} /s, ${syscalls} system calls each`);
  io.dispose();
}

function fio(path, depth) {
  const args = ['--name=x', `--filename=${path}`, '--rw=randread', '--bs=4k', '--direct=1', '--ioengine=io_uring'];
  args.push(`--iodepth=${depth}`, `--runtime=${seconds}`, '--time_based', '--readonly', '--output-format=json');
  const { status, stdout } = spawnSync('fio', args, { encoding: 'utf8' });
  const rate = status === 0 ? `${JSON.parse(stdout).jobs[0].read.iops.toFixed(0)} /s` : 'not installed';
  say(`  the same by fio`, rate);
}

/** A UDP frame from the guest, built by hand; no UDP checksum (RFC 768 allows none). */
function frameTo(port, data) {
  const frame = Buffer.alloc(42 + data.length);
  frame.write(`52550a000202525400123456080045000000000100004011`, 'hex');
  frame.writeUInt16BE(28 + data.length, 16);
  frame.write('0a00020f0a000202', 26, 'hex');
  let sum = 0;
  for (let at = 14; at < 34; at += 2) sum += frame.readUInt16BE(at);
  frame.writeUInt16BE(0xffff - ((sum & 0xffff) + (sum >>> 16)), 24);
  for (const [at, value] of [
    [34, 5000],
    [36, port],
    [38, 8 + data.length],
  ])
    frame.writeUInt16BE(value, at);
  frame.set(data, 42);
  return frame;
}

async function measureNetwork(pollUs) {
  const peer = spawn(guest, ['peer'], { stdio: ['pipe', 'pipe', 'inherit'] });
  const [line] = await once(peer.stdout, 'data');
  const port = Number(/port=(\d+)/.exec(String(line))[1]);
  const io = makeContext(pollUs);
  const network = createUserNetwork(io, createFlowMemory());
  let received = 0;
  network.port.onReceive(() => ++received > 0);
  const ram = new Uint8Array(new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true }).buffer);
  const frame = frameTo(port, Buffer.alloc(1));
  ram.set(frame);
  const end = nowNs() + seconds * 1e9;
  const start = nowNs();
  let lost = 0;
  for (let sent = 0; nowNs() < end; sent++) {
    network.port.transmit(ram, 0, frame.length);
    network.port.flush();
    for (let tries = 0; received + lost <= sent; tries++) {
      io.wait(1e8);
      if (tries > 10) lost++;
    }
  }
  const each = (nowNs() - start) / received / 1e3;
  say(
    `UDP round trip through the switch (polls ${pollUs} µs)`,
    `${each.toFixed(1)} µs${lost > 0 ? `, ${lost} lost` : ''}`,
  );
  stream(network, io, ram, frameTo(port, Buffer.alloc(1472)));
  network.dispose();
  io.dispose();
  peer.stdin.end();
  await once(peer, 'exit');
}

function stream(network, io, ram, frame) {
  ram.set(frame);
  let sent = 0;
  const before = process.cpuUsage();
  const start = nowNs();
  for (const end = start + seconds * 1e9; nowNs() < end; sent += 32) {
    for (let i = 0; i < 32; i++) network.port.transmit(ram, 0, frame.length);
    network.port.flush();
    io.poll();
  }
  const rate = (sent / (nowNs() - start)) * 1e9;
  const { user, system } = process.cpuUsage(before);
  say(
    'UDP stream, 1472 bytes, bursts of 32',
    `${rate.toFixed(0)} /s, ${((user + system) / sent).toFixed(2)} µs of CPU each`,
  );
}

try {
  const path = values.file ?? join(folder, 'disk');
  if (values.file === undefined)
    for (let i = 0; i < 64; i++) writeFileSync(path, randomFillSync(Buffer.alloc(1 << 20)), { flag: 'a', flush: true });
  measureCalls();
  for (const pollUs of [0, 50]) await measureKick(pollUs);
  for (const depth of [1, 32]) {
    randread(path, depth);
    fio(path, depth);
  }
  if (existsSync(guest)) for (const pollUs of [0, 50]) await measureNetwork(pollUs);
} finally {
  rmSync(folder, { recursive: true });
}
