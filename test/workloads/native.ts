/** The native image as the tests use it: tool modes, and a guest that is talked to line by line. */
import { type ChildProcessWithoutNullStreams, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { nativeImage } from '#workloads/images.js';

export interface Ended {
  status: number;
  stdout: string;
  stderr: string;
}

/** Runs a tool mode to its end. */
export function tool(args: string[], program: string[] = [nativeImage().path]): Promise<Ended> {
  const [file, ...first] = program;
  return new Promise((resolve) => {
    const child = execFile(
      file,
      [...first, ...args],
      { encoding: 'latin1', timeout: 60_000 },
      (error, stdout, stderr) => {
        resolve({ status: error ? Number(error.code ?? 255) : 0, stdout, stderr });
      },
    );
    child.stdin?.end();
  });
}

/** Lines of `name value…` as a map from the words before the last to the last. */
export function answers(text: string): Map<string, string> {
  return new Map(
    text
      .trimEnd()
      .split('\n')
      .map((line) => line.match(/^(.*) (\S+)$/))
      .filter((match) => match !== null)
      .map((match) => [match[1], match[2]]),
  );
}

/** A guest or peer that runs until close(). Doorbells (bytes 2 and 3) are shown as `#`. */
export class Native {
  private output = '';
  private position = 0;
  private arrived = () => {};
  readonly process: ChildProcessWithoutNullStreams;
  private readonly exit: Promise<unknown[]>;

  constructor(args: string[]) {
    this.process = spawn(nativeImage().path, args);
    this.exit = once(this.process, 'exit');
    this.process.stdout.setEncoding('latin1').on('data', (text: string) => {
      this.output += text.replaceAll('\x02', '#').replaceAll('\x03', '#');
      this.arrived();
    });
    this.process.stdout.on('end', () => this.arrived());
  }

  send(line: string): void {
    this.process.stdin.write(`${line}\n`);
  }

  /** The next line; the test's own time limit ends a wait for one that never comes. */
  async line(): Promise<string> {
    for (;;) {
      const end = this.output.indexOf('\n', this.position);
      if (end >= 0) {
        const line = this.output.slice(this.position, end);
        this.position = end + 1;
        return line;
      }
      if (this.process.stdout.readableEnded) throw new Error(`the native guest ended after: ${this.output}`);
      await new Promise<void>((resolve) => {
        this.arrived = resolve;
      });
    }
  }

  async ask(line: string): Promise<string> {
    this.send(line);
    return this.line();
  }

  /** A prepared and run sample: its result line as key and value. */
  async sample(workload: string, options: string, ms = 30, seed = 7): Promise<Record<string, string>> {
    const ready = await this.ask(`prepare ${workload} ${options}`);
    if (ready !== `ready ${workload}`) throw new Error(ready);
    let line = await this.ask(`start ms=${ms} seed=${seed}`);
    while (!/^#*result /.test(line)) {
      if (line.startsWith('error')) throw new Error(line);
      line = await this.line();
    }
    return fields(line);
  }

  /** A sample in which something was done: a disk that stalls for longer than the sample is given twice the time. */
  async work(workload: string, options: string, ms = 30): Promise<Record<string, string>> {
    const result = await this.sample(workload, options, ms);
    return result.ops === '0' && result.errors === '0' ? this.work(workload, options, 2 * ms) : result;
  }

  async status(): Promise<number | null> {
    const [code] = await this.exit;
    return code as number | null;
  }

  async close(): Promise<void> {
    if (this.process.exitCode === null && this.process.signalCode === null) this.process.kill('SIGKILL');
    await this.exit;
  }
}

/** The key=value words of a line. */
export function fields(line: string): Record<string, string> {
  return Object.fromEntries(line.split(' ').flatMap((word) => (word.includes('=') ? [word.split('=', 2)] : [])));
}

/** A folder for the disks of a test file, and the end of it. */
export function scratch(): { path: (name: string) => string; remove: () => void } {
  const folder = mkdtempSync(join(tmpdir(), 'virtax-test-'));
  return { path: (name) => join(folder, name), remove: () => rmSync(folder, { recursive: true, force: true }) };
}

/** splitmix64's finalizer, written once more: the tests do not share the guest's. */
export function mix64(value: bigint): bigint {
  const wrap = (x: bigint) => BigInt.asUintN(64, x);
  let x = wrap(value);
  x = wrap((x ^ (x >> 30n)) * 0xbf58476d1ce4e5b9n);
  x = wrap((x ^ (x >> 27n)) * 0x94d049bb133111ebn);
  return x ^ (x >> 31n);
}
