import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { MachineFailure } from '#engines/engine.js';
import { VmProcess } from '#engines/full/vm/vm-process.js';
import { alive } from '../../support/alive.js';
import { scripted } from '../guests.js';
import { imageFile, vmConfig } from '../run-guest.js';

const PARENT = fileURLToPath(new URL('./fixtures/vm-parent.mjs', import.meta.url));
const LONG_MS = 50_000;
const BANNER = 'virtax-guest 1 ready port=riscv64 cpus=1 disk=0 net=0\n';
const RESULT = '\x02\x03result units=1 ops=2 checksum=0123456789abcdef errors=0 ns=250000000\n';
const READY = 'ready cpu/sieve\n';
const PREPARE = { seed: 1, deadlineMs: LONG_MS };
const START = { durationMs: 250, seed: 1, deadlineMs: LONG_MS };

const boot = (image: Uint8Array, bootDeadlineMs = LONG_MS) =>
  VmProcess.boot({ config: vmConfig(image), bootDeadlineMs, facts: { image: 'test' } });

async function failure(promise: Promise<unknown>): Promise<MachineFailure> {
  const error = await promise.then(
    () => undefined,
    (e: unknown) => e,
  );
  expect(error).toBeInstanceOf(MachineFailure);
  return error as MachineFailure;
}

describe('a VM in its process', () => {
  it('boots, prepares, samples and stops', async () => {
    const vm = await boot(scripted([BANNER, READY, RESULT]));
    await vm.prepare('cpu/sieve', PREPARE);
    vm.start(START);
    const result = await vm.result();
    expect(result).toMatchObject({ units: 1, ops: 2, checksum: '0123456789abcdef', errors: 0, guestNs: 250_000_000 });
    expect(result.stopNs).toBeGreaterThan(result.startNs);
    expect(result.counters['mmio.uart.writes']).toBeGreaterThan(0);
    expect((await vm.counters()).instructions).toBeGreaterThan(0);
    await vm.stop();
    await vm.stop();
    await failure(vm.counters());
  });

  it('a guest that never says it is ready fails at its deadline', async () => {
    const error = await failure(boot(scripted(['starting\n'], 'hang'), 300));
    expect(error.message).toMatch(/full VM 0 gave no answer within 300 ms while booting/);
  });

  it('a hang in a sample fails at the sample’s deadline', async () => {
    const vm = await boot(scripted([BANNER, READY], 'hang'));
    await vm.prepare('cpu/sieve', PREPARE);
    vm.start({ ...START, deadlineMs: 100 });
    const error = await failure(vm.result());
    expect(error.message).toMatch(/no answer within 100 ms in a sample/);
    expect(error.consoleTail).toEqual([BANNER.trim(), READY.trim()]);
    await vm.stop();
  });

  it('a flood in a sample fails it', async () => {
    const vm = await boot(scripted([BANNER, READY], 'flood'));
    await vm.prepare('cpu/sieve', PREPARE);
    vm.start(START);
    const error = await failure(vm.result());
    expect(error.message).toMatch(/flooded the console/);
    expect(error.consoleTail.at(-2)).toBe('all work and no play');
    await vm.stop();
  });

  it('a guest that ends itself fails with its status', async () => {
    const vm = await boot(scripted([BANNER, READY], 'crash'));
    await vm.prepare('cpu/sieve', PREPARE);
    vm.start(START);
    expect((await failure(vm.result())).message).toMatch(/status 7/);
    await vm.stop();
  });

  it('a killed process fails what waits, and later calls', async () => {
    const vm = await boot(scripted([BANNER, READY], 'hang'));
    await vm.prepare('cpu/sieve', PREPARE);
    vm.start(START);
    process.kill(vm.pid, 'SIGKILL');
    const error = await failure(vm.result());
    expect(error.message).toMatch(/lost its process \(signal SIGKILL\)/);
    await expect(vm.prepare('cpu/sieve', PREPARE)).rejects.toBe(error);
    await vm.stop();
    expect(alive(vm.pid)).toBe(false);
  });

  it('does not outlive a parent that is killed, though its harts never rest', async () => {
    const image = imageFile(scripted([BANNER.replace('cpus=1', 'cpus=2')], 'flood'));
    const parent = spawn(process.execPath, [PARENT, image], { stdio: ['ignore', 'pipe', 'inherit'] });
    const [line] = (await once(parent.stdout, 'data')) as [Buffer];
    const vm = Number(line.toString());
    expect(alive(vm)).toBe(true);
    parent.kill('SIGKILL');
    while (alive(vm)) await new Promise((resolve) => setTimeout(resolve, 5));
  });

  it('an image that does not fit fails with the loader’s words', async () => {
    const error = await failure(boot(Buffer.from([0x7f, 0x45, 0x4c, 0x46])));
    expect(error.message).toMatch(/could not be built: the kernel: the ELF image ends inside its header/);
  });

  it('a guest with another number of CPUs than it was given is refused', async () => {
    const error = await failure(boot(scripted([BANNER.replace('cpus=1', 'cpus=2')])));
    expect(error.message).toMatch(/counts 2 CPUs, but has 1/);
  });
});
