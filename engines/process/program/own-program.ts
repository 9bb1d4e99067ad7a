/** What a thread of a linked program knows of it. All is absent, and harmless, in a process that was started otherwise. */
import { readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

/** What start.cts has started this process from: all of its threads run the same, whatever has changed since. */
export interface OwnProgram {
  readonly file: string;
  /** What a worker is to be given as its workerData. */
  readonly contents: object;
  saveMemory(): void;
}

export function ownProgram(): OwnProgram | undefined {
  return (globalThis as Record<symbol, unknown>)[Symbol.for('virtax.program')] as OwnProgram | undefined;
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

/** Others may be reading it, or writing it as well. */
export function replaceFile(
  file: string,
  data: Uint8Array | string,
  beforeItIsThere = (_temporary: string) => {},
): void {
  const temporary = join(dirname(file), `.${basename(file)}.${process.pid}`);
  writeFileSync(temporary, data);
  beforeItIsThere(temporary);
  renameSync(temporary, file);
}
