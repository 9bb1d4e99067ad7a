/** `virtax domains`: the domains of all para hypervisors of this user, live, and what can be done with them. */
import { setTimeout as sleep } from 'node:timers/promises';
import Table from 'cli-table3';
import { Argument, Command } from 'commander';
import type { IoPolicy } from '../../engines/io-policy.js';
import { IoPolicyError, readIoPolicy } from '../../engines/io-policy-file.js';
import { parseCpuList } from '../../engines/process/affinity.js';
import type { Context } from '../context.js';
import { connectAll, type HypervisorClient, HypervisorGone, ManagementFailure, type Wish } from '../domains/client.js';
import { type DomainUsage, UsageWatch } from '../domains/usage.js';
import { onStopSignals } from '../signals.js';
import { formatSize, parseInteger, parseSize, UsageError } from '../usage.js';

const ACTIONS = [
  'list',
  'pause',
  'resume',
  'shutdown',
  'destroy',
  'vcpus',
  'memory',
  'weight',
  'cap',
  'pin',
  'policy',
  'restart-driver',
] as const;
export type DomainsAction = (typeof ACTIONS)[number];

export interface DomainsFlags {
  watch: boolean;
  json: boolean;
}

/** Between the two looks that a rate needs. */
const LOOK_MS = 250;
const WATCH_MS = 1000;
const MAX_VCPUS = 32;
/** ECMA-48: CUP, ED. */
const HOME_AND_CLEAR = '\x1b[H\x1b[J';
const NONE = 'No domains run. This starts one: virtax run --engine para --kernel IMAGE\n';
const HELP = `
Examples:
  virtax domains --watch
  virtax domains pause 4711.1
  virtax domains vcpus guest 4
  virtax domains memory guest 256M
  virtax domains weight guest 512
  virtax domains cap guest 50
  virtax domains policy policy.json
  virtax domains restart-driver

DOMAIN is the ID or the name as the list shows them. CPU and STEAL are percent of one processor.
A weight is each vCPU's against those of other domains, by nice values of the host's scheduler (steps of 1.25).
A cap is percent of one processor for all vCPUs together, 0 for none; it needs a control group that this user may make: where there is none
it is refused, with the reason. The list shows what is enforced.
A policy (JSON) is for the I/O of all domains that run: order fifo, priority, wfq or deadline; caps, weights, classes, latency targets.
restart-driver kills the block driver of the core OS in the middle of what it does, and starts it anew: what was under way is done
again and answered once. DRIVER counts its starts.

Exit status: 1 when the hypervisor or the guest did not do it, 2 for bad usage.`;

export function domainsCommand(): Command {
  return new Command('domains')
    .summary('list and drive the domains of para hypervisors')
    .description('Lists the domains of all running para hypervisors of this user, and drives them.')
    .addArgument(new Argument('[action]', 'what to do').choices(ACTIONS).default('list'))
    .argument('[domain]', 'ID or name; policy: the file')
    .argument(
      '[value]',
      'vcpus: how many; memory: how much (64M); weight: 1 to 65535, 256 at first; cap: percent, 0 to 3200; pin: CPUs of the host (0-1,3)',
    )
    .option('--watch', 'the list anew each second, until Ctrl-C', false)
    .option('--json', 'each list as one line of JSON', false)
    .addHelpText('after', HELP);
}

/** @returns the exit status */
export async function domains(
  [action, domain, value]: [DomainsAction, string | undefined, string | undefined],
  flags: DomainsFlags,
  context: Context,
): Promise<number> {
  if (action === 'list') return await list(flags, context);
  if (flags.watch || flags.json) throw new UsageError(`--watch and --json are for the list, not for ${action}`);
  if (action === 'policy') return await setPolicy(domain, value, context);
  if (action === 'restart-driver') return await restartDriver(domain, context);
  const wish = wishOf(action, value);
  if (domain === undefined) throw new UsageError(`${action} what? Give a domain; virtax domains lists them`);
  const clients = await connectAll();
  try {
    const { client, id } = await find(clients, domain);
    await client.ask({ ...wish, domain: id } as Wish);
    return 0;
  } catch (error) {
    if (!(error instanceof ManagementFailure)) throw error;
    const wanted = action === 'shutdown' || action === 'destroy';
    if (wanted && error instanceof HypervisorGone) return 0; // its last domain is no more, and sooner than it could say so
    context.err.write(`virtax: ${action} ${domain}: ${error.message}\n`);
    return 1;
  } finally {
    for (const client of clients) client.close();
  }
}

/** For all hypervisors of this user. @throws UsageError */
async function setPolicy(file: string | undefined, extra: string | undefined, { err, out }: Context): Promise<number> {
  if (file === undefined) throw new UsageError('policy: of which file? For example: virtax domains policy policy.json');
  if (extra !== undefined)
    throw new UsageError(`policy takes a file alone, not ${extra} too: a policy is for all domains`);
  const policy = policyOf(file);
  const clients = await connectAll();
  try {
    if (clients.length === 0) throw new UsageError('no hypervisor runs: give the policy to virtax run with --policy');
    for (const client of clients) await client.ask({ command: 'policy', policy });
    out.write(`The policy is in force (${clients.map(({ pid }) => `hypervisor ${pid}`).join(', ')}).\n`);
    return 0;
  } catch (error) {
    if (!(error instanceof ManagementFailure)) throw error;
    err.write(`virtax: policy ${file}: ${error.message}\n`);
    return 1;
  } finally {
    for (const client of clients) client.close();
  }
}

/** Of all hypervisors of this user. @throws UsageError */
async function restartDriver(extra: string | undefined, { err, out }: Context): Promise<number> {
  if (extra !== undefined)
    throw new UsageError(`restart-driver takes nothing, not ${extra}: all domains have the same`);
  const clients = await connectAll();
  try {
    if (clients.length === 0) throw new UsageError('no hypervisor runs, so there is no driver to restart');
    for (const client of clients) await client.ask({ command: 'restart-driver' });
    out.write(`The block driver was restarted (${clients.map(({ pid }) => `hypervisor ${pid}`).join(', ')}).\n`);
    return 0;
  } catch (error) {
    if (!(error instanceof ManagementFailure)) throw error;
    err.write(`virtax: restart-driver: ${error.message}\n`);
    return 1;
  } finally {
    for (const client of clients) client.close();
  }
}

function policyOf(file: string): IoPolicy {
  try {
    return readIoPolicy(file);
  } catch (error) {
    if (error instanceof IoPolicyError) throw new UsageError(error.message);
    throw error;
  }
}

/** Without its domain. @throws UsageError */
function wishOf(
  command: Exclude<DomainsAction, 'list' | 'policy' | 'restart-driver'>,
  value: string | undefined,
): object {
  if (command === 'vcpus') return { command, vcpus: parseInteger(needed(value, 'vcpus 2'), 'vcpus', 1, MAX_VCPUS) };
  if (command === 'memory') return { command, bytes: parseSize(needed(value, 'memory 64M'), 'memory') };
  if (command === 'weight') return { command, weight: parseInteger(needed(value, 'weight 512'), 'weight', 1, 65535) };
  if (command === 'cap') return { command, percent: parseInteger(needed(value, 'cap 50'), 'cap', 0, 3200) };
  if (command === 'pin') return { command, cpus: hostCpus(needed(value, 'pin 0-1')) };
  if (value !== undefined) throw new UsageError(`${command} takes a domain alone, not ${value} too`);
  return { command };
}

/** `0-1,3`. @throws UsageError */
function hostCpus(list: string): number[] {
  if (!/^\d{1,4}(-\d{1,4})?(,\d{1,4}(-\d{1,4})?)*$/.test(list))
    throw new UsageError(`pin: ${list} is no list of CPUs; write 0-1,3`);
  return parseCpuList(list);
}

function needed(value: string | undefined, example: string): string {
  const [action, amount] = example.split(' ');
  if (value === undefined)
    throw new UsageError(`${action}: how much? For example: virtax domains ${action} DOMAIN ${amount}`);
  return value;
}

/** By ID or, if only one has it, name. @throws UsageError */
async function find(clients: HypervisorClient[], wanted: string): Promise<{ client: HypervisorClient; id: number }> {
  const all = await new UsageWatch().look(clients);
  const found = all.filter(({ id, name }) => id === wanted || name === wanted);
  const ids = (some: DomainUsage[]): string => some.map(({ id, name }) => `${id} (${name})`).join(', ');
  if (found.length > 1) throw new UsageError(`${wanted} is the name of several: take the ID, of ${ids(found)}`);
  const [one] = found;
  const client = clients.find(({ pid }) => found.length === 1 && one.id === `${pid}.${one.domain}`);
  if (client === undefined) {
    const there = all.length === 0 ? 'none runs' : `there are ${ids(all)}`;
    throw new UsageError(`there is no domain ${wanted}; ${there}`);
  }
  return { client, id: one.domain };
}

async function list(flags: DomainsFlags, { out }: Context): Promise<number> {
  const watch = new UsageWatch();
  const stop = onStopSignals();
  const pause = (ms: number) => sleep(ms, undefined, { signal: stop.signal }).catch(() => {});
  const look = async (): Promise<DomainUsage[]> => {
    const clients = await connectAll(); // each time: hypervisors come and go
    try {
      return await watch.look(clients);
    } finally {
      for (const client of clients) client.close();
    }
  };
  try {
    if ((await look()).length > 0) await pause(LOOK_MS);
    while (!stop.signal.aborted) {
      const usage = await look();
      if (flags.watch && !flags.json && out.isTTY) out.write(HOME_AND_CLEAR);
      out.write(flags.json ? `${JSON.stringify(usage)}\n` : listText(usage));
      if (!flags.watch) break;
      await pause(WATCH_MS);
    }
    return 0;
  } finally {
    stop.release();
  }
}

const round = (value: number | null, digits = 0): string => (value === null ? '-' : value.toFixed(digits));

/** Weight, and what else is enforced. */
function shareText({ weight, capPercent, cpus }: DomainUsage): string {
  const cap = capPercent === null ? [] : [`cap ${capPercent} %`];
  const pinned = cpus === null ? [] : [`on ${cpus.join(',')}`];
  return [`${weight}`, ...cap, ...pinned].join(', ');
}

function listText(usage: DomainUsage[]): string {
  if (usage.length === 0) return NONE;
  const table = new Table({
    head: [
      'ID',
      'NAME',
      'STATE',
      'VCPUS',
      'MEMORY',
      'CPU SHARE',
      'CPU',
      'STEAL',
      'DRIVER',
      'DISK OPS/S',
      'DISK BYTES/S',
      'DISK WAIT MS',
      'NET FRAMES/S',
      'NET BYTES/S',
    ],
    style: { head: [], border: [] },
  });
  for (const each of usage) {
    table.push([
      ...[each.id, each.name, each.state, `${each.vcpus} of ${each.maxVcpus}`],
      `${formatSize(each.memoryBytes)} of ${formatSize(each.maxMemoryBytes)}`,
      shareText(each),
      ...[`${round(each.cpuPercent, 1)} %`, `${round(each.stealPercent, 1)} %`, each.driverGeneration ?? '-'],
      ...[each.blockRequestsPerSecond, each.blockBytesPerSecond].map((rate) => round(rate)),
      round(each.blockWaitMs, 2),
      ...[each.netFramesPerSecond, each.netBytesPerSecond].map((rate) => round(rate)),
    ]);
  }
  return `${table.toString()}\n`;
}
