/** `virtax run`: an operating system of the user's on an engine, its console on the terminal. */
import type { Engine } from '../../engines/engine.js';
import { type RunEnd, type RunningMachine, RunRefused, type RunRequest } from '../../engines/run.js';
import type { Context } from '../context.js';
import { onStopSignals } from '../signals.js';
import { attachTerminal, forTerminal } from '../terminal.js';
import { UsageError, unknownName } from '../usage.js';
import { type RunFlags, runRequest } from './run-options.js';

/** @returns the exit status: the guest's */
export async function run(flags: RunFlags, context: Context): Promise<number> {
  const request = runRequest(flags);
  const machine = await start(engineNamed(flags.engine, context.engines), request);
  if (request.detach) return await leave(machine, context);
  const stop = onStopSignals();
  const terminal = attachTerminal((bytes) => machine.input(bytes));
  const stopped = new Promise<RunEnd>((resolve) => {
    stop.signal.addEventListener('abort', () => resolve({ status: stop.exitStatus() }));
  });
  const quit = terminal.quit.then((): RunEnd => ({ status: 0 }));
  try {
    const { status, problem } = await Promise.race([machine.ended, quit, stopped]);
    if (!stop.signal.aborted && machine.outlast !== undefined) {
      terminal.release(); // Ctrl-C is a signal again
      await Promise.race([machine.outlast((sentence) => context.err.write(`virtax: ${sentence}\n`)), stopped]);
    }
    await machine.stop();
    if (flags.counters) writeCounters(machine, context);
    if (problem !== undefined) context.err.write(`virtax: the machine failed: ${problem}\n`);
    return status;
  } finally {
    terminal.release();
    stop.release();
  }
}

async function leave(machine: RunningMachine, { out }: Context): Promise<number> {
  out.write(`${machine.id}\n`);
  await machine.stop();
  return 0;
}

function engineNamed(name: string, engines: readonly Engine[]): Engine & Required<Pick<Engine, 'run'>> {
  const able = engines.filter((engine) => engine.run !== undefined).map((engine) => engine.name);
  const engine = engines.find((each) => each.name === name);
  if (engine === undefined) throw unknownName('engine', name, able, 'virtax list engines');
  const { run } = engine;
  if (run === undefined) throw new UsageError(`the engine ${name} runs no operating systems; ${able.join(', ')} can`);
  return { ...engine, run };
}

async function start(engine: Required<Pick<Engine, 'run'>>, request: RunRequest): Promise<RunningMachine> {
  try {
    const { stdout } = process;
    return await engine.run(request, (bytes, written) => {
      stdout.write(stdout.isTTY ? forTerminal(bytes) : bytes, written);
    });
  } catch (error) {
    if (error instanceof RunRefused) throw new UsageError(error.message);
    throw error;
  }
}

function writeCounters(machine: RunningMachine, context: Context): void {
  const rows = Object.entries(machine.counters());
  const width = Math.max(...rows.map(([name]) => name.length));
  for (const [name, value] of rows) context.err.write(`${name.padEnd(width)} ${value}\n`);
}
