/** Domains in a hypervisor that runs already: `virtax run --hypervisor`. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createConnection, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Hypervisor } from '#engines/para/hypervisor.js';
import { type HypervisorMemory, POOL } from '#engines/para/hypervisor-memory.js';
import { socketFolder, socketPath } from '#engines/para/management/folder.js';
import { serveManagement } from '#engines/para/management/server.js';
import { OUTPUT_WINDOW } from '#engines/para/messages.js';
import { run } from '#engines/para/run.js';
import type { RunRequest } from '#engines/run.js';
import { paraImage } from '#workloads/images.js';
import { runCommand, VIRTAX } from '../support/run-command.js';
import { assemble, type GuestBody, guestFile, op, say } from './wasm-guest.js';

const before = process.env.XDG_RUNTIME_DIR;
const folder = mkdtempSync(join(tmpdir(), 'virtax-runtime-'));
const BANNER = 'virtax-guest';
const image = paraImage().path;
const ME = String(process.pid);

let hypervisor: Hypervisor;
let server: Server;
beforeAll(async () => {
  process.env.XDG_RUNTIME_DIR = folder;
  mkdirSync(socketFolder(), { mode: 0o700 });
  hypervisor = new Hypervisor();
  server = await serveManagement(hypervisor, { open: true });
});
afterAll(() => {
  server.close();
  hypervisor.close();
  rmSync(folder, { recursive: true });
  if (before === undefined) delete process.env.XDG_RUNTIME_DIR;
  else process.env.XDG_RUNTIME_DIR = before;
});

const names = () => hypervisor.running.map(({ name }) => name).sort();
const gone = () => expect.poll(names, { timeout: 10_000 }).toEqual([]);

/** What the command does, in this process. */
async function attach(request: Partial<RunRequest> = {}) {
  const console = { text: '' };
  const full = { append: '', memoryBytes: 32 << 20, vcpus: 1, disks: [], noReboot: false, trace: [], kernel: image };
  const machine = await run({ ...full, hypervisor: ME, ...request }, (bytes, written) => {
    console.text += Buffer.from(bytes).toString('latin1');
    written();
  });
  return { machine, console, type: (text: string) => machine.input(Buffer.from(text)) };
}

const says = (guest: { console: { text: string } }, text: string) =>
  expect.poll(() => guest.console.text, { timeout: 10_000 }).toContain(text);

describe('virtax run --hypervisor', () => {
  it('gives two domains a console each; one is destroyed while the other lives on', async () => {
    const [a, b] = await Promise.all([attach({ name: 'a' }), attach({ name: 'b', hypervisor: 'auto' })]);
    expect(names()).toEqual(['a', 'b']);
    expect(hypervisor.running.map(({ id }) => `${ME}.${id}`).sort()).toEqual([a.machine.id, b.machine.id].sort());
    await Promise.all([says(a, BANNER), says(b, BANNER)]);
    b.type('list\n');
    await says(b, 'cpu/sieve');
    expect(a.console.text).not.toContain('cpu/sieve');
    hypervisor.running.find(({ name }) => name === 'a')?.destroy();
    expect(await a.machine.ended).toEqual({ status: 0 });
    await a.machine.stop();
    expect(names()).toEqual(['b']);
    b.type('poweroff\n');
    expect(await b.machine.ended).toEqual({ status: 0 });
    expect(b.machine.counters().hypercall_console_io).toBeGreaterThan(0);
    await b.machine.stop();
  });

  it('stop() ends the domain before it is fulfilled', async () => {
    const { machine } = await attach();
    await machine.stop();
    expect(names()).toEqual([]);
  });

  it('carries any bytes; finds the guest by a relative path, and as it is now', async () => {
    const line = `${'\x01\x80\xff"\\'.repeat(20)}\n`;
    const { write } = say(line);
    const body: GuestBody = {
      data: { address: 8192, bytes: Buffer.from(line, 'latin1') },
      start: [...Array.from({ length: 400 }, () => write).flat(), ...op.hypercall(29, 2, 0)],
    };
    const file = guestFile(body);
    const { machine, console } = await attach({ kernel: relative(process.cwd(), file), memoryBytes: 1 << 20 });
    expect(await machine.ended).toEqual({ status: 0 });
    expect(console.text).toBe(line.repeat(400));
    await machine.stop();
    writeFileSync(file, assemble({ start: op.unreachable }));
    const second = await attach({ kernel: file, memoryBytes: 1 << 20 });
    expect((await second.machine.ended).problem).toMatch(/the guest crashed: vCPU 0 trapped: unreachable/);
    await second.machine.stop();
    rmSync(dirname(file), { recursive: true });
  });

  it('lets the guest write on when the reader has taken what it wrote', async () => {
    const guest = await attach();
    await says(guest, BANNER);
    const count = () => guest.console.text.split('cpu/sieve').length - 1;
    guest.type('list\n'.repeat(200));
    await expect.poll(count, { timeout: 10_000 }).toBe(200);
    expect(guest.console.text.length).toBeGreaterThan(OUTPUT_WINDOW);
    await guest.machine.stop();
  });

  it('a detached domain goes on by itself, and reboots', async () => {
    const { machine } = await attach({ name: 'alone', detach: true });
    await machine.stop();
    expect(names()).toEqual(['alone']);
    expect(hypervisor.residents.count).toBe(1);
    const [domain] = hypervisor.running;
    expect(machine.id).toBe(`${ME}.${domain.id}`);
    domain.destroy();
    await gone();
    expect(hypervisor.residents.count).toBe(0);
    const { data, write } = say('again\n');
    const file = guestFile({ data, start: [...write, ...op.hypercall(29, 2, 1)] } as GuestBody);
    const rebooting = await attach({ kernel: file, memoryBytes: 1 << 20, detach: true });
    await rebooting.machine.stop();
    const seen = new Set<unknown>();
    await expect
      .poll(() => hypervisor.running.map((each) => seen.add(each)) && seen.size, { timeout: 10_000 })
      .toBeGreaterThan(2);
    writeFileSync(file, assemble({ start: op.hypercall(29, 2, 0) }));
    await gone();
    rmSync(dirname(file), { recursive: true });
  });

  it.each<[string, Partial<RunRequest>, RegExp]>([
    ['a hypervisor that is not there', { hypervisor: '4999999' }, /--hypervisor 4999999: take the one that runs: \d+/],
    ['a policy', { policy: 'p.json' }, /virtax domains policy p.json/],
    ['an image that is not there', { kernel: '/nonexistent' }, /image \/nonexistent cannot be loaded/],
    ['arguments that are too long', { append: 'x'.repeat(5000) }, /bootargs: more than \d+ bytes/],
    ['more memory than there can be', { memoryBytes: 2 ** 36 }, /64 KiB to \d+ MiB/],
    [
      'a disk that is not there',
      { disks: [{ path: 'no.img', readonly: false, media: 'disk' }] },
      /no.img is not there/,
    ],
  ])('refuses %s', async (_name, request, message) => {
    await expect(attach(request)).rejects.toThrow(message);
    await expect.poll(() => hypervisor.residents.count, { timeout: 10_000 }).toBe(0);
  });

  it('refuses a domain for which the pool or the table has no room', async () => {
    const { hv } = hypervisor as unknown as { hv: HypervisorMemory };
    const total = hv.i32[POOL.total];
    hv.i32[POOL.total] = hv.i32[POOL.taken] + 1;
    await expect(attach()).rejects.toThrow(/pool has 0 MiB left/);
    hv.i32[POOL.total] = total;
    const { domains } = hypervisor as unknown as { domains: unknown[] };
    const free = domains.map((each) => each === undefined);
    const stub = { running: true, tick: () => {} };
    for (const [id, isFree] of free.entries()) if (isFree) domains[id] = stub;
    await expect(attach()).rejects.toThrow(/there are 63 domains already/);
    for (const [id, isFree] of free.entries()) if (isFree) domains[id] = undefined;
  });
});

describe('the socket', () => {
  const config = { name: 'x', vcpus: 1, memoryBytes: 32 << 20, image, bootargs: '' };
  const create = (key: number, change: object = {}) => ({ type: 'create', key, config: { ...config, ...change } });

  /** Sends lines, and reads until `count` have come. */
  async function converse(lines: object[], count: number): Promise<{ type?: string; ok?: boolean }[]> {
    const socket = createConnection(socketPath(process.pid));
    socket.write(lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
    const answers: { type?: string; ok?: boolean }[] = [];
    for await (const line of createInterface({ input: socket })) {
      if (answers.push(JSON.parse(line)) === count) break;
    }
    socket.destroy();
    return answers;
  }

  it.each<[string, object]>([
    ['a type that is none', { type: 'fly', key: 0 }],
    ['a type that is no text', { type: {}, key: 0 }],
    ['a domain without configuration', { type: 'create', key: 0 }],
    ['a relative path', create(0, { image: 'guest.wasm' })],
    ['a path with a NUL', create(0, { image: '/x\0y' })],
    ['no vCPUs', create(0, { vcpus: 0 })],
    ['memory that is no number', create(0, { memoryBytes: '1G' })],
    ['a window of its own', create(0, { outputWindow: 1e9 })],
    ['CPUs of the host', create(0, { hostCpus: [0] })],
    ['a disk that is none', create(0, { disk: { path: '/x', kind: 'null', bytes: 512 } })],
    ['an address that is none', create(0, { mac: 'xyzzy' })],
    ['output taken backwards', { type: 'taken', key: 0, bytes: -1 }],
    ['a policy', { type: 'policy', key: 0, policy: { order: 'fifo' } }],
    ['its leave', { type: 'leave', key: 0 }],
  ])('answers %s with what is wrong, and makes nothing', async (_name, line) => {
    expect(await converse([line], 1)).toMatchObject([{ id: 0, ok: false, error: /^not a request: / }]);
    expect(names()).toEqual([]);
  });

  it('is not confused by messages about domains that are not there, or twice the same key', async () => {
    const none = [1, 2].flatMap((key) => [
      { type: 'input', key, text: 'x' },
      { type: 'taken', key, bytes: 5 },
      { type: 'destroy', key },
    ]);
    const answers = await converse([...none, create(1), create(1), { type: 'taken', key: 1, bytes: 2 ** 50 }], 2);
    expect(answers.map(({ type }) => type)).toEqual(['refused', 'created']);
    await gone(); // the conversation was closed
    expect(hypervisor.residents.count).toBe(0);
  });

  it('a conversation that closes while its domain is built leaves none', async () => {
    const socket = createConnection(socketPath(process.pid));
    socket.end(`${JSON.stringify(create(0))}\n`);
    socket.resume();
    await once(socket, 'close');
    await gone();
    await expect.poll(() => hypervisor.residents.count, { timeout: 10_000 }).toBe(0);
  });

  it('of a measurement starts no domains for others', async () => {
    server.close();
    server = await serveManagement(hypervisor);
    await expect(attach()).rejects.toThrow(/a measurement's.*take one of virtax run/);
    server.close();
    server = await serveManagement(hypervisor, { open: true });
  });
});

describe('the commands', () => {
  /** One whose folder has no other hypervisor. */
  const own = join(folder, 'own');
  const start = (...args: string[]) => {
    const command = spawn(process.execPath, [VIRTAX, 'run', '--engine', 'para', '--kernel', image, ...args], {
      env: { ...process.env, XDG_RUNTIME_DIR: own },
    });
    const said = { stdout: '', stderr: '' };
    command.stdout.on('data', (chunk: Buffer) => {
      said.stdout += chunk.toString();
    });
    command.stderr.on('data', (chunk: Buffer) => {
      said.stderr += chunk.toString();
    });
    const closed = once(command, 'close') as Promise<[number | null]>;
    return { command, said, closed };
  };
  const up = ({ said }: ReturnType<typeof start>) =>
    expect.poll(() => said.stdout, { timeout: 20_000 }).toContain(BANNER);

  it('the first one stays until the last domain has ended; a killed one takes its domain along', async () => {
    mkdirSync(own, { mode: 0o700 });
    const first = start();
    await up(first);
    const [second, third, detached] = [
      start('--hypervisor', 'auto'),
      start('--hypervisor', 'auto'),
      start('--hypervisor', 'auto', '--detach'),
    ];
    await Promise.all([up(second), up(third)]);
    expect((await detached.closed)[0]).toBe(0);
    const id = detached.said.stdout.trim();
    expect(id).toMatch(/^\d+\.[1-4]$/);
    first.command.stdin.write('\x01x');
    await expect
      .poll(() => first.said.stderr, { timeout: 10_000 })
      .toMatch(/hypervisor \(process \d+\) goes on until 3 other domains have ended too/);
    second.command.kill('SIGKILL');
    await second.closed;
    third.command.stdin.write('list\npoweroff\n');
    expect((await third.closed)[0]).toBe(0);
    expect(third.said).toMatchObject({ stdout: expect.stringContaining('cpu/sieve'), stderr: '' });
    expect(first.command.exitCode).toBe(null);
    const destroy = spawn(process.execPath, [VIRTAX, 'domains', 'destroy', id], {
      env: { ...process.env, XDG_RUNTIME_DIR: own },
    });
    expect(await once(destroy, 'close')).toEqual([0, null]);
    expect((await first.closed)[0]).toBe(0);
  });

  it.each<[string, string[], RegExp]>([
    ['an ID that is none', ['--hypervisor', '4711.1'], /--hypervisor 4711.1: write auto/],
    ['--detach alone', ['--detach'], /--detach: .*--hypervisor/],
    ['counters of a detached domain', ['--hypervisor', 'auto', '--detach', '--counters'], /--counters/],
    ['another engine', ['--engine', 'full', '--hypervisor', 'auto'], /leave out --hypervisor/],
  ])('%s: status 2 and a message', async (_name, args, message) => {
    const { status, stderr } = await runCommand(['--engine', 'para', '--kernel', image, ...args], { prompt: BANNER });
    expect(stderr).toMatch(message);
    expect(status).toBe(2);
  });
});
