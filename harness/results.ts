/**
 * results.json: the one file a run leaves behind and the only thing that reports and comparisons read.
 *
 * The schema below is the contract; the TypeScript types are inferred from it and results.schema.json is generated from
 * it (`npm run schema`; a test holds the two equal). Names are fixed: more may be added, none is ever renamed or reused.
 * What could not be measured is null, never 0 and never a made-up number; a failed or skipped cell stays in the file
 * with its reason.
 */
import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { writeFileAtomically } from './atomic-file.js';

/** Raised only when a reader of the former version would misunderstand a file. */
export const SCHEMA_VERSION = 1;

const count = z.int().min(0);
const nullableNumber = z.number().nullable();
const interval = z.tuple([z.number(), z.number()]);

export const HostSchema = z.object({
  cpu: z.string().describe('Model name of the processor'),
  cores: z.int().min(1).describe('Logical processors that this process may run on'),
  memoryBytes: z.number().min(0),
  os: z.string().describe('Distribution, as in /etc/os-release'),
  kernel: z.string(),
  node: z.string(),
  arch: z.string(),
  virtualized: z.boolean().describe('The host is itself a virtual machine'),
  hypervisor: z.string().nullable().describe('Which one, where it says so'),
  cpuQuota: nullableNumber.describe('CPUs that the cgroup allows; null: no quota'),
  smt: z.boolean().nullable().describe('Simultaneous multithreading is on'),
  governor: z.string().nullable().describe('Frequency governor; null: the host does not show one'),
  loadAverage: nullableNumber.describe('Load of the last minute when the run began'),
  clockSource: z.string().nullable(),
});

export const EngineInfoSchema = z.object({
  name: z.string(),
  kind: z.enum(['bare metal', 'full virtualization', 'paravirtualization']),
  summary: z.string(),
  status: z.enum(['ok', 'unavailable']).describe('unavailable: the engine cannot run on this host'),
  reason: z.string().nullable(),
  notes: z.array(z.string()),
  facts: z.record(z.string(), z.string()).describe('What its machines said of themselves: I/O method, image, …'),
  doorbellNs: z
    .object({ median: z.number(), low: z.number(), high: z.number(), pairs: z.int().min(1) })
    .nullable()
    .describe('An empty start/stop pair of doorbells, ns: the error that the stamping itself can make'),
  bootMs: nullableNumber.describe('Median time from boot() to the guest’s banner'),
});

/** What decides which cells there are and how they are measured; --resume goes on only where it is the same. */
export const PlanKeySchema = z.object({
  engines: z.array(z.string()),
  workloads: z.array(z.string()),
  groups: z
    .array(z.object({ vms: z.int().min(1).max(32), vcpus: z.int().min(1).max(32), workloads: z.array(z.string()) }))
    .describe('Which workloads are measured at which number of VMs and vCPUs'),
  samples: z.int().min(1),
  sampleMs: z.number().min(0),
  seed: z.int().min(0),
  memoryBytes: nullableNumber.describe('Memory of each VM; null: as much as the workloads need'),
  diskBytes: z.number().min(0),
  images: z.record(z.string(), z.string()).describe('SHA-256 of each guest image by its path'),
});

export const RunSchema = z.object({
  profile: z.string(),
  seed: z.int().min(0),
  startedAt: z.iso.datetime(),
  durationMs: z.number().min(0).describe('Wall time of the whole run so far, all resumptions together'),
  finished: z.boolean().describe('false: the run was stopped, or is still going on'),
  sampleMs: z.number().min(0).describe('Length of one sample'),
  waiting: z.object({ pollUs: z.number().min(0) }).describe('How every thread waits: 0 blocks at once'),
  commandLine: z.array(z.string()),
  gitCommit: z.string().nullable(),
  resumed: count.describe('How often the run was resumed'),
  disk: z
    .object({ path: z.string(), bytes: z.number(), fileSystem: z.string(), direct: z.boolean() })
    .nullable()
    .describe('Backing files of the disks; direct: the file system took O_DIRECT'),
  images: z.record(z.string(), z.string()),
  notes: z.array(z.string()).describe('What a reader should know of this run as a whole'),
  plan: PlanKeySchema,
});

/** One round of a cell: one sample, taken on all of its VMs at once. */
export const RoundSchema = z.object({
  round: count.describe('Rounds with the same number are pairs across the engines'),
  position: count.describe('Turn of this engine within the round, from 0'),
  value: z.number().describe('The figure, in the cell’s unit'),
  windowNs: z.number().describe('From the first VM’s start doorbell to the last one’s stop doorbell'),
  ops: z.number(),
  units: z.number(),
  clockDriftPct: z.number().describe('Guest’s clock against the host’s over the sample; the worst VM'),
  cpuSeconds: z.number().describe('CPU time of all VMs, guest and engine together'),
  checksum: z.string().describe('Of all VMs, folded in order'),
  perVm: z
    .array(z.number())
    .describe('The figure of each VM over its own doorbells; of policy workloads its operations a second'),
  details: z
    .record(z.string(), z.number())
    .optional()
    .describe('What stands behind the figure of a policy workload: quantiles of VM 0, alone and beside the others, ns'),
});

export const PercentSchema = z.object({
  median: z.number(),
  low: z.number(),
  high: z.number(),
  pairs: z.int().min(1),
});

export const PeerRatioSchema = PercentSchema.extend({
  peer: z.string().describe('The engine that it refers to'),
}).describe('Median of the paired ratios; above 1: better than the peer');

export const CellSchema = z.object({
  engine: z.string(),
  workload: z.string().describe('group/name'),
  vms: z.int().min(1).max(32),
  vcpus: z.int().min(1).max(32),
  metric: z.enum(['throughput', 'time-per-op', 'reported', 'policy']),
  unit: z.string(),
  higherIsBetter: z.boolean(),
  samples: z.array(z.number()).describe('One figure a round, in the order measured'),
  median: nullableNumber,
  ci: interval.nullable().describe('95 % bootstrap interval of the median'),
  clockDriftPct: nullableNumber.describe('Worst drift of the guest’s clock over the samples'),
  percentOfBareMetal: PercentSchema.nullable().describe('Median of the paired ratios; null where it makes no sense'),
  percentOfBareMetalScalar: PercentSchema.nullable().describe('Against bare metal built without vectorization'),
  promise: z
    .object({ low: nullableNumber, high: z.number(), kept: z.boolean().nullable() })
    .nullable()
    .optional()
    .describe('Between which values a policy workload’s median is to be, and whether it is; absent in older files'),
  ratioToPeer: PeerRatioSchema.nullable().optional().describe('Against the same image on QEMU; absent in older files'),
  cpuSecondsPerOp: nullableNumber.describe('CPU time of all VMs, guest and engine, for one operation of the unit'),
  counters: z.record(z.string(), z.number()).describe('Sums over the samples, all VMs together'),
  operations: nullableNumber
    .optional()
    .describe('Operations of the unit over all samples, all VMs: what counters are divided by; absent in older files'),
  status: z.enum(['ok', 'failed', 'skipped']),
  reason: z.string().nullable(),
  consoleTail: z.array(z.string()).describe('Last lines of the guest that failed'),
  warnings: z.array(z.string()),
  memoryBytes: z.number().min(0).describe('Memory of each VM'),
  rounds: z.array(RoundSchema),
  finishedAt: z.iso.datetime().nullable(),
});

export const ResultsSchema = z.object({
  schema: z.literal(SCHEMA_VERSION),
  tool: z.object({ name: z.literal('virtax'), version: z.string() }),
  host: HostSchema,
  run: RunSchema,
  engines: z.array(EngineInfoSchema),
  cells: z.array(CellSchema),
});

export type Host = z.infer<typeof HostSchema>;
export type EngineInfo = z.infer<typeof EngineInfoSchema>;
export type PlanKey = z.infer<typeof PlanKeySchema>;
export type Run = z.infer<typeof RunSchema>;
export type Round = z.infer<typeof RoundSchema>;
export type Percent = z.infer<typeof PercentSchema>;
export type PeerRatio = z.infer<typeof PeerRatioSchema>;
export type Cell = z.infer<typeof CellSchema>;
export type Results = z.infer<typeof ResultsSchema>;

/** Input that is not a results file of ours; the message says which file, what is wrong and what to do. Exit status 2. */
export class ResultsError extends Error {
  override readonly name = 'ResultsError';
}

/**
 * Checks text that should be a results file.
 * @param source where it came from, for messages
 * @throws ResultsError
 */
export function parseResults(text: string, source: string): Results {
  const value = parseJson(text, source);
  refuseForeign(value, source);
  const parsed = ResultsSchema.safeParse(value);
  if (!parsed.success) throw new ResultsError(describeIssues(source, parsed.error));
  return parsed.data;
}

/** Reads and checks a results file. @throws ResultsError, also when the file cannot be read. */
export async function readResults(path: string): Promise<Results> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    throw new ResultsError(`cannot read ${path}: ${readFailure(error)}`);
  }
  return parseResults(text, path);
}

/** Replaces the file as a whole: a reader sees the old or the new content, whatever happens meanwhile. */
export async function writeResults(path: string, results: Results): Promise<void> {
  await writeFileAtomically(path, `${JSON.stringify(ResultsSchema.parse(results), null, 1)}\n`);
}

/** The published JSON Schema (draft 2020-12), as text. */
export function resultsJsonSchema(): string {
  const schema = z.toJSONSchema(ResultsSchema, { io: 'input' });
  return `${JSON.stringify({ title: 'virtax results', ...schema }, null, 2)}\n`;
}

/** Identity of a cell across files. */
export function cellKey(cell: Pick<Cell, 'engine' | 'workload' | 'vms' | 'vcpus'>): string {
  return `${cell.engine} ${cell.workload} vms=${cell.vms} vcpus=${cell.vcpus}`;
}

function parseJson(text: string, source: string): unknown {
  if (text.trim() === '') throw new ResultsError(`${source} is empty: not a results file`);
  try {
    return JSON.parse(text);
  } catch (error) {
    const truncated = !text.trimEnd().endsWith('}');
    const hint = truncated ? ' It ends in the middle: the file is truncated; take it from the run again.' : '';
    throw new ResultsError(`${source} is not valid JSON (${(error as Error).message}).${hint}`);
  }
}

function refuseForeign(value: unknown, source: string): void {
  const file = value as { schema?: unknown; tool?: { name?: unknown; version?: unknown } } | null;
  const ours =
    typeof file === 'object' && file !== null && typeof file.tool === 'object' && file.tool?.name === 'virtax';
  if (!ours) throw new ResultsError(`${source} is not a virtax results file (no tool.name "virtax" in it)`);
  if (file.schema !== SCHEMA_VERSION) {
    throw new ResultsError(
      `${source} has results schema ${JSON.stringify(file.schema)}, written by virtax ${String(file.tool?.version)}; ` +
        `this virtax reads schema ${SCHEMA_VERSION}. Use the version that wrote it, or measure again.`,
    );
  }
}

function describeIssues(source: string, error: z.ZodError): string {
  const shown = error.issues
    .slice(0, 5)
    .map((issue) => `  ${z.core.toDotPath(issue.path) || '(top)'}: ${issue.message}`);
  const more = error.issues.length > 5 ? [`  … and ${error.issues.length - 5} more`] : [];
  return [`${source} is damaged or was edited: it does not match the results schema`, ...shown, ...more].join('\n');
}

function readFailure(error: unknown): string {
  const code = (error as NodeJS.ErrnoException).code;
  if (code === 'ENOENT') return 'there is no such file. Give the results.json that a bench run wrote.';
  if (code === 'EISDIR') return 'it is a folder. Give the results.json inside it.';
  return (error as Error).message;
}
