/** A run: group after group, workload after workload; every cell is saved as it ends. */
import type { DiskConfig, Engine, GuestSystem, MachineConfig, WaitingPolicy } from '../engines/engine.js';
import { measureBoots } from './boots.js';
import { type CellSetting, cellOf, newTrack, type Track } from './cell.js';
import type { Clock } from './clock.js';
import { DoorbellMeter } from './doorbells.js';
import { unlessInterrupted, within } from './guard.js';
import { type Deadlines, MachineSet, STOP_MS, scaledDeadlines } from './machines.js';
import { measureWorkload } from './measure.js';
import { type PlacedPart, type Placement, placedParts } from './placement.js';
import { type CellGroup, countCells, type Plan, type PlannedWorkload } from './plan.js';
import type { Progress } from './progress.js';
import { estimate } from './statistics.js';
import type { ResultsStore } from './store.js';

/** What a run stands on; tests put their own in. */
export interface BenchEnvironment {
  engines: ReadonlyMap<string, Engine>;
  clock: Clock;
  progress: Progress;
  /** Aborted: the run ends at once, with what was saved. */
  signal: AbortSignal;
  deadlines: Deadlines;
  waiting: WaitingPolicy;
  /** What the machines boot; absent: the project's own guest. */
  guest?: GuestSystem;
  /** Cores: VMs that boot at once, and what deadlines are scaled by when there are more vCPUs. */
  cores: number;
  /** Where machines and the peer run. */
  placement: Placement;
  /** Disks for so many VMs. Rejects when they cannot be made: their cells fail with the message. */
  disks(count: number): Promise<DiskConfig[]>;
  /** Port of the network peer, started at the first call. Rejects likewise. */
  peer(): Promise<number>;
  /** Called before the results are saved: what changes all the time is brought up to date. */
  beforeSave?(): void;
}

/**
 * Measures what the plan holds and the store lacks.
 * @throws Interrupted, SaveFailed; the store keeps what was finished, no machine is left
 */
export async function runPlan(plan: Plan, store: ResultsStore, environment: BenchEnvironment): Promise<void> {
  await new PlanRun(plan, store, environment).run();
}

class PlanRun {
  private readonly doorbells: DoorbellMeter;
  private readonly bootTimes = new Map<string, number[]>();

  constructor(
    private readonly plan: Plan,
    private readonly store: ResultsStore,
    private readonly environment: BenchEnvironment,
  ) {
    this.doorbells = new DoorbellMeter(plan.key.seed);
  }

  async run(): Promise<void> {
    const open = this.plan.groups.map((group) => ({
      ...group,
      workloads: group.workloads.filter((workload) => !this.store.has(group, workload)),
    }));
    const cells = countCells(open);
    this.environment.progress.begin(cells, countCells(this.plan.groups) - cells, this.estimateMs(open));
    try {
      for (const group of open) {
        for (const part of placedParts(group, this.environment.placement)) await this.group(part.group, part.hostCpus);
      }
    } finally {
      await Promise.all([...this.environment.engines.values()].map((engine) => within(engine.close(), STOP_MS)));
    }
  }

  private async group(group: CellGroup, hostCpus?: PlacedPart['hostCpus']): Promise<void> {
    if (group.workloads.length === 0) return;
    const resources = await this.acquire(group);
    const sets = this.machineSets(group, resources, hostCpus);
    try {
      for (const workload of group.workloads) await this.workload(group, workload, sets, resources);
    } finally {
      await Promise.all([...sets.values()].map((set) => set.discard()));
    }
  }

  private async workload(
    group: CellGroup,
    workload: PlannedWorkload,
    sets: ReadonlyMap<string, MachineSet>,
    resources: Resources,
  ): Promise<void> {
    const { progress, clock } = this.environment;
    const { spec } = workload;
    const lacking = (spec.needs.disk && resources.diskReason) || (spec.needs.peer && resources.peerReason) || undefined;
    progress.workload({ workload: spec.name, vms: group.vms, vcpus: group.vcpus, engines: workload.engines });
    const measured = lacking
      ? workload.engines.map((engine) => this.unmeasured(group, workload, engine, 'failed', lacking))
      : await this.measure(group, workload, sets);
    const skipped = workload.skipped.map(({ engine, reason }) =>
      this.unmeasured(group, workload, engine, 'skipped', reason),
    );
    const cells = [...measured, ...skipped].map((track) => cellOf(track, measured, clock.date()));
    this.noteEngines(workload.engines, sets);
    this.environment.beforeSave?.();
    await this.store.add(cells);
    for (const cell of cells) progress.cell(cell);
  }

  private measure(
    group: CellGroup,
    workload: PlannedWorkload,
    sets: ReadonlyMap<string, MachineSet>,
  ): Promise<Track[]> {
    const { seed, samples, sampleMs } = this.plan.key;
    const { clock, progress, signal } = this.environment;
    const onPrepared = (engine: string, set: MachineSet) => this.doorbells.measure(engine, set);
    const measure = workload.spec.boots === true ? measureBoots : measureWorkload;
    return measure(group, workload, sets, { seed, samples, sampleMs, clock, progress, signal, onPrepared });
  }

  private unmeasured(
    group: CellGroup,
    workload: PlannedWorkload,
    engine: string,
    status: 'failed' | 'skipped',
    reason: string,
  ): Track {
    const { vms, vcpus, memoryBytes } = group;
    const setting: CellSetting = { spec: workload.spec, engine, vms, vcpus, memoryBytes, seed: this.plan.key.seed };
    return { ...newTrack(setting), outcome: { status, reason, consoleTail: [] } };
  }

  private async acquire(group: CellGroup): Promise<Resources> {
    const measured = group.workloads.filter(({ engines }) => engines.length > 0);
    const resources: Resources = { disks: [] };
    if (measured.some(({ spec }) => spec.needs.disk)) {
      await this.environment.disks(group.vms).then(
        (disks) => Object.assign(resources, { disks }),
        (error: Error) => Object.assign(resources, { diskReason: error.message }),
      );
    }
    if (measured.some(({ spec }) => spec.needs.peer)) {
      await this.environment.peer().then(
        (peer) => Object.assign(resources, { peer }),
        (error: Error) => Object.assign(resources, { peerReason: error.message }),
      );
    }
    if (resources.diskReason !== undefined || resources.peerReason !== undefined) {
      await unlessInterrupted(this.environment.signal);
    }
    return resources;
  }

  private machineSets(
    group: CellGroup,
    resources: Resources,
    hostCpus?: PlacedPart['hostCpus'],
  ): Map<string, MachineSet> {
    const { engines, signal, cores, waiting, clock, guest } = this.environment;
    const deadlines = scaledDeadlines(this.environment.deadlines, group.vms * group.vcpus, cores);
    const configs = Array.from({ length: group.vms }, (_, id): MachineConfig => {
      const disk = resources.disks[id];
      return {
        id,
        vcpus: group.vcpus,
        memoryBytes: group.memoryBytes,
        waiting,
        bootDeadlineMs: deadlines.bootMs,
        ...(guest === undefined ? {} : { guest }),
        ...(hostCpus === undefined ? {} : { hostCpus: hostCpus(id) }),
        ...(disk === undefined ? {} : { disk }),
        ...(resources.peer === undefined ? {} : { peer: { port: resources.peer } }),
      };
    });
    const used = new Set(group.workloads.flatMap((workload) => workload.engines));
    const sets = [...used].flatMap((name): [string, MachineSet][] => {
      const engine = engines.get(name);
      if (engine === undefined) return [];
      return [
        [name, new MachineSet({ engine, configs, deadlines, signal, bootParallel: cores, nowNs: () => clock.nowNs() })],
      ];
    });
    return new Map(sets);
  }

  /** What the machines said of themselves goes into the engines' records. */
  private noteEngines(names: readonly string[], sets: ReadonlyMap<string, MachineSet>): void {
    for (const name of names) {
      const info = this.store.engine(name);
      const set = sets.get(name);
      if (info === undefined || set === undefined) continue;
      Object.assign(info.facts, set.facts);
      const times = [...(this.bootTimes.get(name) ?? []), ...set.bootMs.splice(0)];
      this.bootTimes.set(name, times);
      info.bootMs = estimate(times, this.plan.key.seed)?.median ?? info.bootMs;
      info.doorbellNs = this.doorbells.result(name) ?? info.doorbellNs;
    }
  }

  private estimateMs(groups: readonly CellGroup[]): number {
    const { samples, sampleMs } = this.plan.key;
    const measured = groups.flatMap((group) => group.workloads).reduce((n, { engines }) => n + engines.length, 0);
    return measured * (samples + 1) * (sampleMs + OVERHEAD_MS);
  }
}

interface Resources {
  disks: DiskConfig[];
  diskReason?: string;
  peer?: number;
  peerReason?: string;
}

/** First guess of what a sample costs beyond its own length; the progress display replaces it by what it sees. */
const OVERHEAD_MS = 60;
