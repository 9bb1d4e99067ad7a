import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { full } from '#engines/full/engine.js';
import { riscvImage } from '#workloads/images.js';
import { finish, guest } from './guests.js';
import { imageFile } from './run-guest.js';

const BOOT = fileURLToPath(new URL('../../dist/engines/full/boot.js', import.meta.url));

async function boot(args: string[], input = '') {
  const child = spawn(process.execPath, [BOOT, ...args]);
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (chunk: Buffer) => {
    stdout += chunk.toString();
    if (stdout.includes('ready port=') && input !== '') child.stdin.end(input);
  });
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  const [status] = (await once(child, 'close')) as [number];
  return { status, stdout, stderr };
}

describe('boot command', () => {
  it('ends with the guest’s status', async () => {
    expect((await boot([imageFile(guest((a) => finish(a, (6 << 16) | 0x3333)))])).status).toBe(6);
  });

  it('passes the command line, and runs what it says', async () => {
    const probe = await full.probe();
    if (!probe.ok) throw new Error(probe.reason);
    const command = 'virtax.run=cpu/sieve virtax.ms=10';
    const { stdout, status } = await boot([riscvImage().path, '--smp', '2', '--append', command]);
    expect(stdout).toMatch(/ready port=riscv64 cpus=2/);
    expect(stdout).toMatch(/cpu\/sieve .*units.*checksum [0-9a-f]{16}/);
    expect(status).toBe(0);
  });

  it('has nearly 4 GiB of memory when asked to: page tables lie beyond 2 GiB', async () => {
    const command = 'virtax.run=os/map virtax.ms=10';
    const { stdout, stderr, status } = await boot([riscvImage().path, '--memory', '3900', '--append', command]);
    expect(stdout).toMatch(/os\/map .*units.*checksum/);
    expect(stderr).toBe('');
    expect(status).toBe(0);
  });

  it('carries the terminal’s input to the guest', async () => {
    const { stdout, status } = await boot([riscvImage().path], 'list\npoweroff\n');
    expect(stdout).toMatch(/^cpu\/sieve\r?$/m);
    expect(status).toBe(0);
  });

  it.each([
    ['no image', [], /usage: /],
    ['an unknown option', ['x', '--frobnicate'], /frobnicate/],
    ['an image that is not there', ['/nonexistent/image'], /ENOENT.*\/nonexistent\/image/],
    ['too many harts', ['x', '--smp', '64'], /1 to 32 harts/],
    ['a number that is none', ['x', '--memory', 'lots'], /--memory.*lots/],
  ])('%s: status 2 and a message', async (_name, args, message) => {
    const { status, stderr } = await boot(args);
    expect(stderr).toMatch(message);
    expect(status).toBe(2);
  });
});
