/**
 * One workload on all engines of a group: prepare everywhere, warm up, then rounds in which every engine takes one
 * sample, in an order that the seed balances. An engine that fails leaves the rounds; the others go on.
 */
import { MachineFailure, WorkloadUnsupported } from '../engines/engine.js';
import type { IoPolicy } from '../engines/io-policy.js';
import { balancedOrders } from './balance.js';
import { addRound, newTrack, type Track } from './cell.js';
import { wrongAnswers } from './checksums.js';
import type { Clock } from './clock.js';
import { NoFigure } from './figures.js';
import { Interrupted, unlessInterrupted } from './guard.js';
import type { MachineSet } from './machines.js';
import { BASELINE, type CellGroup, type PlannedWorkload, SCALAR_BASELINE } from './plan.js';
import { needsAlone } from './policy-figure.js';
import type { Progress } from './progress.js';
import { deriveSeed, seededRandom } from './random.js';
import { timedSample } from './sample.js';

export interface MeasureOptions {
  seed: number;
  samples: number;
  sampleMs: number;
  clock: Clock;
  progress: Progress;
  signal: AbortSignal;
  /** Called once an engine has a workload ready: measures its doorbells if that was not done yet. */
  onPrepared(engine: string, set: MachineSet): Promise<void>;
}

/** A round before the first: the same work, nothing kept but its answers. */
const WARM_UP = -1;
/**
 * Milliseconds of warm-up where a disk or the network is used: the engines' device models and back ends are JavaScript,
 * compiled while they run. randread-4k-qd1 on `full` starts at a seventh of the speed that it has after a second of I/O.
 */
const IO_WARM_UP_MS = 1000;
/**
 * An engine that translates the guest's code warms up until it has translated all that runs, which it says itself: for a machine
 * at most so many translations in a sample; or for so long in all. A request's way through a driver is some thousand instructions,
 * each executed once a request, and a machine that waits for its requests meets them slowly: `full` at udp-rr made 71 translations
 * in its first 3 s, in which an operation came down from 340 to 60 µs of processor time, and three in the 3 s that followed.
 */
const SETTLED = 1;
const WARM_UP_MOST_MS = 4000;
/** As engines count it, in their samples' counters. */
const TRANSLATIONS = 'code.translations';

/** @throws Interrupted; whatever else happens is in the tracks */
export async function measureWorkload(
  group: CellGroup,
  workload: PlannedWorkload,
  sets: ReadonlyMap<string, MachineSet>,
  options: MeasureOptions,
): Promise<Track[]> {
  if (workload.engines.length === 0) return [];
  const run = new WorkloadRun(group, workload, sets, options);
  await run.prepare();
  const random = seededRandom(run.seedFor('order'));
  const [warmUp, ...orders] = [workload.engines, ...balancedOrders(workload.engines, options.samples, random)];
  await run.warmUp(warmUp);
  for (const [round, order] of orders.entries()) await run.round(round, order);
  if (workload.spec.policy !== undefined) for (const set of sets.values()) set.applyPolicy(NO_POLICY);
  return run.tracks;
}

/** What engines do without a policy. */
const NO_POLICY: IoPolicy = { order: 'fifo' };

class WorkloadRun {
  readonly tracks: Track[];
  private readonly name: string;
  /** Of each engine: translations by a machine in the latest sample, and how long all samples so far took. */
  private readonly run = new Map<Track, { translated: number; ms: number }>();

  constructor(
    private readonly group: CellGroup,
    workload: PlannedWorkload,
    private readonly sets: ReadonlyMap<string, MachineSet>,
    private readonly options: MeasureOptions,
  ) {
    this.name = workload.spec.name;
    const { vms, vcpus, memoryBytes } = group;
    this.tracks = workload.engines.map((engine) =>
      newTrack({ spec: workload.spec, engine, vms, vcpus, memoryBytes, seed: options.seed }),
    );
  }

  /** A seed for this workload at this size: the same for every engine. */
  seedFor(purpose: string | number): number {
    return deriveSeed(this.options.seed, this.name, this.group.vms, this.group.vcpus, purpose);
  }

  async prepare(): Promise<void> {
    for (const track of this.tracks) {
      await this.attempt(track, async (set) => {
        this.options.progress.step(track.setting.engine, 'boots');
        await set.boot();
        this.options.progress.step(track.setting.engine, 'prepares');
        const work = track.setting.spec.policy;
        if (work !== undefined) set.applyPolicy(work.policy);
        await set.prepare(work?.roles ?? this.name, this.seedFor('prepare'));
        await this.options.onPrepared(track.setting.engine, set);
      });
    }
  }

  /** A round whose figures do not count, and then for each engine as many more samples as it needs until it is warm. */
  async warmUp(order: readonly string[]): Promise<void> {
    await this.round(WARM_UP, order);
    for (const track of this.tracks) {
      while (!this.isWarm(track)) {
        await this.attempt(track, (set) => this.sample(track, set, WARM_UP, 0, this.options.sampleMs));
      }
    }
  }

  /** Asked after a sample. */
  private isWarm(track: Track): boolean {
    const { translated, ms } = this.run.get(track) ?? { translated: 0, ms: 0 };
    return track.outcome.status !== 'ok' || translated <= SETTLED || ms >= WARM_UP_MOST_MS;
  }

  /** One sample of every engine that is still in, in this order; then their answers are compared. */
  async round(round: number, order: readonly string[]): Promise<void> {
    const answers = new Map<string, string[]>();
    for (const [position, engine] of order.entries()) {
      const track = this.tracks.find((candidate) => candidate.setting.engine === engine);
      if (track === undefined) continue;
      const ms = round === WARM_UP ? this.warmUpMs(track) : this.options.sampleMs;
      const checksums = await this.attempt(track, (set) => this.sample(track, set, round, position, ms));
      if (checksums !== undefined) answers.set(engine, checksums);
    }
    const wrong = wrongAnswers(answers, [BASELINE, SCALAR_BASELINE]);
    for (const [engine, reason] of wrong) {
      const track = this.tracks.find((candidate) => candidate.setting.engine === engine);
      if (track !== undefined) track.outcome = { status: 'failed', reason, consoleTail: [] };
    }
  }

  private async sample(
    track: Track,
    set: MachineSet,
    round: number,
    position: number,
    sampleMs: number,
  ): Promise<string[]> {
    const { engine } = track.setting;
    const { clock, progress } = this.options;
    progress.step(engine, round === WARM_UP ? 'warms up' : `sample ${round + 1}`);
    const seed = this.seedFor(round);
    const work = track.setting.spec.policy;
    const alone = work !== undefined && needsAlone(work) ? (await set.sample(sampleMs, seed, 1))[0] : undefined;
    const taken = await timedSample(`${engine} ${this.name}`, clock, () => set.sample(sampleMs, seed));
    this.run.set(track, {
      translated: Math.max(...taken.results.map(({ counters }) => counters[TRANSLATIONS] ?? 0)),
      ms: (this.run.get(track)?.ms ?? 0) + taken.windowNs / 1e6,
    });
    const errors = taken.results.reduce((total, result) => total + result.errors, 0);
    if (errors > 0) throw new MachineFailure(`the guest's own verification found ${errors} errors in its data`);
    if (round !== WARM_UP)
      progress.figure(engine, addRound(track, round, position, taken, alone).value, track.setting.spec.unit);
    return taken.results.map((result) => result.checksum);
  }

  private warmUpMs(track: Track): number {
    return doesIo(track) ? Math.max(this.options.sampleMs, IO_WARM_UP_MS) : this.options.sampleMs;
  }

  /** Runs a step unless the engine is out already; puts it out when the step fails, and its VMs away. */
  private async attempt<T>(track: Track, step: (set: MachineSet) => Promise<T>): Promise<T | undefined> {
    const set = this.sets.get(track.setting.engine);
    if (track.outcome.status !== 'ok' || set === undefined) return undefined;
    try {
      return await step(set);
    } catch (error) {
      if (error instanceof Interrupted) throw error;
      if (error instanceof WorkloadUnsupported) {
        track.outcome = { status: 'skipped', reason: error.message, consoleTail: [] };
        return undefined;
      }
      await unlessInterrupted(this.options.signal);
      const consoleTail = error instanceof MachineFailure ? error.consoleTail : [];
      track.outcome = { status: 'failed', reason: describe(error), consoleTail };
      if (!(error instanceof NoFigure)) await set.discard();
      return undefined;
    }
  }
}

function doesIo({ setting }: Track): boolean {
  const { needs } = setting.spec;
  return needs.disk === true || needs.peer === true;
}

function describe(error: unknown): string {
  if (error instanceof MachineFailure || error instanceof NoFigure) return error.message;
  return `the engine broke: ${error instanceof Error ? error.message : String(error)}`;
}
