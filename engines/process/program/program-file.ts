/**
 * Where linked programs lie: beside the compiled modules that they are made of, in dist/.programs. One is made when it
 * is first wanted, and again when a module has changed. Then it is rehearsed: run once, for what V8 makes of it to be kept.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { nodeEnvironment } from '../node-environment.js';
import { link } from './link.js';

/** Runs a linked program: node START FILE ENTRY … */
const START = fileURLToPath(new URL('./start.cjs', import.meta.url));
const FOLDER = fileURLToPath(new URL('../../../.programs', import.meta.url));

const REHEARSAL_MS = 20_000;

export interface Program {
  /** Linked together, with all that they import. */
  readonly modules: readonly URL[];
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

function programFile(program: Program): string | undefined {
  const entries = program.modules.map((url) => fileURLToPath(url));
  const name = `${basename(entries[0] ?? '', '.js')}-${process.version}.js`;
  const own = ownProgram();
  if (own !== undefined && basename(own.file) === name) return own.file;
  const file = join(FOLDER, name);
  if (!found.has(file)) {
    const fresh = isFresh(file, entries);
    found.set(file, fresh || make(file, entries) ? file : undefined);
    if (!fresh && found.get(file) !== undefined) rehearse(file, program);
  }
  return found.get(file);
}

/** Without what they leave the program works as well, only slower: so they may fail, and leave nothing then. */
function rehearse(file: string, { preparation, rehearsal }: Program): void {
  const done = runOnce(file, preparation, {}) && runOnce(file, rehearsal, { VIRTAX_REHEARSAL: '1' });
  if (!done) removeCaches(file);
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

/** What start.cts has started this process from: all of its threads run the same, whatever has changed since. */
function ownProgram(): { file: string; contents: object; saveMemory(): void } | undefined {
  return (globalThis as Record<symbol, unknown>)[Symbol.for('virtax.program')] as ReturnType<typeof ownProgram>;
}

/** In a worker that is to take little memory: gives back what its start has left behind, for some 5 ms. */
export function saveMemory(): void {
  ownProgram()?.saveMemory();
}

/** What keep() has kept for this program, by this process or an earlier one. */
export function kept(name: string): Uint8Array<ArrayBuffer> | undefined {
  const file = cacheFile(name);
  try {
    return file === undefined ? undefined : new Uint8Array(readFileSync(file));
  } catch {
    return undefined;
  }
}

/** Keeps bytes beside the program, under a name, for later processes of it: as far as that can be. */
export function keep(name: string, bytes: Uint8Array): void {
  const file = cacheFile(name);
  try {
    if (file !== undefined) replaceFile(file, bytes);
  } catch {
    // A folder that may not be written: the next process makes them again.
  }
}

function cacheFile(name: string): string | undefined {
  const own = ownProgram()?.file;
  if (own === undefined) return undefined;
  const { ino, mtimeMs } = statSync(own);
  return `${own}.${ino}-${mtimeMs}.${name}.cache`;
}

/** Beside the program, a module's path, time of change and size a line. */
const contentsOf = (file: string): string => `${file}.contents`;

/** A folder that was copied or moved holds a program of the modules that lie where it came from. */
function isFresh(file: string, entries: readonly string[]): boolean {
  try {
    const lines = readFileSync(contentsOf(file), 'utf8').split('\n');
    const here = new Set(lines.map((line) => line.split('\t')[0]));
    return entries.every((path) => here.has(path)) && lines.every((line) => line === lineOf(line.split('\t')[0] ?? ''));
  } catch {
    return false;
  }
}

function lineOf(path: string): string {
  const stats = statSync(path);
  return [path, stats.mtimeMs, stats.size].join('\t');
}

function make(file: string, paths: readonly string[]): boolean {
  try {
    const { source, files } = link(paths);
    mkdirSync(FOLDER, { recursive: true });
    removeCaches(file);
    // In this order: contents that are there speak for a program that is.
    replaceFile(file, Buffer.from(source, 'latin1'));
    replaceFile(contentsOf(file), files.map(lineOf).join('\n'));
    return true;
  } catch {
    return false;
  }
}

function removeCaches(file: string): void {
  for (const name of readdirSync(FOLDER)) if (isCacheOf(name, file)) rmSync(join(FOLDER, name), { force: true });
}

const isCacheOf = (name: string, file: string): boolean =>
  name.startsWith(`${basename(file)}.`) && name.endsWith('.cache');

/** Others may be reading it, or writing it as well. */
function replaceFile(file: string, data: Uint8Array | string): void {
  const temporary = join(dirname(file), `.${basename(file)}.${process.pid}`);
  writeFileSync(temporary, data);
  renameSync(temporary, file);
}
