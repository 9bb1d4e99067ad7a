/**
 * The plan: from a profile and the command line to groups of cells. A group is what shares a booted set of VMs: one
 * number of VMs and of vCPUs. Planning measures nothing and starts nothing, so it can be tested and shown by itself.
 */
import type { WorkloadSpec } from '../workloads/spec.js';
import type { Profile } from './profiles.js';
import type { PlanKey } from './results.js';
import { formatSize, selectByGlobs, unknownName } from './usage.js';

/** Bare metal: what every percent refers to. */
export const BASELINE = 'bare';
/** Bare metal built without vectorization: measured beside the baseline where the compiler vectorizes a workload. */
export const SCALAR_BASELINE = 'bare-novec';

/** What the command line may set beyond the profile; absent: the profile's. */
export interface PlanOptions {
  engines?: string[];
  workloads?: string[];
  vms?: number[];
  vcpus?: number[];
  samples?: number;
  sampleMs?: number;
  memoryBytes?: number;
  diskBytes?: number;
  seed: number;
}

/** What of this host and this checkout the plan depends on. */
export interface PlanContext {
  specs: readonly WorkloadSpec[];
  /** Every engine that is registered, and why it cannot run here if so. */
  engines: readonly { name: string; unavailable?: string; hasPolicies?: boolean }[];
  /** Memory that VMs may take, bytes. */
  availableBytes: number;
  images: Record<string, string>;
}

export interface PlannedWorkload {
  spec: WorkloadSpec;
  /** Engines that are measured, in the order of the command line. */
  engines: string[];
  /** Engines whose cell is skipped, and why. */
  skipped: { engine: string; reason: string }[];
}

export interface CellGroup {
  vms: number;
  vcpus: number;
  /** Of each VM. */
  memoryBytes: number;
  workloads: PlannedWorkload[];
}

export interface Plan {
  key: PlanKey;
  groups: CellGroup[];
}

const KERNEL_BYTES = 32 << 20; // kernel, program, stacks and I/O buffers of a guest
const LEAST_MEMORY = 64 << 20;
const MEMORY_STEP = 16 << 20;

/** The plan for a profile and what the command line changes of it. @throws UsageError for names that do not exist */
export function makePlan(profile: Profile, options: PlanOptions, context: PlanContext): Plan {
  const engines = selectEngines(options.engines ?? profile.engines, context);
  const groups = selectGroups(profile, options, context.specs);
  const named = (name: string) => groups.some((group) => group.workloads.includes(name));
  const key: PlanKey = {
    engines,
    workloads: context.specs.map((spec) => spec.name).filter(named),
    groups,
    samples: options.samples ?? profile.samples,
    sampleMs: options.sampleMs ?? profile.sampleMs,
    seed: options.seed,
    memoryBytes: options.memoryBytes ?? null,
    diskBytes: options.diskBytes ?? profile.diskSize,
    images: context.images,
  };
  return expandPlan(key, context);
}

/** The cells of a plan whose choices are made, as a results file keeps them. */
export function expandPlan(key: PlanKey, context: PlanContext): Plan {
  return { key, groups: key.groups.map((group) => planGroup(group, key, context)) };
}

/** How many cells the plan measures or skips. */
export function countCells(groups: readonly CellGroup[]): number {
  return groups
    .flatMap((group) => group.workloads)
    .reduce((n, { engines, skipped }) => n + engines.length + skipped.length, 0);
}

/** The differences that forbid to go on with a run, one line each. */
export function planDifferences(before: PlanKey, now: PlanKey): string[] {
  return (Object.keys(now) as (keyof PlanKey)[])
    .filter((name) => JSON.stringify(before[name]) !== JSON.stringify(now[name]))
    .map((name) => `${name}: ${JSON.stringify(before[name])} then, ${JSON.stringify(now[name])} now`);
}

/** Memory of a VM that any of the workloads fits in, bytes. */
export function memoryFor(specs: readonly WorkloadSpec[], vcpus: number): number {
  const work = Math.max(...specs.map((spec) => spec.memoryPerCpu * (spec.cpus === 'all' ? vcpus : 1)));
  return Math.max(LEAST_MEMORY, Math.ceil((work + KERNEL_BYTES) / MEMORY_STEP) * MEMORY_STEP);
}

function selectEngines(wanted: readonly string[], context: PlanContext): string[] {
  const known = context.engines.map((engine) => engine.name);
  for (const name of wanted) {
    if (!known.includes(name)) throw unknownName('engine', name, known, 'virtax list engines');
  }
  if (!wanted.includes(BASELINE) || wanted.includes(SCALAR_BASELINE) || !known.includes(SCALAR_BASELINE))
    return [...wanted];
  const at = wanted.indexOf(BASELINE) + 1;
  return [...wanted.slice(0, at), SCALAR_BASELINE, ...wanted.slice(at)];
}

type Selection = PlanKey['groups'];

/**
 * Workloads at each number of VMs and vCPUs. --vms and --vcpus replace the profile's grid by their own. --workloads picks
 * from the profile's groups; what it names beyond them joins the first group.
 */
function selectGroups(profile: Profile, options: PlanOptions, specs: readonly WorkloadSpec[]): Selection {
  const names = specs.map((spec) => spec.name as string);
  const select = (globs: readonly string[]) => selectByGlobs(globs, names, 'workload', 'virtax list workloads');
  const wanted = options.workloads === undefined ? undefined : select(options.workloads);
  const profiled = profile.groups.map((group) => ({ ...group, workloads: select(group.workloads) }));
  const kept = wanted === undefined ? profiled : restrict(profiled, wanted);
  const gridGiven = options.vms !== undefined || options.vcpus !== undefined;
  const grid = gridGiven
    ? [{ workloads: kept.flatMap((g) => g.workloads), vms: options.vms ?? [1], vcpus: options.vcpus ?? [1] }]
    : kept;
  return dropTooFewVcpus(
    mergeGroups(
      grid.flatMap((group) => ownSize(group, specs)),
      names,
    ),
    specs,
  );
}

/** Workloads that are a policy's have as many VMs as it has roles, of one vCPU each, whatever the grid says. */
function ownSize(group: ProfileGroup, specs: readonly WorkloadSpec[]): ProfileGroup[] {
  const policies = specs.filter(({ name, policy }) => policy !== undefined && group.workloads.includes(name));
  const others = group.workloads.filter((name) => !policies.some((spec) => spec.name === name));
  return [
    { ...group, workloads: others },
    ...policies.map(({ name, policy }) => ({ workloads: [name], vms: [policy?.roles.length ?? 1], vcpus: [1] })),
  ];
}

type ProfileGroup = Profile['groups'][number];

function restrict(groups: ProfileGroup[], wanted: string[]): ProfileGroup[] {
  const kept = groups.map((group) => ({
    ...group,
    workloads: group.workloads.filter((name) => wanted.includes(name)),
  }));
  const further = wanted.filter((name) => !kept.some((group) => group.workloads.includes(name)));
  kept[0] = { ...kept[0], workloads: [...kept[0].workloads, ...further] };
  return kept;
}

/** One group for each number of VMs and vCPUs, its workloads in the registry's order and each once. */
function mergeGroups(groups: ProfileGroup[], names: string[]): Selection {
  const merged = new Map<string, Selection[number]>();
  for (const { workloads, vms, vcpus } of groups) {
    for (const v of vms) {
      for (const c of vcpus) {
        const group = merged.get(`${v}/${c}`) ?? { vms: v, vcpus: c, workloads: [] };
        group.workloads = names.filter((name) => group.workloads.includes(name) || workloads.includes(name));
        merged.set(`${v}/${c}`, group);
      }
    }
  }
  return [...merged.values()].filter((group) => group.workloads.length > 0);
}

/** A workload that wants 2 vCPUs is left out at 1 if the plan has it at 2; else its cells are there, skipped. */
function dropTooFewVcpus(groups: Selection, specs: readonly WorkloadSpec[]): Selection {
  const least = new Map(specs.map((spec) => [spec.name as string, spec.minVcpus]));
  const enough = (name: string, vcpus: number) => vcpus >= (least.get(name) ?? 1);
  const hasElsewhere = (name: string) => groups.some((g) => g.workloads.includes(name) && enough(name, g.vcpus));
  return groups
    .map((group) => ({
      ...group,
      workloads: group.workloads.filter((name) => enough(name, group.vcpus) || !hasElsewhere(name)),
    }))
    .filter((group) => group.workloads.length > 0);
}

function planGroup(selected: Selection[number], key: PlanKey, context: PlanContext): CellGroup {
  const { vms, vcpus } = selected;
  const { engines } = key;
  const specs = context.specs.filter((spec) => selected.workloads.includes(spec.name));
  const memoryBytes = key.memoryBytes ?? memoryFor(specs, vcpus);
  const workloads = specs.map((spec) => {
    const joining = engines.filter((engine) => joins(engine, engines, spec));
    const verdicts = joining.map((engine) => ({
      engine,
      reason: skipReason(spec, engine, vms, vcpus, memoryBytes, context),
    }));
    return {
      spec,
      engines: verdicts.filter(({ reason }) => reason === undefined).map(({ engine }) => engine),
      skipped: verdicts.flatMap(({ engine, reason }) => (reason === undefined ? [] : [{ engine, reason }])),
    };
  });
  return { vms, vcpus, memoryBytes, workloads };
}

/**
 * Configurations are measured where they can differ from the engine that they are a configuration of: without
 * vectorization where there is some, with PV drivers where a device is used. Asked for alone, they do all the work.
 */
function joins(engine: string, engines: readonly string[], spec: WorkloadSpec): boolean {
  if (engine === SCALAR_BASELINE) return spec.vectorizable;
  if (spec.boots === true && engine === BASELINE) return false;
  const plain = engine.replace(/-virtio$/, '');
  const usesDevice = spec.needs.disk === true || spec.needs.peer === true;
  return plain === engine || usesDevice || !engines.includes(plain);
}

function skipReason(
  spec: WorkloadSpec,
  engine: string,
  vms: number,
  vcpus: number,
  memoryBytes: number,
  context: PlanContext,
): string | undefined {
  const info = context.engines.find(({ name }) => name === engine);
  if (info?.unavailable !== undefined) return info.unavailable;
  if (spec.policy !== undefined && info?.hasPolicies !== true) {
    return 'has no I/O queue whose order a policy could set: take --engines para';
  }
  if (vcpus < spec.minVcpus) return `needs at least ${spec.minVcpus} vCPUs`;
  if (vms * memoryBytes > context.availableBytes) {
    return (
      `${vms} VMs of ${formatSize(memoryBytes)} need more memory than is free (${formatSize(context.availableBytes)}); ` +
      'give less with --memory'
    );
  }
  return undefined;
}
