/** What the commands stand on. The real one is made here; tests put mock engines and streams in its place. */
import type { Engine, Probe } from '../engines/engine.js';
import type { WorkloadSpec } from '../workloads/spec.js';
import { type Clock, hostClock } from './clock.js';
import { DEFAULT_DEADLINES, type Deadlines } from './machines.js';

export interface Output {
  write(text: string): void;
  /** A terminal that can be written over. */
  readonly isTTY: boolean;
  readonly columns: number;
}

export interface Context {
  engines: readonly Engine[];
  specs: readonly WorkloadSpec[];
  clock: Clock;
  deadlines: Deadlines;
  out: Output;
  err: Output;
}

/** Engines and workloads are loaded here and not at the top of a module: `--help` should not wait for them. */
export async function hostContext(): Promise<Context> {
  const [{ registry }, { workloads }] = await Promise.all([
    import('../engines/registry.js'),
    import('../workloads/index.js'),
  ]);
  return {
    engines: registry,
    specs: workloads,
    clock: hostClock,
    deadlines: DEFAULT_DEADLINES,
    out: streamOutput(process.stdout),
    err: streamOutput(process.stderr),
  };
}

/** A stream of this process. A reader that goes away (a closed terminal, `| head`) ends the output, not the run. */
function streamOutput(stream: NodeJS.WriteStream): Output {
  stream.on('error', () => {});
  return {
    write: (text) => void stream.write(text),
    isTTY: stream.isTTY === true,
    get columns() {
      return stream.columns ?? 80;
    },
  };
}

export interface ProbedEngine {
  engine: Engine;
  probe: Probe;
}

/** Asks every engine whether it can run here; one that throws cannot. */
export function probeEngines(engines: readonly Engine[]): Promise<ProbedEngine[]> {
  return Promise.all(
    engines.map(async (engine) => {
      const probe = await engine.probe().catch((error: Error): Probe => ({ ok: false, reason: error.message }));
      return { engine, probe };
    }),
  );
}
