/**
 * `npm run check:baseline`: is bare metal as good as native gets? The native image against the same cpu and memory sources
 * with glibc (at most 5 % slower), fio with the same engine, depth and size, and a plain C UDP client (at most 10 %).
 * Paired and interleaved in one run; exit 1 when any falls behind by the whole 95 % interval of the median of the paired
 * ratios. To be faster is allowed. While the interval holds the limit, pairs are added, up to three times as many; what
 * is still open then is reported as too noisy to tell.
 *
 * `--only GLOB` restricts the workloads, `--rounds N` sets the pairs of each (default 15 for cpu, memory and net, 7 for fio).
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, loadavg } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import Table from 'cli-table3';
import { allowedCpus, withHostCpus } from '../../engines/process/affinity.js';
import { BuildError, compile } from '../../workloads/build/compiler.js';
import { nativeImage } from '../../workloads/images.js';
import { matchWorkloads } from '../../workloads/index.js';
import { packageRoot } from '../../workloads/package-root.js';
import type { WorkloadSpec } from '../../workloads/spec.js';
import { placementOn } from '../placement.js';
import { type Comparison, compare, type Judgement, judge, ratio } from './comparison.js';
import { type FioJob, fio } from './fio.js';
import { LineProcess, numberIn } from './line-process.js';
import { NativeGuest } from './native-guest.js';

const CPU_LIMIT = 0.95;
const IO_LIMIT = 0.9;
const DISK_BYTES = 256 << 20;
const SAMPLE_MS = 100;
const BLOCK_SECONDS = 1;

const { values: options } = parseArgs({
  options: { only: { type: 'string', default: '*' }, rounds: { type: 'string' } },
});
const wanted = matchWorkloads(options.only);
const image = nativeImage().path;
const rounds = (usual: number) => (options.rounds === undefined ? usual : Number(options.rounds));

const workloads = join(packageRoot(), 'workloads');

/** An ordinary program: no flags but the optimization, and those that decide its floating-point results. */
async function build(folder: string, name: string, sources: string[]): Promise<string> {
  const output = join(folder, name);
  const flags = ['-std=gnu17', '-O2', '-ffp-contract=off', '-Iguest', '-Iguest/include', '-I.'];
  await compile([...flags, ...sources, '-o', output, '-lm'], workloads);
  return output;
}

/** CPU seconds, not time: what else runs on the host must not decide. */
async function compareUnits(folder: string, specs: WorkloadSpec[]): Promise<Comparison[]> {
  const names = (group: string) => specs.filter((spec) => spec.group === group).map((spec) => spec.name);
  if (specs.length === 0) return [];
  const groups = ['cpu', 'memory'].flatMap((group) => matchWorkloads(`${group}/*`)).map(({ name }) => `${name}.c`);
  const program = await build(folder, 'units', ['baseline/units.c', ...groups]);
  const comparisons: Comparison[] = [];
  for (const workload of [...names('cpu'), ...names('memory')]) comparisons.push(await compareUnit(workload, program));
  return comparisons;
}

async function compareUnit(workload: string, program: string): Promise<Comparison> {
  let guest: NativeGuest | undefined;
  let glibc: LineProcess | undefined;
  const stop = () => {
    for (const process of [guest, glibc]) process?.stop();
  };
  const renew = async () => {
    stop();
    guest = new NativeGuest(image);
    glibc = new LineProcess('the program with glibc', program);
    await guest.booted();
    await guest.prepare(workload);
  };
  const bare = async () => {
    if (guest === undefined) throw new Error('no process of bare metal');
    const { units, cpuSeconds } = await guest.sample(SAMPLE_MS, 1);
    return units / cpuSeconds;
  };
  const other = async () => {
    if (glibc === undefined) throw new Error('no process with glibc');
    glibc.send(`${workload} ${SAMPLE_MS}`);
    const line = await glibc.line('units=');
    return numberIn(line, 'units') / (numberIn(line, 'cpu') / 1e9);
  };
  try {
    return await compare({ workload, against: 'glibc', unit: 'units/CPU s', limit: CPU_LIMIT }, rounds(15), {
      bare,
      other,
      renew,
    });
  } finally {
    stop();
  }
}

const FIO_JOBS: Record<string, Pick<FioJob, 'operation' | 'blockBytes' | 'depth'>> = {
  'block/read-1m': { operation: 'read', blockBytes: 1 << 20, depth: 4 },
  'block/write-1m': { operation: 'write', blockBytes: 1 << 20, depth: 4 },
  'block/randread-4k-qd1': { operation: 'randread', blockBytes: 4096, depth: 1 },
  'block/randread-4k-qd32': { operation: 'randread', blockBytes: 4096, depth: 32 },
  'block/randwrite-4k-qd32': { operation: 'randwrite', blockBytes: 4096, depth: 32 },
};

async function compareBlock(folder: string, specs: WorkloadSpec[]): Promise<Comparison[]> {
  if (specs.length === 0) return [];
  const disk = join(folder, 'disk');
  const maker = new LineProcess('mkdisk', image, ['mkdisk', disk, String(DISK_BYTES)]);
  await maker.line('disk path=');
  const guest = new NativeGuest(image, { disk });
  const comparisons: Comparison[] = [];
  try {
    await guest.booted();
    for (const { name } of specs) {
      const comparison = await compareWithFio(guest, name, disk);
      if (comparison) comparisons.push(comparison);
    }
  } finally {
    guest.stop();
  }
  return comparisons;
}

async function compareWithFio(guest: NativeGuest, workload: string, file: string): Promise<Comparison | undefined> {
  const uring = guest.blockFact?.startsWith('io_uring') === true;
  const job = FIO_JOBS[workload];
  if (!uring && job.depth > 1) {
    console.log(`${workload}: not compared, the kernel refuses io_uring and fio's synchronous engine has no depth`);
    return undefined;
  }
  const place = { offset: job.operation.endsWith('write') ? DISK_BYTES / 2 : 0, size: DISK_BYTES / 2 };
  const direct = guest.blockFact?.includes('O_DIRECT') === true;
  const full: FioJob = { ...job, ...place, engine: uring ? 'io_uring' : 'psync', direct, file };
  const bytes = job.blockBytes > 4096;
  await guest.prepare(workload);
  const bare = async (round: number) => {
    const { ops, seconds } = await guest.sample(BLOCK_SECONDS * 1000, round + 1);
    return ops / seconds;
  };
  const other = async () => {
    const { iops, bytesPerSecond } = await fio(full, BLOCK_SECONDS);
    return bytes ? bytesPerSecond : iops;
  };
  const against = `fio ${full.engine} qd${job.depth}${direct ? ' direct' : ''}`;
  return compare({ workload, against, unit: bytes ? 'B/s' : 'IOPS', limit: IO_LIMIT }, rounds(7), { bare, other });
}

async function compareNet(folder: string, specs: WorkloadSpec[]): Promise<Comparison[]> {
  if (specs.length === 0) return [];
  // As `virtax bench` places them: the scheduler alone puts both ends on one core or on two, which differ 18-fold.
  const { peer: peerCpu, netMachines } = placementOn(allowedCpus());
  const onPeerCpu = peerCpu === undefined ? undefined : [peerCpu];
  const peer = withHostCpus(onPeerCpu, () => new LineProcess('the peer', image, ['peer']));
  const port = numberIn(await peer.line('port='), 'port');
  const client = await build(folder, 'udp', ['baseline/udp.c']);
  const other = withHostCpus(netMachines, () => new LineProcess('the UDP client', client, [String(port)]));
  const guest = withHostCpus(netMachines, () => new NativeGuest(image, { peer: port }));
  const comparisons: Comparison[] = [];
  try {
    await guest.booted();
    for (const { name: workload } of specs) {
      await guest.prepare(workload);
      const bare = async (round: number) => {
        const { ops, seconds } = await guest.sample(SAMPLE_MS, round + 1);
        return ops / seconds;
      };
      const sockets = async () => {
        other.send(`${workload.slice('net/udp-'.length)} ${SAMPLE_MS}`);
        const line = await other.line('ops=');
        return numberIn(line, 'ops') / (numberIn(line, 'ns') / 1e9);
      };
      const unit = workload === 'net/udp-rr' ? 'round trips/s' : 'B/s';
      const about = { workload, against: 'C sockets', unit, limit: IO_LIMIT };
      comparisons.push(await compare(about, rounds(15), { bare, other: sockets }));
    }
  } finally {
    for (const process of [guest, other, peer]) process.stop();
  }
  return comparisons;
}

const WORDS: Record<Judgement, string> = { ok: 'ok', slow: 'TOO SLOW', undecided: 'too noisy to tell' };

/** Whether nothing is behind beyond doubt. */
function report(comparisons: Comparison[]): boolean {
  const table = new Table({
    head: ['workload', 'against', 'bare / other', '95 % interval', 'pairs', 'needed', ''],
    style: { head: [], border: [] },
  });
  const percent = (value: number) => `${(100 * value).toFixed(1)} %`;
  for (const comparison of comparisons) {
    const { median, low, high } = ratio(comparison);
    const row = [
      percent(median),
      `${percent(low)} to ${percent(high)}`,
      comparison.pairs.length,
      percent(comparison.limit),
      WORDS[judge(comparison)],
    ];
    table.push([`${comparison.workload} (${comparison.unit})`, comparison.against, ...row]);
  }
  console.log(table.toString());
  return comparisons.every((comparison) => judge(comparison) !== 'slow');
}

function warnOfLoad(): void {
  const load = loadavg()[0] ?? 0;
  if (load < availableParallelism()) return;
  console.log(
    `the host is busy (load ${load.toFixed(1)} on ${availableParallelism()} processors): figures of block and net will scatter`,
  );
}

async function main(): Promise<number> {
  warnOfLoad();
  const parent = join(packageRoot(), 'bench-results'); // a real file system, the one that the bench uses
  mkdirSync(parent, { recursive: true });
  const folder = mkdtempSync(join(parent, 'baseline-'));
  const group = (...groups: string[]) => wanted.filter((spec) => groups.includes(spec.group));
  try {
    const units = await compareUnits(folder, group('cpu', 'memory'));
    const block = await compareBlock(folder, group('block'));
    const net = await compareNet(folder, group('net'));
    return report([...units, ...block, ...net]) ? 0 : 1;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(error instanceof BuildError ? error.message : error);
  process.exitCode = 1;
}
