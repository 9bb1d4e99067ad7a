/** `virtax run --engine para`, by the command itself. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { paraImage } from '#workloads/images.js';
import { packageRoot } from '#workloads/package-root.js';
import { alive } from '../support/alive.js';
import { runCommand, VIRTAX } from '../support/run-command.js';
import { type GuestBody, guestFile, op, say } from './wasm-guest.js';

const MINIMAL = join(packageRoot(), 'workloads/images/wasm32/minimal.wasm');
const BANNER = 'virtax-guest';
const folder = mkdtempSync(join(tmpdir(), 'virtax-run-'));
const disk = join(folder, 'disk');
const odd = join(folder, 'odd');
const files: string[] = [];

beforeAll(() => {
  const bytes = Buffer.alloc(65536);
  bytes.write('read from disk!', 512);
  writeFileSync(disk, bytes);
  writeFileSync(odd, Buffer.alloc(700));
});
afterAll(() => {
  for (const file of [disk, ...files]) rmSync(dirname(file), { recursive: true });
});

function guest(body: GuestBody): string {
  const file = guestFile(body);
  files.push(file);
  return file;
}

/** `input` is typed when the banner has come. */
const run = (args: string[], input = '') => runCommand(['--engine', 'para', ...args], { prompt: BANNER, input });

const shutdown = (reason: number): number[] => op.hypercall(29, 2, reason);

describe('virtax run --engine para', () => {
  it('starts the minimal guest with a disk, and ends with its power-off', async () => {
    const { status, stdout, stderr } = await run(['--kernel', MINIMAL, '--memory', '1M', '--disk', disk]);
    expect(stderr).toBe('');
    expect(stdout).toMatch(/^ABI 2\nKiB 1024\n[\s\S]*the disk answers\nread from disk!$/);
    expect(status).toBe(0);
  });

  it('starts our guest, carries what is typed, and says totals with --counters', async () => {
    const args = ['--kernel', paraImage().path, '--vcpus', '2', '--max-vcpus', '3', '--net', 'switch', '--counters'];
    const { status, stdout, stderr } = await run(args, 'list\npoweroff\n');
    expect(stdout).toMatch(/ cpus=2/);
    expect(stdout).toMatch(/^cpu\/sieve\r?$/m);
    expect(Number(/^hypercall_console_io +(\d+)$/m.exec(stderr)?.[1])).toBeGreaterThan(0);
    expect(status).toBe(0);
  });

  it('takes an I/O policy with --policy, and refuses one that is none', async () => {
    const policy = join(folder, 'policy.json');
    writeFileSync(policy, '{ "order": "deadline", "default": { "opsPerSecond": 100 } }');
    const args = ['--kernel', MINIMAL, '--memory', '1M', '--disk', disk, '--policy', policy];
    expect(await run(args)).toMatchObject({ status: 0, stderr: '' });
    writeFileSync(policy, '{ "order": "fifo", "devices": { "vif": { "depth": 1 } } }');
    const refused = await run(args);
    expect(refused.stderr).toMatch(/policy.json is not a policy:[\s\S]*devices.vif.*depth/);
    expect(refused.status).toBe(2);
  });

  it('Ctrl-A x ends the domain', async () => {
    expect((await run(['--kernel', paraImage().path], '\x01\x01\x01x')).status).toBe(0);
  });

  it('gives all of an output that comes in many pieces', async () => {
    const line = `${'x'.repeat(98)}\n`;
    const { data, write } = say(line);
    const start = [...Array.from({ length: 200 }, () => write).flat(), ...shutdown(0)];
    const { stdout, status } = await run(['--kernel', guest({ data, start } as GuestBody), '--memory', '1M']);
    expect(stdout).toBe(line.repeat(200));
    expect(status).toBe(0);
  });

  it('a crash is status 1 with its reason', async () => {
    const { status, stderr } = await run(['--kernel', guest({ start: op.unreachable }), '--memory', '1M']);
    expect(stderr).toMatch(/^virtax: the machine failed: the guest crashed: vCPU 0 trapped: unreachable/);
    expect(status).toBe(1);
  });

  it('a reboot is a new domain, or the end with --no-reboot', async () => {
    const { data, write } = say('again\n');
    const body = { data, start: [...write, ...shutdown(1)] } as GuestBody;
    const single = await run(['--kernel', guest(body), '--memory', '1M', '--no-reboot']);
    expect(single).toEqual({ status: 0, stdout: 'again\n', stderr: '' });
    const command = spawn(process.execPath, [
      ...[VIRTAX, 'run', '--engine', 'para', '--memory', '1M', '--kernel', guest(body)],
    ]);
    let text = '';
    for await (const chunk of command.stdout) {
      text += chunk;
      if (text.startsWith('again\nagain\nagain\n')) break;
    }
    command.kill('SIGTERM');
    const [status] = (await closed(command)) as [number];
    expect(status).toBe(128 + 15);
  });

  it('the hypervisor does not outlive the command, and its loss is told', async () => {
    for (const killed of ['command', 'hypervisor'] as const) {
      const command = spawn(process.execPath, [VIRTAX, 'run', '--engine', 'para', '--kernel', paraImage().path]);
      let stderr = '';
      command.stderr.on('data', (chunk: Buffer) => {
        stderr += chunk.toString();
      });
      await once(command.stdout, 'data');
      const children = readFileSync(`/proc/${command.pid}/task/${command.pid}/children`, 'latin1');
      const hypervisor = Number(children.trim());
      expect(alive(hypervisor)).toBe(true);
      process.kill(killed === 'command' ? (command.pid as number) : hypervisor, 'SIGKILL');
      await closed(command);
      while (alive(hypervisor)) await new Promise((resolve) => setTimeout(resolve, 5));
      if (killed === 'hypervisor') expect(stderr).toMatch(/its hypervisor was lost \(signal SIGKILL\)/);
    }
  });

  it.each<[string, string[], RegExp]>([
    ['firmware', ['--bios', 'x', '--kernel', MINIMAL], /no firmware.*--bios/],
    ['an initial RAM disk', ['--initrd', 'x', '--kernel', MINIMAL], /--initrd/],
    ['a trace', ['--trace', 'irq', '--kernel', MINIMAL], /no --trace/],
    ['a bus', ['--kernel', MINIMAL, '--disk', `${disk},if=virtio`], /leave out if=virtio/],
    ['a CD-ROM', ['--kernel', MINIMAL, '--disk', `${disk},media=cdrom`], /media=cdrom/],
    ['a read-only disk', ['--kernel', MINIMAL, '--disk', `${disk},readonly`], /leave out readonly/],
    ['two disks', ['--kernel', MINIMAL, '--disk', disk, '--disk', disk], /one disk/],
    [
      'a disk that is not there',
      ['--kernel', MINIMAL, '--disk', '/nonexistent'],
      /the disk \/nonexistent is not there/,
    ],
    ['a disk that ends in a sector', ['--kernel', MINIMAL, '--disk', odd], /700 bytes.*truncate -s %512/],
    ['the user network', ['--kernel', MINIMAL, '--net', 'user'], /write --net switch/],
    ['a model', ['--kernel', MINIMAL, '--net', 'switch,model=e1000'], /leave out model=e1000/],
    ['an image that is not there', ['--kernel', '/nonexistent'], /image \/nonexistent cannot be loaded/],
    ['an image that is no module', ['--kernel', odd], /cannot be loaded/],
    ['fewer vCPUs at most than at first', ['--kernel', MINIMAL, '--vcpus', '2', '--max-vcpus', '1'], /--max-vcpus/],
    ['less memory at most than at first', ['--kernel', MINIMAL, '--max-memory', '1M'], /--max-memory/],
    ['more memory than there can be', ['--kernel', MINIMAL, '--memory', '64G'], /64 KiB to \d+ MiB/],
  ])('%s: status 2 and a message', async (_name, args, message) => {
    const { status, stderr } = await run(args);
    expect(stderr).toMatch(message);
    expect(status).toBe(2);
  });
});

const closed = (command: ReturnType<typeof spawn>): Promise<unknown[]> => once(command, 'close');
