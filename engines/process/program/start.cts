/**
 * Runs an entry of a linked program: `node start.cjs FILE ENTRY …`, as a process or as a worker. To the entry its
 * arguments look as if it had been started itself. A rehearsal (program-file.ts) leaves V8's code for what its main thread
 * and its workers have run; with that nothing is parsed or compiled at a start.
 */
import fs = require('node:fs');
import loader = require('node:module');
import threads = require('node:worker_threads');
import v8 = require('node:v8');
import vm = require('node:vm');

type Program = (require: NodeJS.Require) => (entry: string) => unknown;

/** The text that a program's workers run, and V8's code for it, in memory that all threads of the process see. */
interface Contents {
  readonly source: Uint8Array<SharedArrayBuffer>;
  readonly workerCode: Uint8Array<SharedArrayBuffer> | undefined;
}

/** What a worker is given: what the process has read already; and whether it is to start sooner or to take less memory. */
type Given = Contents & { readonly frugal?: boolean };

const [file, entry] = process.argv.splice(2, 2);
const REHEARSAL = process.env.VIRTAX_REHEARSAL !== undefined;

function run(): void {
  const given = threads.workerData as Given | null | undefined;
  const saveMemory = given?.frugal ? collectGarbage : () => {};
  saveMemory();
  const contents = given ?? workerContents();
  const kind = threads.isMainThread ? 'main' : 'worker';
  const code = kind === 'main' ? ifThere(() => fs.readFileSync(cacheName(kind))) : contents.workerCode;
  const source = kind === 'main' ? fs.readFileSync(file) : Buffer.from(contents.source.buffer);
  const script = new vm.Script(source.toString('latin1'), {
    filename: file,
    ...(code === undefined ? {} : { cachedData: code }),
  });
  const program = script.runInThisContext() as Program;
  Object.assign(globalThis, { [Symbol.for('virtax.program')]: { file, contents, saveMemory } });
  if (REHEARSAL) {
    // V8 takes code back under the flags alone that it was made with: none stays set that a start does not find.
    const set = v8.setFlagsFromString;
    v8.setFlagsFromString = (flag) => (flag.endsWith('allow-natives-syntax') ? set(flag) : undefined);
    process.once('exit', () => keep(cacheName(kind), script.createCachedData()));
  }
  program(loader.createRequire(file))(entry);
}

/**
 * What Node leaves behind at a worker's start is a sixth of its memory, and what the program's start leaves is as much. V8
 * gives programs its collector under a flag alone, and under any flag it refuses the code that Node brings for its own
 * modules (14 ms a worker). But it collects everything when memory beside the heap grows beyond half of the heap's limit:
 * so some is asked for, which nobody touches. Where there is no address space for it, nothing is collected.
 */
function collectGarbage(): void {
  const { maxOldGenerationSizeMb = 0 } = threads.resourceLimits;
  try {
    new ArrayBuffer((maxOldGenerationSizeMb / 2 + 16) * 2 ** 20);
  } catch {
    // A RangeError.
  }
}

/** A program whose workers have no text of their own is one text for all. */
function workerContents(): Contents {
  return {
    source: ifThere(() => readShared(besideProgram('worker-text'))) ?? readShared(file),
    workerCode: ifThere(() => readShared(cacheName('worker'))),
  };
}

const cacheName = (kind: 'main' | 'worker'): string => besideProgram(`${kind}.cache`);

/** Named by inode and time: V8 itself compares sources by length alone. */
function besideProgram(name: string): string {
  const { ino, mtimeMs } = fs.statSync(file);
  return `${file}.${ino}-${mtimeMs}.${name}`;
}

function readShared(path: string): Uint8Array<SharedArrayBuffer> {
  const fd = fs.openSync(path, 'r');
  const bytes = new Uint8Array(new SharedArrayBuffer(fs.fstatSync(fd).size));
  fs.readSync(fd, bytes);
  fs.closeSync(fd);
  return bytes;
}

function ifThere<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

function keep(cache: string, data: Buffer): void {
  const temporary = `${cache}.${process.pid}-${threads.threadId}`;
  fs.writeFileSync(temporary, data);
  fs.renameSync(temporary, cache);
}

run();
