import { afterEach, describe, expect, it } from 'vitest';
import { fields, Native, tool } from './native.js';

/** The control protocol, as the native port speaks it: the same source speaks it on every port. */
describe('control protocol', () => {
  let guest: Native;
  const boot = async (...args: string[]) => {
    guest = new Native(['guest', ...args]);
    return guest.line();
  };
  afterEach(() => guest?.close());

  it('announces the machine', async () => {
    expect(await boot('--vcpus', '3')).toBe('virtax-guest 1 ready port=host cpus=3 disk=0 net=1');
  });

  it('runs a sample between two doorbells', async () => {
    await boot('--vcpus', '2');
    expect(await guest.ask('prepare cpu/sieve seed=1 cpus=2')).toBe('ready cpu/sieve');
    const line = await guest.ask('start ms=20 seed=3');
    expect(line).toMatch(/^##result units=\d+ ops=\d+ checksum=[0-9a-f]{16} errors=0 ns=\d+$/);
    expect(Number(fields(line).ns)).toBeGreaterThanOrEqual(20e6);
    expect(Number(fields(line).units)).toBeGreaterThanOrEqual(2);
  });

  it('gives its own stamps with --stamp, and they enclose what it reports', async () => {
    await boot('--stamp');
    await guest.ask('prepare cpu/lists seed=1');
    const line = await guest.ask('start ms=10 seed=3');
    const stamps = /^##([0-9a-f]{16})([0-9a-f]{16})([0-9a-f]{16})([0-9a-f]{16})result/
      .exec(line)
      ?.slice(1)
      .map((hex) => BigInt(`0x${hex}`));
    if (!stamps) throw new Error(line);
    expect(stamps[2] - stamps[0]).toBeGreaterThanOrEqual(BigInt(fields(line).ns));
    expect(stamps[3]).toBeGreaterThan(stamps[1]);
  });

  it('rings an empty pair for ms=0, prepared or not', async () => {
    await boot();
    expect(await guest.ask('start ms=0')).toMatch(/^##result units=0 ops=0 checksum=0{16} errors=0 ns=\d+$/);
  });

  it('gives the same checksum for the same seed, another for another', async () => {
    await boot('--vcpus', '2');
    const first = await guest.sample('cpu/sha256', 'seed=5');
    const again = await guest.sample('cpu/sha256', 'seed=5');
    const other = await guest.sample('cpu/sha256', 'seed=6');
    expect(again.checksum).toBe(first.checksum);
    expect(other.checksum).not.toBe(first.checksum);
  });

  it('runs every workload that needs neither disk nor peer without errors', async () => {
    await boot('--vcpus', '2');
    const { stdout } = await tool(['list']);
    for (const name of stdout
      .trimEnd()
      .split('\n')
      .filter((workload) => /^(cpu|memory|os)/.test(workload))) {
      const result = await guest.sample(name, 'seed=1', 5);
      expect({ name, errors: result.errors }).toEqual({ name, errors: '0' });
    }
  });

  it('says what cannot run here, and why', async () => {
    await boot('--vcpus', '1');
    expect(await guest.ask('prepare os/ipi')).toBe('skipped os/ipi two CPUs are needed');
    expect(await guest.ask('prepare block/read-1m')).toBe('skipped block/read-1m the machine has no disk');
    expect(await guest.ask('prepare net/udp-rr')).toBe('skipped net/udp-rr no peer was given (peer=ADDRESS:PORT)');
    expect(await guest.ask('start ms=10')).toBe('error nothing is prepared');
  });

  it('answers nonsense with an error and goes on', async () => {
    await boot();
    expect(await guest.ask('dance')).toBe('error no command dance; `help` shows them');
    expect(await guest.ask('prepare')).toMatch(/^error no workload/);
    expect(await guest.ask('prepare cpu/nothing')).toMatch(/^error no workload cpu\/nothing/);
    expect(await guest.ask('prepare cpu/sieve cpus=2')).toBe('error cpus=2: this machine has 1 to 1');
    expect(await guest.ask('prepare cpu/sieve cpus=18446744073709551617')).toMatch(/^error cpus=.* is not a number$/);
    expect(await guest.ask('prepare net/udp-rr peer=1.2.3.400:5')).toMatch(/^error peer=.* is not ADDRESS:PORT$/);
    expect(await guest.ask(`prepare ${'x'.repeat(5000)}`)).toMatch(/^error no workload x+;/);
    expect(await guest.ask('prepare cpu/sieve')).toBe('ready cpu/sieve');
    expect(await guest.ask('start ms=99999999')).toMatch(/^error ms=99999999/);
  });

  it('ends at poweroff, and at the end of its input', async () => {
    await boot();
    guest.send('poweroff');
    expect(await guest.status()).toBe(0);
    await boot();
    guest.process.stdin.end();
    expect(await guest.status()).toBe(0);
  });

  it('runs boot arguments and powers off with the outcome', async () => {
    const good = await tool(['guest', '--append', 'virtax.run=cpu/si*,cpu/lists virtax.ms=5']);
    expect(good.status).toBe(0);
    expect(good.stdout).toMatch(/cpu\/sieve +\d+ units, .*ops\/s/);
    expect(good.stdout).toMatch(/cpu\/lists +\d+ units, .*ops\/s/);
    const bad = await tool(['guest', '--append', 'virtax.run=cpu/nothing']);
    expect(bad.status).toBe(1);
    expect(bad.stdout).toContain('no workload matches cpu/nothing');
  });

  it('refuses bad arguments with status 2 and tells the right ones', async () => {
    for (const args of [
      [],
      ['dance'],
      ['guest', '--vcpus', '33'],
      ['guest', '--disk'],
      ['guest', '--disk', '/nonexistent'],
      ['peer', 'x'],
    ]) {
      const { status, stderr } = await tool(args);
      expect({ args, status }).toEqual({ args, status: 2 });
      expect(stderr).toMatch(/^virtax-guest: ./);
    }
  });
});
