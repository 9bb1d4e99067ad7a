/** Samples of machines that something came out of. */
import type { Machine, SampleResult, StartArgs } from '#engines/engine.js';

/** A sample in which something was done: a host that stalls for longer than the sample is given twice the time. */
export async function work(machine: Machine, args: StartArgs): Promise<SampleResult> {
  machine.start(args);
  const result = await machine.result();
  const idle = result.errors === 0 && (result.units === 0 || result.ops === 0);
  return idle ? work(machine, { ...args, durationMs: 2 * args.durationMs }) : result;
}
