/** The guest that a run's machines boot, where it is not the project's own. */
import type { Engine, GuestSystem } from '../engines/engine.js';
import type { WorkloadSpec } from '../workloads/spec.js';
import type { BenchFlags } from './commands/bench-options.js';
import { type Context, type ProbedEngine, probeEngines } from './context.js';
import type { Profile } from './profiles.js';
import { UsageError } from './usage.js';

export interface GuestChoice {
  /** Those that can boot it. */
  engines: ProbedEngine[];
  /** What it can run. */
  specs: readonly WorkloadSpec[];
  guest?: GuestSystem;
}

/** @throws UsageError when flags and profile contradict each other, or the guest cannot be had */
export async function chooseGuest(flags: BenchFlags, profile: Profile, context: Context): Promise<GuestChoice> {
  if (flags.guest !== undefined && profile.guest !== flags.guest) {
    throw new UsageError(
      `--guest ${flags.guest}: the profile ${profile.name} is for virtax's own guest; leave --profile away`,
    );
  }
  if (profile.guest === undefined) return { engines: await probeEngines(context.engines), specs: context.specs };
  const able = context.engines.filter(({ runsSystems }: Engine) => runsSystems === true);
  context.err.write(`virtax: Debian's packages are looked up; the first time they are fetched, which takes minutes\n`);
  const [{ debianGuest }, { linuxWorkloads }] = await Promise.all([
    import('../workloads/linux/debian.js'),
    import('../workloads/linux/spec.js'),
  ]);
  try {
    return { engines: await probeEngines(able), specs: linuxWorkloads, guest: debianGuest() };
  } catch (error) {
    throw new UsageError(`--guest ${profile.guest}: ${(error as Error).message}`);
  }
}
