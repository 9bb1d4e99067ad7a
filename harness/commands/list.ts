/** `virtax list`: what there is to measure. */
import Table from 'cli-table3';
import { Argument, Command } from 'commander';
import { type Context, probeEngines } from '../context.js';
import { builtInProfiles } from '../profiles.js';
import { formatSize } from '../usage.js';

export const LISTS = ['engines', 'workloads', 'profiles'] as const;
export type ListName = (typeof LISTS)[number];

export function listCommand(): Command {
  return new Command('list')
    .summary('show engines, workloads or profiles')
    .description('Shows the engines and whether they can run on this host, the workloads, or the profiles.')
    .addArgument(new Argument('<what>', 'what to show').choices([...LISTS]))
    .addHelpText('after', '\nExamples:\n  virtax list engines\n  virtax list workloads\n  virtax list profiles');
}

/** @returns the exit status */
export async function list(what: ListName, context: Context): Promise<number> {
  const rows = await { engines: engineRows, workloads: workloadRows, profiles: profileRows }[what](context);
  const grid = new Table({ head: rows[0], style: { head: [], border: [], compact: true } });
  grid.push(...rows.slice(1));
  context.out.write(`${grid.toString()}\n`);
  return 0;
}

async function engineRows(context: Context): Promise<string[][]> {
  const probed = await probeEngines(context.engines);
  const rows = probed.map(({ engine, probe }) => [
    engine.name,
    engine.kind,
    engine.summary,
    probe.ok ? 'yes' : `no: ${probe.reason}`,
  ]);
  return [['engine', 'kind', 'what it is', 'runs here'], ...rows];
}

async function workloadRows(context: Context): Promise<string[][]> {
  const rows = context.specs.map((spec) => [
    spec.name,
    spec.unit,
    spec.comparable ? 'yes' : 'no',
    String(spec.minVcpus),
    spec.measures,
  ]);
  return [['workload', 'unit', '% of bare metal', 'vCPUs from', 'measures'], ...rows];
}

async function profileRows(): Promise<string[][]> {
  const rows = (await builtInProfiles()).map((profile) => [
    profile.name,
    `${profile.samples} x ${profile.sampleMs} ms`,
    profile.engines.join(', '),
    formatSize(profile.diskSize),
    profile.summary,
  ]);
  return [['profile', 'samples', 'engines', 'disk', 'what it measures'], ...rows];
}
