/**
 * How long the guest system takes from its machine's start to its /init: a machine of its own for each sample, with a RAM
 * disk that holds little. The host's clock is read around boot(), so the engine's own start is in it, as for a user.
 */
import { MachineFailure, type SampleResult } from '../engines/engine.js';
import { balancedOrders } from './balance.js';
import { addRound, newTrack, type Track } from './cell.js';
import { Interrupted, unlessInterrupted } from './guard.js';
import type { MachineSet } from './machines.js';
import type { MeasureOptions } from './measure.js';
import type { CellGroup, PlannedWorkload } from './plan.js';
import { deriveSeed, seededRandom } from './random.js';

/** Nothing is computed that could be wrong. */
const NO_CHECKSUM = '0'.repeat(16);

/** @throws Interrupted; whatever else happens is in the tracks */
export async function measureBoots(
  group: CellGroup,
  { spec, engines }: PlannedWorkload,
  sets: ReadonlyMap<string, MachineSet>,
  options: MeasureOptions,
): Promise<Track[]> {
  const { seed, samples, progress } = options;
  const { vms, vcpus, memoryBytes } = group;
  const tracks = engines.map((engine) => newTrack({ spec, engine, vms, vcpus, memoryBytes, seed }));
  const random = seededRandom(deriveSeed(seed, spec.name, vms, vcpus, 'order'));
  const rounds = engines.length === 0 ? [] : balancedOrders(engines, samples, random);
  for (const [round, order] of rounds.entries()) {
    for (const [position, engine] of order.entries()) {
      const track = tracks.find((each) => each.setting.engine === engine);
      const set = sets.get(engine);
      if (track === undefined || set === undefined || track.outcome.status !== 'ok') continue;
      progress.step(engine, `boot ${round + 1}`);
      try {
        const { startNs, stopNs } = await set.bootAnew();
        const results = [bootResult(startNs, stopNs)];
        const taken = addRound(track, round, position, { results, windowNs: Number(stopNs - startNs) });
        progress.figure(engine, taken.value, spec.unit);
      } catch (error) {
        if (error instanceof Interrupted) throw error;
        await unlessInterrupted(options.signal);
        const consoleTail = error instanceof MachineFailure ? error.consoleTail : [];
        track.outcome = { status: 'failed', reason: (error as Error).message, consoleTail };
      }
    }
  }
  return tracks;
}

function bootResult(startNs: bigint, stopNs: bigint): SampleResult {
  return {
    startNs,
    stopNs,
    guestNs: Number(stopNs - startNs), // no clock of the guest's: nothing can drift
    units: 1,
    ops: 1,
    checksum: NO_CHECKSUM,
    errors: 0,
    cpuSeconds: 0, // not measured
    counters: {},
  };
}
