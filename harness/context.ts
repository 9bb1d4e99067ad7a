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

/** Where a command line runs: its streams, and what its commands stand on, which is loaded only when one needs it. */
export interface Shell {
  out: Output;
  err: Output;
  context(): Promise<Context>;
}

/** This process, with all registered engines and workloads. `--help` does not wait for them. */
export function hostShell(): Shell {
  const out = streamOutput(process.stdout);
  const err = streamOutput(process.stderr);
  const context = async (): Promise<Context> => {
    const [{ registry }, { workloads }] = await Promise.all([
      import('../engines/registry.js'),
      import('../workloads/index.js'),
    ]);
    return { engines: registry, specs: workloads, clock: hostClock, deadlines: DEFAULT_DEADLINES, out, err };
  };
  return { out, err, context };
}

/** A stream of this process. A reader that goes away (a closed terminal, `| head`) ends the output, not the run. */
export function streamOutput(stream: NodeJS.WriteStream): Output {
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
