/**
 * The second half of `npm run check:domains`: how soon a domain of `para` starts, what its vCPUs take of the host beside the domain's
 * memory, and what many domains and many vCPUs do together. Each figure is measured and stands beside its mark; exit 1 when one is
 * missed.
 *
 * `--domains N` sets how many are many (default 32), `--vcpus N` likewise (default 32), `--tries N` how often a start is timed
 * (default 9; the median counts), `--workload NAME` what they do (default cpu/sieve: no locks, no devices), and
 * `--only start,memory,domains,vcpus` which parts are wanted.
 */
import { loadavg } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { para } from '../../engines/para/engine.js';
import { DOMAIN_BYTES, DomainFleet, hypervisorPid } from './domain-fleet.js';
import { atLeast, atMost, middle, printMarks, type Row } from './marks.js';
import { hypervisorMemoryOf } from './memory.js';

const MIB = 2 ** 20;
const FEW = 2;
const SAMPLE_MS = 1500;
/** V8 translates the guest's code in its first second. */
const WARM_MS = 1500;
const ROUNDS = 5;
/** The pool's warm threads are there again. */
const REFILLED_MS = 300;

const { values: options } = parseArgs({
  options: {
    domains: { type: 'string', default: '32' },
    vcpus: { type: 'string', default: '32' },
    tries: { type: 'string', default: '9' },
    workload: { type: 'string', default: 'cpu/sieve' },
    only: { type: 'string', default: 'start,memory,domains,vcpus' },
  },
});
const [domains, vcpus, tries] = [options.domains, options.vcpus, options.tries].map(Number);

/** Starts domains, lets `use` measure, and stops them whatever happens. */
async function withFleet<T>(
  count: number,
  each: number,
  use: (fleet: DomainFleet, startMs: number) => Promise<T>,
): Promise<T> {
  const fleet = new DomainFleet(count, each, options.workload);
  try {
    return await use(fleet, await fleet.start());
  } finally {
    await fleet.stop();
  }
}

/** A hypervisor is warm when it has had a domain. */
const warmUp = (): Promise<void> => withFleet(1, 1, async (fleet) => void (await fleet.throughput(WARM_MS)));

async function start(): Promise<Row[]> {
  await warmUp();
  const times: number[] = [];
  for (let n = 0; n < tries; n++) {
    await sleep(REFILLED_MS);
    times.push(await withFleet(1, 1, async (_, ms) => ms));
  }
  const [least, most] = [Math.min(...times), Math.max(...times)].map((ms) => ms.toFixed(1));
  return [
    atMost(`from create to a domain's first workload (${least} to ${most} ms in ${tries})`, middle(times), 30, 'ms'),
  ];
}

/** MiB of the hypervisor's process beyond its domains' memory, while they work. */
async function beyond(fleet: DomainFleet): Promise<number> {
  await fleet.throughput(WARM_MS);
  const sample = fleet.throughput(SAMPLE_MS);
  await sleep(SAMPLE_MS / 2);
  const { pssBytes, ramBytes } = hypervisorMemoryOf(hypervisorPid(), DOMAIN_BYTES);
  await sample;
  return (pssBytes - ramBytes) / MIB;
}

async function memory(): Promise<Row[]> {
  await warmUp();
  await sleep(REFILLED_MS);
  const before = hypervisorMemoryOf(hypervisorPid(), DOMAIN_BYTES).pssBytes / MIB;
  const many = await withFleet(domains, 1, beyond);
  const what = `memory of a vCPU beyond its domain's, ${domains} domains (the process without any: ${before.toFixed(0)} MiB)`;
  return [atMost(what, (many - before) / domains, 12, 'MiB')];
}

/** Both are up all the time and measured by turns. */
async function share(few: DomainFleet, many: DomainFleet, times: number): Promise<number> {
  await few.throughput(WARM_MS);
  await many.throughput(WARM_MS * times);
  const shares: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const two = await few.throughput(SAMPLE_MS);
    shares.push((100 * (await many.throughput(SAMPLE_MS * times))) / two);
  }
  return middle(shares);
}

async function together(): Promise<Row[]> {
  return withFleet(FEW, 1, (few) =>
    withFleet(domains, 1, async (many, startMs) => [
      atMost(`start of ${domains} domains, the last one's first workload`, startMs / 1000, 15, 's'),
      atLeast(`throughput of ${domains} domains, of that of ${FEW}`, await share(few, many, 2), 95, '%'),
    ]),
  );
}

async function manyVcpus(): Promise<Row[]> {
  return withFleet(1, FEW, (few) =>
    withFleet(1, vcpus, async (many) => [
      atLeast(`throughput of ${vcpus} vCPUs of one domain, of that of ${FEW}`, await share(few, many, 2), 95, '%'),
    ]),
  );
}

function partNamed(name: string): () => Promise<Row[]> {
  const parts: Readonly<Record<string, () => Promise<Row[]>>> = { start, memory, domains: together, vcpus: manyVcpus };
  if (Object.hasOwn(parts, name)) return parts[name];
  console.error(`--only: there is no part ${name}, but ${Object.keys(parts).join(', ')}`);
  process.exit(2);
}

const load = loadavg()[0];
const rows: Row[] = [];
try {
  for (const part of options.only.split(',')) rows.push(...(await partNamed(part)()));
} finally {
  await para.close();
}
printMarks(rows, load);
