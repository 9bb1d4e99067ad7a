/**
 * `npm run check:density`: what machines of `full` take of the host beside guest RAM, how soon they start, and what many
 * of them do together. Each figure is measured and stands beside its mark; exit 1 when one is missed.
 *
 * `--vms N` sets how many are many (default 32), `--harts N` likewise (default 8), `--tries N` how often the start of one
 * machine is timed (default 5; the median counts), `--workload NAME` what many of them do together (default cpu/sieve), and
 * `--only start,memory,together` which of the three parts are wanted.
 */
import { availableParallelism, loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { Fleet } from './fleet.js';
import { atLeast, atMost, middle, printMarks, type Row } from './marks.js';

const MIB = 2 ** 20;
const FEW = 4;
const SETTLE_MS = 4000;
const SAMPLE_MS = 2000;
/** A machine compiles what it runs in its first second of processor time. */
const WARM_MS = 1500;
const ROUNDS = 3;

const { values: options } = parseArgs({
  options: {
    vms: { type: 'string', default: '32' },
    harts: { type: 'string', default: '8' },
    tries: { type: 'string', default: '5' },
    workload: { type: 'string', default: 'cpu/sieve' },
    only: { type: 'string', default: 'start,memory,together' },
  },
});
const [vms, harts, tries] = [options.vms, options.harts, options.tries].map(Number);

/** Boots machines, lets `use` measure, and stops them whatever happens. */
async function withFleet<T>(fleet: Fleet, use: (fleet: Fleet) => Promise<T>): Promise<T> {
  try {
    return await use(fleet);
  } finally {
    await fleet.stop();
  }
}

async function startOfOne(): Promise<Row[]> {
  const started = [];
  for (let n = 0; n < tries; n++) started.push(await withFleet(new Fleet(1, 1), (fleet) => fleet.start()));
  started.sort((a, b) => a.firstWorkloadMs - b.firstWorkloadMs);
  const { firstWorkloadMs, bootCpuMs } = started[started.length >> 1];
  const what = `start of one VM to its first workload (${bootCpuMs.toFixed(0)} ms of CPU time to boot)`;
  return [atMost(what, firstWorkloadMs, 200, 'ms')];
}

/** MiB beyond guest RAM. */
async function beyondRam(fleet: Fleet): Promise<number> {
  await fleet.start();
  await fleet.throughput(SETTLE_MS);
  const { pssBytes, ramBytes } = await fleet.memory(SETTLE_MS);
  return (pssBytes - ramBytes) / MIB;
}

async function memory(): Promise<Row[]> {
  const one = await withFleet(new Fleet(FEW, 1), beyondRam);
  const many = await withFleet(new Fleet(FEW, harts), beyondRam);
  return [
    atMost(`memory of a VM beyond guest RAM, ${FEW} VMs with one hart`, one, 50, 'MiB'),
    atMost(`memory of a further hart, ${FEW} VMs with ${harts}`, (many - one) / (harts - 1), 12, 'MiB'),
  ];
}

/** Many VMs and two, both up all the time and measured by turns. */
async function together(): Promise<Row[]> {
  return withFleet(new Fleet(2, 1, options.workload), async (two) => {
    await two.start();
    return withFleet(new Fleet(vms, 1, options.workload), async (many) => {
      const { firstWorkloadMs } = await many.start();
      const shares: number[] = [];
      const perCpu: number[] = [];
      await two.throughput(WARM_MS);
      await many.throughput((WARM_MS * vms) / availableParallelism());
      for (let round = 0; round < ROUNDS; round++) {
        const few = await two.throughput(SAMPLE_MS);
        const all = await many.throughput(SAMPLE_MS * Math.max(1, vms / 16));
        shares.push((100 * all.perSecond) / few.perSecond);
        perCpu.push((100 * all.perCpuSecond) / few.perCpuSecond);
      }
      const share = middle(shares);
      return [
        atMost(`start of ${vms} VMs, the last one's first workload`, firstWorkloadMs / 1000, 15, 's'),
        atLeast(
          `throughput of ${vms} VMs at ${options.workload}, of that of 2 (a CPU second: ${middle(perCpu).toFixed(0)} %)`,
          share,
          90,
          '%',
        ),
      ];
    });
  });
}

function partNamed(name: string): () => Promise<Row[]> {
  const parts: Readonly<Record<string, () => Promise<Row[]>>> = { start: startOfOne, memory, together };
  if (Object.hasOwn(parts, name)) return parts[name];
  console.error(`--only: there is no part ${name}, but ${Object.keys(parts).join(', ')}`);
  process.exit(2);
}

const rows: Row[] = [];
const load = loadavg()[0];
for (const part of options.only.split(',')) rows.push(...(await partNamed(part)()));
printMarks(rows, load);
