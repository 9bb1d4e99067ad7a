/** The hypervisor's socket, and `virtax domains` by the command itself. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createConnection, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Hypervisor } from '#engines/para/hypervisor.js';
import type { HypervisorMemory } from '#engines/para/hypervisor-memory.js';
import { flowWord } from '#engines/para/hypervisor-memory.js';
import { Device, flowOf, REC } from '#engines/para/io-queue/records.js';
import { hypervisorPids, socketFolder, socketPath } from '#engines/para/management/folder.js';
import { serveManagement } from '#engines/para/management/server.js';
import { allowedCpus } from '#engines/process/affinity.js';
import { main } from '#harness/cli.js';
import { hostShell } from '#harness/context.js';
import { usageOf } from '#harness/domains/usage.js';
import { paraImage } from '#workloads/images.js';
import { VIRTAX } from '../support/run-command.js';
import { ParaGuest } from './para-guest.js';

/** Of no process: above the kernel's PID_MAX_LIMIT. */
const NO_PID = 5_000_000;
const before = process.env.XDG_RUNTIME_DIR;
const folder = mkdtempSync(join(tmpdir(), 'virtax-runtime-'));

let hypervisor: Hypervisor;
let server: Server;
let guest: ParaGuest;
beforeAll(async () => {
  process.env.XDG_RUNTIME_DIR = folder;
  mkdirSync(socketFolder(), { mode: 0o700 });
  writeFileSync(socketPath(NO_PID), '');
  hypervisor = new Hypervisor();
  server = await serveManagement(hypervisor);
  guest = await ParaGuest.start(hypervisor, {
    ...{ name: 'web', vcpus: 1, maxVcpus: 3, memoryBytes: 32 << 20, maxMemoryBytes: 64 << 20 },
  });
});
afterAll(() => {
  server.close();
  hypervisor.close();
  rmSync(folder, { recursive: true });
  if (before === undefined) delete process.env.XDG_RUNTIME_DIR;
  else process.env.XDG_RUNTIME_DIR = before;
});

const shell = hostShell();

/** The command in this process: each start of Node's takes long. */
async function virtax(...args: string[]) {
  let [stdout, stderr] = ['', ''];
  const out = {
    write: (text: string) => {
      stdout += text;
    },
    isTTY: false,
    columns: 200,
  };
  const err = {
    write: (text: string) => {
      stderr += text;
    },
    isTTY: false,
    columns: 200,
  };
  const context = async () => ({ ...(await shell.context()), out, err });
  return { status: await main(['domains', ...args], { out, err, context }), stdout, stderr };
}

/** Sends lines as they are, and reads as many answers. */
async function converse(...lines: string[]): Promise<unknown[]> {
  const socket = createConnection(socketPath(process.pid));
  socket.write(lines.map((line) => `${line}\n`).join(''));
  const answers: unknown[] = [];
  for await (const line of createInterface({ input: socket })) {
    answers.push(JSON.parse(line));
    if (answers.length === lines.length) break;
  }
  socket.destroy();
  return answers;
}

describe('the socket', () => {
  it('is its user’s alone, and dead ones are removed', () => {
    expect(statSync(socketPath(process.pid)).mode & 0o777).toBe(0o600);
    expect(statSync(socketFolder()).mode & 0o777).toBe(0o700);
    expect(existsSync(socketPath(NO_PID))).toBe(false);
  });

  it('answers what is no request, and lives on', async () => {
    const lines = ['', '{', '[]', '{"id":1,"command":"fly","domain":1}', '{"id":2,"command":"pause","domain":-1}'];
    for (const answer of await converse(...lines)) expect(answer).toMatchObject({ id: 0, ok: false });
    expect(await converse('{"id":7,"command":"pause","domain":63}')).toEqual([
      { id: 7, ok: false, error: 'there is no domain 63' },
    ]);
    expect(await converse('{"id":8,"command":"list"}')).toMatchObject([{ id: 8, ok: true }]);
  });

  it('ends a conversation without end of line', async () => {
    const socket = createConnection(socketPath(process.pid));
    socket.on('error', () => {});
    socket.write('x'.repeat(100_000));
    await once(socket, 'close');
    expect(hypervisorPids()).toContain(process.pid);
  });
});

describe('virtax domains', () => {
  const id = () => `${process.pid}.${guest.domain.id}`;
  const listed = async () => (JSON.parse((await virtax('--json')).stdout) as Record<string, unknown>[])[0];

  it('lists, pauses, resumes, and changes vCPUs and memory', async () => {
    const table = (await virtax()).stdout;
    expect(table).toContain(id());
    expect(table).toMatch(/ web .* blocked .* 1 of 3 .* 32 MiB of 64 MiB /);
    expect((await virtax('vcpus', 'web', '2')).stderr).toBe('');
    expect((await virtax('memory', id(), '48M')).stderr).toBe('');
    expect((await virtax('weight', 'web', '128')).stderr).toBe('');
    expect((await virtax('pin', 'web', String(allowedCpus()[0]))).stderr).toBe('');
    expect((await virtax('pin', 'web', '1023')).stderr).toMatch(/pin web: CPU 1023 is not for this process/);
    const cap = await virtax('cap', 'web', '50'); // refused with the reason where there are no control groups
    expect(cap.stderr).toMatch(cap.status === 0 ? /^$/ : /cap web: the host enforces no cap: .*control group/);
    const capPercent = cap.status === 0 ? 50 : null;
    expect((await virtax()).stdout).toContain(`128${capPercent ? ', cap 50 %' : ''}, on ${allowedCpus()[0]} `);
    expect((await virtax('pause', 'web')).status).toBe(0);
    const paused = { id: id(), state: 'paused', vcpus: 2, memoryBytes: 48 << 20, weight: 128, capPercent };
    expect(await listed()).toMatchObject(paused);
    const refused = await virtax('vcpus', 'web', '1');
    expect(refused.stderr).toMatch(/vcpus web: the domain is paused.*resume it first/);
    expect(refused.status).toBe(1);
    expect((await virtax('resume', 'web')).status).toBe(0);
    expect(await listed()).toMatchObject({ state: 'blocked' });
  });

  it('puts an I/O policy into force, and says where it is wrong', async () => {
    const file = join(folder, 'policy.json');
    writeFileSync(file, '{ "order": "wfq", "domains": { "web": { "weight": 400, "vif": { "opsPerSecond": 5 } } } }');
    expect(await virtax('policy', file)).toMatchObject({ status: 0, stderr: '' });
    const { hv } = hypervisor as unknown as { hv: HypervisorMemory };
    const [vbd, vif] = [Device.vbd, Device.vif].map((device) => flowWord(flowOf(guest.domain.id, device)) / 2);
    expect([hv.f64[vbd + REC.weight], hv.f64[vif + REC.weight]]).toEqual([400, 400]);
    expect([hv.f64[vbd + REC.opsPerSecond], hv.f64[vif + REC.opsPerSecond]]).toEqual([0, 5]);
    writeFileSync(file, '{ "order": "lifo", "domains": { "web": { "wieght": 4 } } }');
    const { status, stderr } = await virtax('policy', file);
    expect(status).toBe(2);
    expect(stderr).toMatch(/policy.json is not a policy:\n {2}order: .*fifo.*\n {2}domains.web: .*wieght/);
    const later = await ParaGuest.start(hypervisor, { name: 'mail' });
    expect(hv.f64[flowWord(flowOf(later.domain.id, Device.vbd)) / 2 + REC.weight]).toBe(100);
    later.domain.destroy();
    await later.ended();
    writeFileSync(file, '{ "order": "fifo" }');
    expect((await virtax('policy', file)).status).toBe(0);
  });

  it('restarts the block driver, and counts that', async () => {
    const disk = await ParaGuest.start(hypervisor, { name: 'disk', disk: { kind: 'memory', bytes: 1 << 20 } });
    const generation = async () =>
      (JSON.parse((await virtax('--json')).stdout) as { name: string; driverGeneration: number | null }[]).map(
        ({ name, driverGeneration }) => [name, driverGeneration],
      );
    expect(await generation()).toEqual([
      ['web', null],
      ['disk', 1],
    ]);
    expect(await virtax('restart-driver')).toMatchObject({ status: 0, stderr: '' });
    expect(await generation()).toContainEqual(['disk', 2]);
    disk.domain.destroy();
    await disk.ended();
  });

  it('a name that several have must be an ID', async () => {
    const other = await ParaGuest.start(hypervisor, { name: 'web' });
    const { stderr, status } = await virtax('pause', 'web');
    expect(stderr).toMatch(/name of several: take the ID, of \d+\.\d+ \(web\), \d+\.\d+ \(web\)/);
    expect(status).toBe(2);
    expect((await virtax('destroy', `${process.pid}.${other.domain.id}`)).status).toBe(0);
    expect(await other.ended()).toBe('was destroyed');
  });

  it.each<[string, string[], RegExp]>([
    ['a domain that is not there', ['pause', 'mail'], /no domain mail; there are \d+\.\d+ \(web\)/],
    ['no domain', ['pause'], /pause what\?/],
    ['an action that is none', ['fly', 'web'], /fly.*pause/s],
    ['vCPUs without a number', ['vcpus', 'web'], /virtax domains vcpus DOMAIN 2/],
    ['a size that is none', ['memory', 'web', 'lots'], /lots.*64M/],
    ['a weight that is none', ['weight', 'web', '0'], /weight.*1 to 65535/],
    ['CPUs that are none', ['pin', 'web', 'all'], /all is no list of CPUs; write 0-1,3/],
    ['no policy', ['policy'], /virtax domains policy policy.json/],
    ['a policy that is not there', ['policy', '/nowhere/p.json'], /policy file \/nowhere\/p.json: .*no such file/],
    ['a value too many', ['pause', 'web', '3'], /domain alone/],
    ['a domain for the driver', ['restart-driver', 'web'], /all domains have the same/],
    ['--json of an action', ['pause', 'web', '--json'], /--json/],
  ])('%s: status 2 and a message', async (_name, args, message) => {
    const { status, stderr } = await virtax(...args);
    expect(stderr).toMatch(message);
    expect(status).toBe(2);
  });

  it('more vCPUs than it can have: status 1, and how many it can', async () => {
    const { status, stderr } = await virtax('vcpus', 'web', '4');
    expect(stderr).toMatch(/can have 1 to 3/);
    expect(status).toBe(1);
  });

  it('a folder that others can write in is not trusted', async () => {
    chmodSync(socketFolder(), 0o777);
    const { status, stderr } = await virtax();
    chmodSync(socketFolder(), 0o700);
    expect(stderr).toMatch(/chmod 700/);
    expect(status).toBe(2);
  });

  it('shuts down in order; then there is none', async () => {
    expect((await virtax('shutdown', 'web')).status).toBe(0);
    expect(await guest.ended()).toBe('powered itself off');
    expect((await virtax()).stdout).toMatch(/No domains run.*virtax run --engine para/);
  });

  it('sees a domain of virtax run, whose socket goes with it', async () => {
    const command = spawn(process.execPath, [VIRTAX, 'run', '--engine', 'para', '--kernel', paraImage().path]);
    await once(command.stdout, 'data');
    const there = { name: 'virtax-para', state: 'blocked', vcpus: 1 };
    await expect.poll(listed, { timeout: 30_000 }).toMatchObject(there);
    expect((await virtax('shutdown', 'virtax-para')).status).toBe(0);
    expect(await once(command, 'close')).toEqual([0, null]);
    expect(readdirSync(socketFolder())).toEqual([`hv-${process.pid}.sock`]);
  });
});

describe('rates', () => {
  const summary = {
    ...{ domain: 1, name: 'a', state: 'running' as const, vcpus: 1, maxVcpus: 1, memoryBytes: 1, maxMemoryBytes: 1 },
    ...{ cpuSeconds: 1, stealSeconds: null, driverGeneration: 1, blockRequests: 100, blockBytes: 1000, netFrames: 5 },
    ...{ weight: 256, capPercent: null, cpus: null },
    ...{ netBytes: 500, blockWaitSeconds: 1, netWaitSeconds: 0 },
  };

  it('are differences by time; unknown at first, and where the host does not tell', () => {
    const first = { seconds: 10, domains: [summary] };
    const now = {
      seconds: 12,
      domains: [{ ...summary, cpuSeconds: 2.5, blockRequests: 300, blockBytes: 5000, blockWaitSeconds: 1.5 }],
    };
    expect(usageOf(9, first)[0]).toMatchObject({ id: '9.1', cpuPercent: null, blockRequestsPerSecond: null });
    expect(usageOf(9, now, first)[0]).toMatchObject({
      ...{ cpuPercent: 75, stealPercent: null, blockRequestsPerSecond: 100, blockBytesPerSecond: 2000 },
      ...{ netFramesPerSecond: 0, netBytesPerSecond: 0, blockWaitMs: 2.5 },
    });
  });
});
