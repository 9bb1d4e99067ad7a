/**
 * Where linked programs lie: beside the compiled modules that they are made of, in dist/.programs. One is made when it
 * is first wanted, and again when a module has changed. Then it is rehearsed: run once, for what V8 makes of it to be kept.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { nodeEnvironment } from '../node-environment.js';
import { link } from './link.js';
import { ownProgram, replaceFile } from './own-program.js';

/** Runs a linked program: node START FILE ENTRY … */
const START = fileURLToPath(new URL('./start.cjs', import.meta.url));
const FOLDER = fileURLToPath(new URL('../../../.programs', import.meta.url));

const REHEARSAL_MS = 20_000;

export interface Program {
  /** Linked together, with all that they import. */
  readonly modules: readonly URL[];
  /**
   * What its workers run, and nothing else does: linked to a text of their own, since each worker has its text in memory. Absent:
   * they run `modules`.
   */
  readonly workers?: readonly URL[];
  /**
   * One of them, run as a process of its own when the program has been made, with the arguments of childArguments(): what
   * it does keep(), later processes find.
   */
  readonly preparation: URL;
  /** The same, run behind it: the code that V8 has made of what its threads have run is kept. */
  readonly rehearsal: URL;
}

/** How one of a program's modules is started, by child_process or as a worker: `arguments` go before its own. */
export interface Start {
  readonly path: string;
  readonly arguments: readonly string[];
  /** What a worker is to be given as its workerData, where the process has read the program already. */
  readonly workerData?: object;
}

/**
 * How to start `entry`, one of `program`'s modules. Where they cannot be linked (a folder that may not be written, a form
 * of import that link() does not know) it is started as it is, only slower.
 */
export function startOf(entry: URL, program: Program): Start {
  const file = programFile(program);
  const path = fileURLToPath(entry);
  if (file === undefined) return { path, arguments: [] };
  const contents = ownProgram()?.contents;
  return { path: START, arguments: [file, path], ...(contents === undefined ? {} : { workerData: contents }) };
}

const found = new Map<string, string | undefined>();

const pathsOf = (urls: readonly URL[] = []): string[] => urls.map((url) => fileURLToPath(url));

function programFile(program: Program): string | undefined {
  const entries = pathsOf(program.modules);
  const workers = pathsOf(program.workers);
  const name = `${basename(entries[0] ?? '', '.js')}-${process.version}.js`;
  const own = ownProgram();
  if (own !== undefined && basename(own.file) === name) return own.file;
  const file = join(FOLDER, name);
  if (!found.has(file)) {
    const fresh = isFresh(file, entries, workers);
    found.set(file, fresh || make(file, entries, workers) ? file : undefined);
    if (!fresh && found.get(file) !== undefined) rehearse(file, program);
  }
  return found.get(file);
}

/** Without what they leave the program works as well, only slower: so they may fail, and leave nothing then. */
function rehearse(file: string, { preparation, rehearsal }: Program): void {
  const done = runOnce(file, preparation, {}) && runOnce(file, rehearsal, { VIRTAX_REHEARSAL: '1' });
  if (!done) removeBeside(file, [CACHE]);
}

function runOnce(file: string, module: URL, env: NodeJS.ProcessEnv): boolean {
  const { status } = spawnSync(process.execPath, [START, file, fileURLToPath(module), String(process.pid)], {
    env: nodeEnvironment(env),
    stdio: 'ignore',
    timeout: REHEARSAL_MS,
    killSignal: 'SIGKILL',
  });
  return status === 0;
}

/** Beside the program, a module's path, time of change and size a line. */
const contentsOf = (file: string): string => `${file}.contents`;

/** A folder that was copied or moved holds a program of the modules that lie where it came from. */
function isFresh(file: string, entries: readonly string[], workers: readonly string[]): boolean {
  try {
    if (workers.length > 0 && !existsSync(workerText(file, file))) return false;
    const lines = readFileSync(contentsOf(file), 'utf8').split('\n');
    const here = new Set(lines.map((line) => line.split('\t')[0]));
    return (
      [...entries, ...workers].every((path) => here.has(path)) &&
      lines.every((line) => line === lineOf(line.split('\t')[0] ?? ''))
    );
  } catch {
    return false;
  }
}

function lineOf(path: string): string {
  const stats = statSync(path);
  return [path, stats.mtimeMs, stats.size].join('\t');
}

function make(file: string, entries: readonly string[], workers: readonly string[]): boolean {
  try {
    const main = link(entries);
    const worker = workers.length > 0 ? link(workers) : undefined;
    mkdirSync(FOLDER, { recursive: true });
    removeBeside(file, [CACHE, WORKER_TEXT]);
    // In this order: a program that is there has its worker's text, and contents that are there speak for a program that is.
    replaceFile(file, Buffer.from(main.source, 'latin1'), (temporary) => {
      if (worker !== undefined) replaceFile(workerText(file, temporary), Buffer.from(worker.source, 'latin1'));
    });
    const files = new Set([...main.files, ...(worker?.files ?? [])]);
    replaceFile(contentsOf(file), [...files].map(lineOf).join('\n'));
    return true;
  } catch {
    return false;
  }
}

/** What lies beside a program and is named by it: what was kept for it, and the text of its workers. */
const CACHE = '.cache';
const WORKER_TEXT = '.worker-text';

/** start.cts knows the name too. `written`: the program, under the name that it has for now. */
function workerText(file: string, written: string): string {
  const { ino, mtimeMs } = statSync(written);
  return `${file}.${ino}-${mtimeMs}${WORKER_TEXT}`;
}

function removeBeside(file: string, endings: readonly string[]): void {
  for (const name of readdirSync(FOLDER)) {
    const beside = name.startsWith(`${basename(file)}.`) && endings.some((ending) => name.endsWith(ending));
    if (beside) rmSync(join(FOLDER, name), { force: true });
  }
}
