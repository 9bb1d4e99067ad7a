import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

const LINE_MS = 60_000;

/** A child that is talked to in lines: the native guest, and the programs that it is compared with. */
export class LineProcess {
  private readonly child: ChildProcessWithoutNullStreams;
  private readonly lines: AsyncIterator<string>;

  constructor(
    private readonly name: string,
    path: string,
    args: string[] = [],
  ) {
    this.child = spawn(path, args);
    this.child.stderr.pipe(process.stderr);
    this.child.stdin.on('error', () => {}); // its end is told by line()
    this.lines = createInterface({ input: this.child.stdout })[Symbol.asyncIterator]();
  }

  send(line: string): void {
    this.child.stdin.write(`${line}\n`);
  }

  /** The next line that starts with the word; an `error` or `skipped` line, the end or silence is an exception. */
  async line(word: string): Promise<string> {
    const timer = setTimeout(() => this.child.kill('SIGKILL'), LINE_MS);
    try {
      for (;;) {
        const { value, done } = await this.lines.next();
        if (done) throw new Error(`${this.name} ended, or said nothing for ${LINE_MS / 1000} s`);
        if (/^(error|skipped)/.test(value)) throw new Error(`${this.name}: ${value}`);
        if (value.includes(word)) return value;
      }
    } finally {
      clearTimeout(timer);
    }
  }

  stop(): void {
    this.child.kill('SIGKILL');
  }
}

/** The number after `key=` in a line. */
export function numberIn(line: string, key: string): number {
  const text = new RegExp(`(?:^| )${key}=(\\d+)`).exec(line)?.[1];
  if (text === undefined) throw new Error(`no ${key}= in "${line}"`);
  return Number(text);
}
