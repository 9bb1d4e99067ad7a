import { describe, expect, it } from 'vitest';
import { MachineFailure, WorkloadUnsupported } from '#engines/engine.js';
import { type DoorbellStamp, GuestControl } from '#engines/process/guest-control.js';

const LONG_MS = 60_000;
const BANNER = 'virtax-guest 1 ready port=riscv64 cpus=4 disk=134217728 net=1\n';
const RESULT = 'result units=123 ops=456 checksum=0123456789abcdef errors=0 ns=250012345 latns=17.5 rxdrop=3\n';

function build() {
  const sent: string[] = [];
  const control = new GuestControl({
    name: 'full VM 7',
    send: (text) => sent.push(text),
    peer: '10.0.2.2:9000',
    floodBytes: 10_000,
  });
  return { control, sent };
}

async function booted() {
  const built = build();
  const banner = built.control.booted(LONG_MS);
  built.control.output(`kernel: hello\r\n${BANNER}`);
  await banner;
  return built;
}

async function prepared() {
  const built = await booted();
  const ready = built.control.prepare('cpu/sieve', { seed: 3, deadlineMs: LONG_MS });
  built.control.output('ready cpu/sieve\n');
  await ready;
  return built;
}

const stamp = (ns: bigint, cpuSeconds: number, kicks: number): DoorbellStamp => ({
  ns,
  cpuSeconds,
  counters: { kicks },
});
const START = { durationMs: 250, seed: 9, deadlineMs: LONG_MS };

describe('control protocol, host side', () => {
  it('parses the banner, whatever comes in which pieces', async () => {
    const { control } = build();
    const banner = control.booted(LONG_MS);
    for (const byte of `noise\n${BANNER}`) control.output(byte);
    expect(await banner).toEqual({ port: 'riscv64', cpus: 4, diskBytes: 134_217_728, hasNet: true });
  });

  it('sends prepare and start as the guest wants them', async () => {
    const { control, sent } = await prepared();
    control.start(START);
    expect(sent).toEqual(['prepare cpu/sieve seed=3 cpus=4 peer=10.0.2.2:9000\n', 'start ms=250 seed=9\n']);
  });

  it('joins doorbells, result line and counters into a sample, in whatever order they come', async () => {
    const orders = [
      ['start', 'stop', 'line'],
      ['line', 'start', 'stop'],
      ['start', 'line', 'stop'],
    ];
    for (const order of orders) {
      const { control } = await prepared();
      control.start(START);
      for (const part of order) {
        if (part === 'start') control.doorbell('start', stamp(1000n, 1.5, 10));
        else if (part === 'stop') control.doorbell('stop', stamp(251_000_000n, 1.75, 14));
        else control.output(RESULT);
      }
      expect(await control.result()).toEqual({
        startNs: 1000n,
        stopNs: 251_000_000n,
        cpuSeconds: 0.25,
        guestNs: 250_012_345,
        units: 123,
        ops: 456,
        reportedNs: 17.5,
        checksum: '0123456789abcdef',
        errors: 0,
        counters: { kicks: 4, rxdrop: 3 },
      });
    }
  });

  it('a skipped workload is WorkloadUnsupported, and the machine lives on', async () => {
    const { control } = await booted();
    const ready = control.prepare('os/map', { seed: 1, deadlineMs: LONG_MS });
    control.output('skipped os/map there is no MMU\n');
    await expect(ready).rejects.toThrow(WorkloadUnsupported);
    await expect(ready).rejects.toThrow('there is no MMU');
    const next = control.prepare('cpu/sieve', { seed: 1, deadlineMs: LONG_MS });
    control.output('ready cpu/sieve\n');
    await expect(next).resolves.toBeUndefined();
  });

  it('a hang fails at the deadline, with the step and the last console lines', async () => {
    const { control } = await booted();
    const ready = control.prepare('cpu/sieve', { seed: 1, deadlineMs: 5 });
    control.output('half a li');
    const error = await ready.catch((e: unknown) => e);
    expect(error).toBeInstanceOf(MachineFailure);
    expect((error as MachineFailure).message).toBe('full VM 7 gave no answer within 5 ms while preparing cpu/sieve');
    expect((error as MachineFailure).consoleTail).toEqual(['kernel: hello', BANNER.trim(), 'half a li']);
    await expect(control.prepare('cpu/sieve', { seed: 1, deadlineMs: LONG_MS })).rejects.toBe(error);
  });

  it('a flood of output fails, complete lines or not', async () => {
    const { control } = await prepared();
    control.start(START);
    control.output('x'.repeat(10_001));
    await expect(control.result()).rejects.toThrow(/flooded/);
    expect(Math.max(...control.consoleTail().map((line) => line.length))).toBeLessThanOrEqual(4096);
  });

  it('shows control characters of a guest as text', async () => {
    const { control } = await booted();
    control.output('\x1b[2Jred\n');
    expect(control.consoleTail().at(-1)).toBe('\\x1b[2Jred');
  });

  const nonsense: [string, string, RegExp][] = [
    ['a number that is none', RESULT.replace('ops=456', 'ops=4x6'), /no number ops/],
    ['a negative number', RESULT.replace('ops=456', 'ops=-4'), /no number ops/],
    ['a number beyond 2^53', RESULT.replace('ops=456', 'ops=99999999999999999999'), /no number ops/],
    ['a missing field', RESULT.replace('units=123 ', ''), /no number units/],
    ['a bad checksum', RESULT.replace('abcdef', 'xyz'), /checksum/],
    ['a field twice', RESULT.replace('ops=456', 'ops=456 ops=457'), /bad word/],
    ['an error', 'error out of memory\n', /error out of memory/],
    ['an answer out of turn', 'ready cpu/sieve\n', /ready cpu\/sieve/],
    ['another banner', BANNER, /started again/],
  ];
  it.each(nonsense)('%s in a sample fails the machine', async (_name, line, message) => {
    const { control } = await prepared();
    control.start(START);
    control.output(line);
    await expect(control.result()).rejects.toThrow(message);
    await expect(control.result()).rejects.toThrow(MachineFailure);
  });

  it('a second result, or a stop bell before the start bell, fails the machine', async () => {
    const twice = await prepared();
    twice.control.start(START);
    twice.control.output(RESULT + RESULT);
    await expect(twice.control.result()).rejects.toThrow(MachineFailure);
    const early = await prepared();
    early.control.start(START);
    early.control.doorbell('stop', stamp(1n, 0, 0));
    await expect(early.control.result()).rejects.toThrow(/stop doorbell out of turn/);
  });

  it('a banner of another protocol version says what to do', async () => {
    const { control } = build();
    const banner = control.booted(LONG_MS);
    control.output(BANNER.replace(' 1 ready', ' 2 ready'));
    await expect(banner).rejects.toThrow(/version 2.*rebuild/);
  });

  it('death rejects what waits, with its cause', async () => {
    const { control } = await prepared();
    control.start(START);
    control.fail('lost its process (signal SIGKILL)');
    await expect(control.result()).rejects.toThrow('full VM 7 lost its process (signal SIGKILL)');
  });

  it('doorbells and answers of an earlier sample do not leak into the next', async () => {
    const { control } = await prepared();
    for (const ns of [10n, 20n]) {
      control.start(START);
      control.doorbell('start', stamp(ns, 0, 0));
      control.doorbell('stop', stamp(ns + 5n, 0, 0));
      control.output(RESULT);
      expect((await control.result()).startNs).toBe(ns);
    }
  });
});
