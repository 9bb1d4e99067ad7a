import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { main } from '#harness/cli.js';
import { parseResults, type Results } from '#harness/results.js';
import { type MockShellOptions, mockShell } from '../support/mock-shell.mjs';
import { sampleCell, sampleResults } from '../support/sample-results.js';

const CLI = fileURLToPath(new URL('../support/mock-cli.mjs', import.meta.url));
let folder: string;
let profile: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'virtax-cli-'));
  profile = join(folder, 'profile.json');
  const groups = [{ workloads: ['*'], vms: [1], vcpus: [1] }];
  await writeFile(
    profile,
    JSON.stringify({
      name: 'mock',
      summary: '',
      engines: ['bare', 'full', 'para'],
      samples: 5,
      sampleMs: 100,
      diskSize: '8M',
      groups,
    }),
  );
});
afterAll(() => rm(folder, { recursive: true, force: true }));

interface Ended {
  status: number | null;
  out: string;
  err: string;
}

function start(args: string[], mock: MockShellOptions = {}): { child: ChildProcess; ended: Promise<Ended> } {
  const child = spawn(process.execPath, [CLI, ...args], {
    cwd: folder,
    env: { ...process.env, MOCK: JSON.stringify(mock) },
  });
  let out = '';
  let err = '';
  child.stdout.on('data', (chunk: Buffer) => {
    out += chunk.toString();
  });
  child.stderr.on('data', (chunk: Buffer) => {
    err += chunk.toString();
  });
  const ended = new Promise<Ended>((resolve) => child.on('close', (status) => resolve({ status, out, err })));
  return { child, ended };
}

/** The command line within this process; paths are taken from the folder of the tests. */
async function run(args: string[], mock: MockShellOptions = {}): Promise<Ended> {
  const text = { out: '', err: '' };
  const output = (name: 'out' | 'err') => ({
    isTTY: false,
    columns: 80,
    write: (more: string) => {
      text[name] += more;
    },
  });
  return { status: await main(args.map(inFolder), mockShell(mock, output('out'), output('err'))), ...text };
}

const FILES = /\.json$|^(SIG[A-Z]+|plain|failed|reports|other|cut|written|nowhere)$/;
const inFolder = (word: string) => (FILES.test(word) && !word.startsWith('/') ? join(folder, word) : word);
const bench = (out: string, ...more: string[]) => [
  'bench',
  '--profile-file',
  profile,
  '--no-reports',
  '--out',
  out,
  ...more,
];
const resultsIn = async (out: string): Promise<Results> => {
  const path = join(folder, out, 'results.json');
  return parseResults(await readFile(path, 'utf8'), path);
};

/** Waits until the run says that it has saved a cell, then sends the signal. */
async function stopAfterFirstCell(out: string, signal: NodeJS.Signals): Promise<Ended> {
  const { child, ended } = start(bench(out), { realMs: 20 });
  await new Promise<void>((resolve) => {
    child.stdout?.on('data', (chunk: Buffer) => {
      if (/^ {2}para/m.test(chunk.toString())) resolve();
    });
  });
  child.kill(signal);
  return ended;
}

describe('help', () => {
  it.each(['', 'bench', 'report', 'compare', 'list', 'doctor'])(
    'of `%s` ends with 0 and shows examples',
    async (command) => {
      const { status, out } = await run([...(command === '' ? [] : [command]), '--help']);
      expect(status).toBe(0);
      expect(out).toMatch(/^Usage: virtax/);
      expect(out).toMatch(/Examples:/);
    },
  );
});

describe('bad usage ends with 2 and says what to do', () => {
  it.each<[string[], RegExp]>([
    [['frobnicate'], /unknown command 'frobnicate'/],
    [['bench', '--frob'], /unknown option '--frob'/],
    [['bench', '--engines', 'paar'], /unknown engine "paar": did you mean .*para/],
    [['bench', '--workloads', 'cpu/x'], /unknown workload "cpu\/x": did you mean cpu\/a/],
    [['bench', '--profile', 'quik'], /unknown profile "quik": did you mean quick/],
    [['bench', '--profile-file', 'none.json'], /profile file .*none\.json: .*ENOENT/],
    [['bench', '--vms', '0'], /--vms: "0" is not a whole number from 1 to 32/],
    [['bench', '--vcpus', '1,33'], /--vcpus: "33" is not a whole number from 1 to 32/],
    [['bench', '--vms', '1,,2'], /--vms: "" is not a whole number/],
    [['bench', '--memory', '12Q'], /--memory: "12Q" is no size; write for example 64M/],
    [['bench', '--memory', '1M'], /--memory: at least 16M/],
    [['bench', '--disk-size', '-1'], /--disk-size/],
    [['bench', '--samples', '2'], /--samples: "2" is not a whole number from 5/],
    [['bench', '--duration', '1s'], /--duration/],
    [['bench', '--seed', 'x'], /--seed/],
    [['bench', '--engines', 'bare,'], /--engines: "bare," has an empty name/],
    [['bench', '--profile', 'quick', '--profile-file', 'x'], /cannot be used with/],
    [['bench', '--resume', 'nowhere'], /cannot read .*nowhere.*no such file/],
    [['list', 'things'], /Allowed choices are engines, workloads, profiles/],
    [['compare', 'only-one.json'], /missing required argument 'new'/],
    [['report', 'none.json', '--format', 'pdf'], /unknown format "pdf"/],
  ])('%j', async (args, message) => {
    const { status, err } = await run(args);
    expect(err).toMatch(message);
    expect(err).not.toMatch(/^\s+at /m);
    expect(status).toBe(2);
  });
});

describe('bench', () => {
  it('measures, saves a valid file, and refuses to write over it', async () => {
    const { status, out } = await run(bench('plain'), { opsPerSecond: { para: 500 } });
    expect(status).toBe(0);
    expect(out).toMatch(/12 cells to measure/);
    expect(out).toMatch(/50\.0+ % of bare metal/);
    const results = await resultsIn('plain');
    expect(results.cells).toHaveLength(12);
    expect(results.run.finished).toBe(true);
    expect(results.run.commandLine.slice(0, 2)).toEqual(['virtax', 'bench']);
    expect(await readdir(join(folder, 'plain'))).toEqual(['results.json']);
    const again = await run(bench('plain'));
    expect(again.status).toBe(2);
    expect(again.err).toMatch(/holds a run already; go on with it by --resume/);
  });

  it('ends with 1 when a cell failed; the others are there', async () => {
    const { status, out } = await run(bench('failed'), { crash: 'full cpu/b' });
    expect(status).toBe(1);
    expect(out).toMatch(/full +failed: full crashed/);
    expect((await resultsIn('failed')).cells.filter((cell) => cell.status === 'ok')).toHaveLength(11);
  });

  it('ends with 1 when every cell was skipped: nothing was measured', async () => {
    const { status, out } = await run(bench('nowhere', '--memory', '1000T'));
    expect(status).toBe(1);
    expect(out).toMatch(/skipped: 1 VMs of .* need more memory than is free/);
    expect(out).toMatch(/0 cells measured, 0 failed, 12 skipped/);
  });

  it('writes all reports beside the results', async () => {
    const { status } = await run(['bench', '--profile-file', profile, '--out', 'reports']);
    expect(status).toBe(0);
    const files = await readdir(join(folder, 'reports'));
    for (const end of ['.html', '.png', '.csv', '.md']) expect(files.some((file) => file.endsWith(end))).toBe(true);
  });

  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGKILL', null],
  ] as const)('stopped by %s keeps what was finished, and goes on by --resume', async (signal, expected) => {
    const { status, err } = await stopAfterFirstCell(signal, signal);
    expect(status).toBe(expected);
    if (expected !== null) expect(err).toMatch(/go on with: virtax bench --resume/);
    const stopped = await resultsIn(signal);
    expect(stopped.run.finished).toBe(false);
    expect(stopped.cells.length).toBeGreaterThanOrEqual(3);
    expect(stopped.cells.length).toBeLessThan(12);

    const resumed = await run(['bench', '--resume', signal, '--no-reports']);
    expect(resumed.status).toBe(0);
    expect(resumed.out).toMatch(/are there already/);
    const whole = await resultsIn(signal);
    expect(whole.cells).toHaveLength(12);
    expect(whole.run).toMatchObject({ finished: true, resumed: 1 });
    for (const cell of stopped.cells) expect(whole.cells).toContainEqual(cell);
  });

  it('does not resume a run that was planned otherwise, and says what differs', async () => {
    await stopAfterFirstCell('other', 'SIGTERM');
    const { status, err } = await run([
      'bench',
      '--resume',
      'other',
      '--profile-file',
      profile,
      '--samples',
      '7',
      '--seed',
      '9',
    ]);
    expect(status).toBe(2);
    expect(err).toMatch(/planned otherwise/);
    expect(err).toMatch(/samples: 5 then, 7 now/);
    expect(err).toMatch(/seed: 1 then, 9 now/);
  });

  it('does not resume from a truncated file', async () => {
    await run(bench('cut'));
    const path = join(folder, 'cut', 'results.json');
    await writeFile(path, (await readFile(path, 'utf8')).slice(0, 3000));
    const { status, err } = await run(['bench', '--resume', 'cut']);
    expect(status).toBe(2);
    expect(err).toMatch(/truncated/);
  });
});

describe('compare and report', () => {
  const save = async (name: string, results: unknown) => {
    const text = typeof results === 'string' ? results : JSON.stringify(results);
    await writeFile(join(folder, name), text);
  };
  const percent = (median: number) => ({ median, low: median - 1, high: median + 1, pairs: 5 });
  const withPercent = (median: number) => ({
    ...sampleResults(),
    cells: [sampleCell(), sampleCell({ engine: 'full', percentOfBareMetal: percent(median) })],
  });

  it('ends with 0 for the same, 1 for a regression beyond threshold and interval, 0 below the threshold', async () => {
    await save('base.json', withPercent(50));
    await save('worse.json', withPercent(40));
    expect((await run(['compare', 'base.json', 'base.json'])).status).toBe(0);
    const worse = await run(['compare', 'base.json', 'worse.json']);
    expect(worse.status).toBe(1);
    expect(worse.out).toMatch(/regression/);
    expect(worse.out).toMatch(/-20\.0 %/);
    expect((await run(['compare', 'base.json', 'worse.json', '--threshold', '25'])).status).toBe(0);
    expect((await run(['compare', 'worse.json', 'base.json'])).status).toBe(0);
  });

  it('ends with 2 for files that are broken, foreign, missing or have nothing in common', async () => {
    const whole = JSON.stringify(sampleResults());
    await save('ok.json', whole);
    await save('half.json', whole.slice(0, whole.length / 2));
    await save('foreign.json', '{"benchmarks": []}');
    await save('binary.json', '\u0000\u0001');
    await save('disjoint.json', { ...sampleResults(), cells: [sampleCell({ workload: 'cpu/other' })] });
    for (const file of ['half.json', 'foreign.json', 'binary.json', 'none.json', 'disjoint.json']) {
      const { status, err } = await run(['compare', 'ok.json', file]);
      expect([file, status]).toEqual([file, 2]);
      expect(err).toMatch(new RegExp(file.replace('.', '\\.')));
    }
    for (const file of ['half.json', 'foreign.json', 'binary.json', 'none.json']) {
      expect([file, (await run(['report', file])).status]).toEqual([file, 2]);
    }
    expect((await run(['compare', 'ok.json', 'ok.json', '--threshold', 'much'])).status).toBe(2);
  });

  it('writes the formats that are asked for', async () => {
    await save('ok.json', sampleResults());
    const { status } = await run(['report', 'ok.json', '--format', 'csv,md', '--out', 'written']);
    expect(status).toBe(0);
    const files = await readdir(join(folder, 'written'));
    expect(files.every((file) => /\.(csv|md)$/.test(file))).toBe(true);
    expect(files.length).toBeGreaterThanOrEqual(2);
  });
});

it('the process ends with the status', async () => {
  expect((await start(['list', 'profiles']).ended).status).toBe(0);
  const wrong = await start(['bench', '--engines', 'nope']).ended;
  expect(wrong).toMatchObject({ status: 2, out: '' });
  expect(wrong.err).toMatch(/^virtax: unknown engine "nope"/);
});

describe('list and doctor', () => {
  it('show what there is', async () => {
    expect((await run(['list', 'engines'])).out).toMatch(/para .*paravirtualization/);
    expect((await run(['list', 'workloads'])).out).toMatch(/memory\/c/);
    expect((await run(['list', 'profiles'])).out).toMatch(/quick[\s\S]*standard[\s\S]*full/);
    const { status, out } = await run(['doctor']);
    expect(status).toBe(0);
    for (const what of ['cores', 'governor', 'steal', 'load', 'file system', 'io_uring', 'memory'])
      expect(out).toMatch(what);
  });
});
