/**
 * Child processes that do not outlive the run: native ones (the bare-metal guest, the network peer) and Node ones (a
 * VM of `full`, the hypervisor of `para`). Node children call dieWithParent(); native ones set the parent-death signal
 * themselves and end when their stdin does. This side kills what is left when the run ends in any way it can see.
 */
import { type ChildProcess, fork, type Serializable, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { ConsoleLog } from '../backends/console.js';
import { libc } from '../backends/libc.js';
import { nodeEnvironment } from './node-environment.js';
import type { Start } from './program/program-file.js';

/** How a child ended, as one phrase: `exit status 1`, `signal SIGKILL`, `could not be started: ENOENT …`. */
export type ExitPhrase = string;

const STDERR_LINES = 20;
const alive = new Set<ChildProcess>();

process.on('exit', () => {
  for (const child of alive) child.kill('SIGKILL');
});

/** A supervised child. `process` is Node's own object: streams and messages are used directly. */
export class Child {
  /** Resolves once, when the process has ended and its streams are closed. Never rejects. */
  readonly exited: Promise<ExitPhrase>;
  /** Last lines that the child wrote to stderr: what an error message about it should quote. */
  readonly stderr = new ConsoleLog({ lines: STDERR_LINES });
  private phrase: ExitPhrase | undefined;

  constructor(readonly process: ChildProcess) {
    alive.add(process);
    process.stderr?.on('data', (chunk: Buffer) => this.stderr.write(chunk));
    process.stdin?.on('error', () => {}); // EPIPE of a dead child: `exited` tells it
    this.exited = new Promise((resolve) => {
      const ended = (phrase: ExitPhrase) => {
        alive.delete(process);
        this.phrase ??= phrase;
        resolve(this.phrase);
      };
      process.on('error', (error) => {
        if (process.pid === undefined) ended(`could not be started: ${error.message}`);
      });
      process.on('close', (code, signal) => ended(signal ? `signal ${signal}` : `exit status ${code}`));
    });
  }

  /** Set once it has ended. */
  get ended(): ExitPhrase | undefined {
    return this.phrase;
  }

  /** Sends a message to a Node child. False when it is gone. */
  send(message: Serializable): boolean {
    if (!this.process.connected) return false;
    this.process.send(message, () => {}); // a failure to deliver is an exit, which `exited` tells
    return true;
  }

  /** Asks by SIGTERM, waits `graceMs`, then SIGKILL. Resolves when the process is gone; never rejects. */
  async stop(graceMs = 0): Promise<void> {
    if (this.phrase !== undefined) return;
    if (graceMs > 0) {
      this.process.kill('SIGTERM');
      if (await this.endsWithin(graceMs)) return;
    }
    this.process.kill('SIGKILL');
    await this.exited;
  }

  /** Whether it ends within the time, without doing anything to it. */
  async endsWithin(ms: number): Promise<boolean> {
    let timer: NodeJS.Timeout | undefined;
    const timeout = new Promise<boolean>((resolve) => {
      timer = setTimeout(() => resolve(false), ms);
    });
    const result = await Promise.race([this.exited.then(() => true), timeout]);
    clearTimeout(timer);
    return result;
  }
}

/** Starts a native program with pipes on stdin, stdout and stderr (stderr goes to `Child.stderr`). */
export function startNative(path: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): Child {
  return new Child(spawn(path, [...args], { stdio: ['pipe', 'pipe', 'pipe'], env }));
}

/**
 * Starts a Node program of ours with an IPC channel; `serialization: 'advanced'`, so messages may hold bigints and
 * typed arrays. Its first argument (process.argv[2]) is this process's id, for dieWithParent().
 */
export function startNode(module: URL, args: readonly string[] = []): Child {
  return startProgram({ path: fileURLToPath(module), arguments: [] }, args);
}

export interface ProgramOptions {
  /** On top of this process's. */
  env?: NodeJS.ProcessEnv;
  /** `kept`, for messages about the child (Child.stderr); or it is this process's own. */
  stderr?: 'kept' | 'inherited';
}

/** The same for a module of a linked program. */
export function startProgram(
  start: Start,
  args: readonly string[] = [],
  { env = {}, stderr = 'kept' }: ProgramOptions = {},
): Child {
  libc(); // tells children where koffi is
  return new Child(
    fork(start.path, [...start.arguments, String(process.pid), ...args], {
      stdio: ['ignore', 'inherit', stderr === 'kept' ? 'pipe' : 'inherit', 'ipc'],
      serialization: 'advanced',
      env: nodeEnvironment(env),
      // Not the parent's: a debugger's or test runner's do not fit here. And none for V8 (--max-semi-space-size): Node
      // brings V8's code for its own modules, which V8 takes under default flags alone; each worker would start 14 ms later.
      execArgv: [],
    }),
  );
}

/** For Node children: the parent's process id as startNode() passed it, and the arguments after it. */
export function childArguments(): { parentPid: number; args: string[] } {
  return { parentPid: Number(process.argv[2]), args: process.argv.slice(3) };
}
