import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { full } from '#engines/full/engine.js';
import { riscvImage } from '#workloads/images.js';
import { alive } from '../support/alive.js';
import { runCommand, VIRTAX } from '../support/run-command.js';
import { CLINT, finish, guest, print } from './guests.js';
import { imageFile } from './run-guest.js';

/** `input` is typed when the guest's banner has come. */
const run = (args: string[], input = '') => runCommand(args, { prompt: 'ready port=', input });

/** The command with our guest at its prompt, and the process of its VM. */
async function prompted() {
  const command = spawn(process.execPath, [VIRTAX, 'run', '--kernel', riscvImage().path]);
  let stderr = '';
  command.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  await once(command.stdout, 'data');
  const children = readFileSync(`/proc/${command.pid}/task/${command.pid}/children`, 'latin1');
  return { command, vm: Number(children.trim()), stderr: () => stderr };
}

describe('the VM’s process', () => {
  it('does not outlive a command that is killed', async () => {
    const { command, vm } = await prompted();
    expect(alive(vm)).toBe(true);
    command.kill('SIGKILL');
    while (alive(vm)) await new Promise((resolve) => setTimeout(resolve, 5));
  });

  it('that is lost ends the command, which says so', async () => {
    const { command, vm, stderr } = await prompted();
    process.kill(vm, 'SIGKILL');
    const [status] = (await once(command, 'close')) as [number];
    expect(stderr()).toMatch(/its process was lost \(signal SIGKILL\)/);
    expect(status).toBe(1);
  });
});

describe('virtax run', () => {
  it('ends with the guest’s status', async () => {
    expect((await run(['--kernel', imageFile(guest((a) => finish(a, (6 << 16) | 0x3333)))])).status).toBe(6);
  });

  it('gives all bytes of the guest’s as they are', async () => {
    const text = Array.from({ length: 127 }, (_, index) => String.fromCharCode(index + 1)).join('');
    const { stdout } = await run(['--kernel', imageFile(guest((a) => finish(print(a, 'text'), 0x5555), { text }))]);
    expect(stdout).toBe(text);
  });

  it('passes the command line, and runs what it says', async () => {
    const probe = await full.probe();
    if (!probe.ok) throw new Error(probe.reason);
    const command = 'virtax.run=cpu/sieve virtax.ms=10';
    const { stdout, status } = await run(['--kernel', riscvImage().path, '--vcpus', '2', '--append', command]);
    expect(stdout).toMatch(/ready port=riscv64 cpus=2/);
    expect(stdout).toMatch(/cpu\/sieve .*units.*checksum [0-9a-f]{16}/);
    expect(status).toBe(0);
  });

  it('has nearly 4 GiB of memory when asked to: page tables lie beyond 2 GiB', async () => {
    const command = 'virtax.run=os/map virtax.ms=10';
    const { stdout, stderr, status } = await run([
      ...['--kernel', riscvImage().path, '--memory', '3900M', '--append', command],
    ]);
    expect(stdout).toMatch(/os\/map .*units.*checksum/);
    expect(stderr).toBe('');
    expect(status).toBe(0);
  });

  it('carries the terminal’s input to the guest; an input that stays open does not keep it', async () => {
    const { stdout, status } = await run(['--kernel', riscvImage().path], 'list\npoweroff\n');
    expect(stdout).toMatch(/^cpu\/sieve\r?$/m);
    expect(status).toBe(0);
  });

  it('Ctrl-A x ends a machine, Ctrl-A twice is one', async () => {
    expect((await run(['--kernel', riscvImage().path], '\x01\x01\x01x')).status).toBe(0);
  });

  it('--trace shows accesses, interrupts and exits; --counters the totals', async () => {
    const image = guest(
      (a) => {
        a.li('t0', CLINT).li('t1', 1).sw('t1', 0, 't0');
        finish(print(a, 'text'), 0x5555);
      },
      { text: '!' },
    );
    const { stdout, stderr, status } = await run([
      ...['--kernel', imageFile(image), '--trace', 'mmio,irq,exits', '--counters'],
    ]);
    expect(stdout).toBe('!');
    expect(stderr).toMatch(/^\[ +\d+\.\d{6}\] hart 0: mmio write uart\+0x0 \(0x10000000\) size 1 <- 0x21$/m);
    expect(stderr).toMatch(/hart 0: mmio read uart\+0x5 \(0x10000005\) size 1 -> 0x60$/m);
    expect(stderr).toMatch(/hart 0: irq hart 0 MSIP raised$/m);
    expect(stderr).toMatch(/hart 0: exit mmio-write finisher$/m);
    expect(stderr).toMatch(/hart 0: exit stopped pc=0x80000/m);
    expect(stderr).toMatch(/^mmio\.finisher\.writes +1$/m);
    expect(status).toBe(0);
  });

  it.each([
    ['nothing to run', [], /--kernel.*--bios/],
    ['an unknown option', ['--kernel', 'x', '--frobnicate'], /frobnicate/],
    ['an image that is not there', ['--kernel', '/nonexistent/image'], /kernel \/nonexistent\/image.*not there/],
    ['a directory as an image', ['--kernel', '/'], /kernel \/ .*is a directory/],
    ['an image without a byte', ['--bios', '/dev/null'], /firmware \/dev\/null.*is empty/],
    ['a program of this host’s', ['--kernel', process.execPath], /the kernel: .*not for RISC-V/],
    [
      'a disk that ends in a sector',
      ['--kernel', VIRTAX, '--disk', VIRTAX],
      /virtax\.mjs has \d+ bytes.*truncate -s %512/,
    ],
    ['too many harts', ['--kernel', 'x', '--vcpus', '64'], /--vcpus.*1 to 32/],
    ['a size that is none', ['--kernel', 'x', '--memory', 'lots'], /--memory.*lots/],
    ['more memory than there can be', ['--kernel', VIRTAX, '--memory', '8G'], /at most \d+ MiB/],
    [
      'a disk that is not there',
      ['--kernel', VIRTAX, '--disk', '/nonexistent/disk'],
      /\/nonexistent\/disk is not there/,
    ],
    ['an engine that cannot', ['--kernel', 'x', '--engine', 'bare'], /bare.*full/],
  ])('%s: status 2 and a message', async (_name, args, message) => {
    const { status, stderr } = await run(args);
    expect(stderr).toMatch(message);
    expect(status).toBe(2);
  });
});
