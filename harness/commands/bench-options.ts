/** The flags of `virtax bench`, checked and turned into values. */
import { Command, Option } from 'commander';
import type { PlanOptions } from '../plan.js';
import { DEFAULT_PROFILE, findProfile, type Profile, readProfileFile } from '../profiles.js';
import { parseCounts, parseInteger, parseSize, parseWords, UsageError } from '../usage.js';

/** As commander hands them over: each flag is text, or absent. */
export interface BenchFlags {
  profile?: string;
  profileFile?: string;
  guest?: string;
  engines?: string;
  workloads?: string;
  vms?: string;
  vcpus?: string;
  samples?: string;
  duration?: string;
  memory?: string;
  diskFile?: string;
  diskSize?: string;
  seed?: string;
  out?: string;
  resume?: string;
  reports?: boolean;
  counters?: boolean;
}

const LEAST_MEMORY = 16 << 20;
const LEAST_DISK = 8 << 20; // halves of 4 MiB: the 1 MiB workloads need several requests in each
const MOST_SEED = 2 ** 31 - 1;
const DEFAULT_SEED = 1;

const EXAMPLES = `
Examples:
  virtax bench                                          the standard profile, within 6 minutes
  virtax bench --profile quick                          a first look, within 90 seconds
  virtax bench --engines bare,para --workloads 'cpu/*'  two engines, the cpu workloads
  virtax bench --workloads cpu/sha256 --vms 1,2,4,8     scaling with the number of VMs
  virtax bench --guest debian                           ordinary programs in an unmodified Debian
  virtax bench --resume bench-results/2026-01-31…       go on with a run that was stopped

Exit status: 0 fine, 1 a cell or the run failed or nothing was measured, 2 bad usage, 130/143 stopped by Ctrl-C/kill.`;

export function benchCommand(): Command {
  return new Command('bench')
    .summary('measure the engines and write results and reports')
    .description('Runs the same work on bare metal and in the VMs of each engine and reports percent of bare metal.')
    .addOption(
      new Option('--profile <name>', `quick, standard or full (default: ${DEFAULT_PROFILE})`).conflicts('profileFile'),
    )
    .option('--profile-file <file>', 'a profile of your own: JSON as in harness/profiles/')
    .addOption(
      new Option('--guest <system>', 'measure ordinary programs in a guest OS that is not our own').choices(['debian']),
    )
    .option('--engines <list>', 'engines to measure, by comma: bare,full,para,qemu')
    .option('--workloads <globs>', "workloads to measure, by comma: cpu/sieve,'block/*'")
    .option('--vms <list>', 'numbers of VMs, each from 1 to 32: 1,2,4')
    .option('--vcpus <list>', 'numbers of vCPUs of each VM, from 1 to 32: 1,2,4')
    .option('--samples <n>', 'samples of each cell, at least 5')
    .option('--duration <ms>', 'length of a sample, from 10 ms to 10 minutes')
    .option('--memory <size>', 'memory of each VM: 64M, 1G (default: what its workloads need)')
    .option(
      '--disk-file <path>',
      'where the VMs’ disk files go: PATH0.img, PATH1.img, … (default: in the run’s folder)',
    )
    .option('--disk-size <size>', 'size of each disk: 128M, 1G')
    .option('--seed <n>', `seed of data, order and intervals (default: ${DEFAULT_SEED})`)
    .option('--out <dir>', 'folder for results and reports (default: bench-results/<time>-<profile>)')
    .addOption(
      new Option('--resume <dir>', 'go on with the run in this folder; cells that failed are measured again').conflicts(
        'out',
      ),
    )
    .option('--counters', 'show exits, interrupts and TLB misses per operation at the end')
    .option('--no-reports', 'write results.json alone')
    .addHelpText('after', EXAMPLES);
}

/** The profile that the flags name. @throws UsageError */
export function profileOf(flags: BenchFlags): Promise<Profile> {
  if (flags.profileFile !== undefined) return readProfileFile(flags.profileFile);
  return findProfile(flags.profile ?? flags.guest ?? DEFAULT_PROFILE);
}

/** @throws UsageError that names the flag */
export function planOptions(flags: BenchFlags): PlanOptions {
  const options: PlanOptions = {
    seed: parseIf(flags.seed, (text) => parseInteger(text, '--seed', 0, MOST_SEED)) ?? DEFAULT_SEED,
  };
  const set = <K extends keyof PlanOptions>(name: K, value: PlanOptions[K] | undefined) => {
    if (value !== undefined) options[name] = value;
  };
  set(
    'engines',
    parseIf(flags.engines, (text) => parseWords(text, '--engines')),
  );
  set(
    'workloads',
    parseIf(flags.workloads, (text) => parseWords(text, '--workloads')),
  );
  set(
    'vms',
    parseIf(flags.vms, (text) => parseCounts(text, '--vms')),
  );
  set(
    'vcpus',
    parseIf(flags.vcpus, (text) => parseCounts(text, '--vcpus')),
  );
  set(
    'samples',
    parseIf(flags.samples, (text) => parseInteger(text, '--samples', 5, 1000)),
  );
  set(
    'sampleMs',
    parseIf(flags.duration, (text) => parseInteger(text, '--duration', 10, 600_000)),
  );
  set(
    'memoryBytes',
    parseIf(flags.memory, (text) => atLeast(parseSize(text, '--memory'), LEAST_MEMORY, '--memory', '16M')),
  );
  set(
    'diskBytes',
    parseIf(flags.diskSize, (text) => diskSize(text)),
  );
  return options;
}

/** Whether any flag says what to measure: a resumed run may leave all of them away. */
export function choosesPlan(flags: BenchFlags): boolean {
  const { out: _out, resume: _resume, reports: _reports, counters: _counters, diskFile: _diskFile, ...choices } = flags;
  return Object.values(choices).some((value) => value !== undefined);
}

function diskSize(text: string): number {
  const bytes = atLeast(parseSize(text, '--disk-size'), LEAST_DISK, '--disk-size', '8M');
  if (bytes % (1 << 20) !== 0) throw new UsageError(`--disk-size: "${text}" is not a whole number of MiB`);
  return bytes;
}

function atLeast(bytes: number, least: number, flag: string, shown: string): number {
  if (bytes < least) throw new UsageError(`${flag}: at least ${shown}`);
  return bytes;
}

function parseIf<T>(text: string | undefined, parse: (text: string) => T): T | undefined {
  return text === undefined ? undefined : parse(text);
}
