/**
 * Where linked programs lie: beside the compiled modules that they are made of, in dist/.programs. One is made when it
 * is first wanted, and again when a module has changed.
 */
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { link } from './link.js';

/** Runs a linked program: node START FILE ENTRY … */
const START = fileURLToPath(new URL('./start.cjs', import.meta.url));
const FOLDER = fileURLToPath(new URL('../../../.programs', import.meta.url));

/** How one of a program's modules is started, by child_process or as a worker: `arguments` go before its own. */
export interface Start {
  readonly path: string;
  readonly arguments: readonly string[];
  /** What a worker is to be given as its workerData, where the process has read the program already. */
  readonly workerData?: object;
}

/**
 * How to start `entry`, one of `program`, whose modules are linked together with all that they import. Where that cannot
 * be (a folder that may not be written, a form of import that link() does not know) it is started as it is, only slower.
 */
export function startOf(entry: URL, program: readonly URL[]): Start {
  const file = programFile(program.map((url) => fileURLToPath(url)));
  const path = fileURLToPath(entry);
  if (file === undefined) return { path, arguments: [] };
  const contents = ownProgram()?.contents;
  return { path: START, arguments: [file, path], ...(contents === undefined ? {} : { workerData: contents }) };
}

const found = new Map<string, string | undefined>();

function programFile(entries: readonly string[]): string | undefined {
  const name = `${basename(entries[0] ?? '', '.js')}-${process.version}.js`;
  const own = ownProgram();
  if (own !== undefined && basename(own.file) === name) return own.file;
  const file = join(FOLDER, name);
  if (!found.has(file)) found.set(file, isFresh(file, entries) || make(file, entries) ? file : undefined);
  return found.get(file);
}

/** What start.cts has started this process from: all of its threads run the same, whatever has changed since. */
function ownProgram(): { file: string; contents: object } | undefined {
  return (globalThis as Record<symbol, unknown>)[Symbol.for('virtax.program')] as ReturnType<typeof ownProgram>;
}

/**
 * Bytes that follow from the program alone, made once for all of its processes: beside the program, under `name`. Where
 * this process is not run from a linked program they are made each time.
 */
export function kept(name: string, make: () => Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const own = ownProgram()?.file;
  if (own === undefined) return make();
  const { ino, mtimeMs } = statSync(own);
  const file = `${own}.${ino}-${mtimeMs}.${name}.cache`;
  try {
    return readFileSync(file);
  } catch {
    return keep(file, make());
  }
}

function keep(file: string, bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  try {
    replaceFile(file, bytes);
  } catch {
    // A folder that may not be written: the next process makes them again.
  }
  return bytes;
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
    for (const name of readdirSync(FOLDER)) if (isCacheOf(name, file)) rmSync(join(FOLDER, name), { force: true });
    // In this order: contents that are there speak for a program that is.
    replaceFile(file, Buffer.from(source, 'latin1'));
    replaceFile(contentsOf(file), files.map(lineOf).join('\n'));
    return true;
  } catch {
    return false;
  }
}

const isCacheOf = (name: string, file: string): boolean =>
  name.startsWith(`${basename(file)}.`) && name.endsWith('.cache');

/** Others may be reading it, or writing it as well. */
function replaceFile(file: string, data: Uint8Array | string): void {
  const temporary = join(dirname(file), `.${basename(file)}.${process.pid}`);
  writeFileSync(temporary, data);
  renameSync(temporary, file);
}
