import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

const QEMU = 'qemu-system-riscv64';
/** QEMU emulating with many harts on a loaded machine of two cores. */
const PATIENCE_MS = 120_000;

export interface QemuOptions {
  harts: number;
  /** With its unit: `64M`. */
  memory: string;
  append?: string;
  /** Raw file behind a 53C895A. */
  disk?: string;
  /** An RTL8139 on QEMU's user networking. */
  net?: boolean;
  /** virtio devices instead of the two, with these further properties of the disk (`,num-queues=2`). */
  virtio?: string;
}

/** The command line with which anyone boots our image. */
export function qemuArgs(image: string, options: QemuOptions): string[] {
  const args = ['-M', 'virt', '-smp', `${options.harts}`, '-m', options.memory, '-nographic', '-bios', 'none'];
  args.push('-kernel', image);
  if (options.append) args.push('-append', options.append);
  if (options.virtio !== undefined) return [...args, ...virtioArgs(options)];
  if (options.disk) {
    args.push('-drive', `if=none,id=d,file=${options.disk},format=raw`);
    args.push('-device', 'lsi53c895a', '-device', 'scsi-hd,drive=d');
  }
  if (options.net) args.push('-netdev', 'user,id=n', '-device', 'rtl8139,romfile=,netdev=n');
  return args;
}

function virtioArgs(options: QemuOptions): string[] {
  const disk = ['-drive', `if=none,id=d,file=${options.disk},format=raw`];
  disk.push('-device', `virtio-blk-pci,drive=d,romfile=,disable-legacy=on${options.virtio}`);
  return [...disk, '-netdev', 'user,id=n', '-device', 'virtio-net-pci,romfile=,netdev=n,disable-legacy=on'];
}

/** Boots and waits for the machine's own end. */
export function qemuRun(image: string, options: QemuOptions): Promise<{ status: number; console: string }> {
  return new Promise((resolve) => {
    const child = execFile(QEMU, qemuArgs(image, options), { timeout: PATIENCE_MS }, (error, stdout) => {
      resolve({ status: error ? Number(error.code ?? -1) : 0, console: stdout });
    });
    child.stdin?.end();
  });
}

/** A guest of whatever port that is driven by lines on its standard input. */
export class LineGuest {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  readonly #seen: string[] = [];
  readonly #patience: NodeJS.Timeout;

  constructor(command: string, args: string[]) {
    this.#child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    const { stdout } = this.#child;
    if (!stdout) throw new Error(`${command} has no output`);
    // A guest that has ended takes no line: expect() says so.
    this.#child.stdin?.on('error', () => {});
    this.#lines = createInterface({ input: stdout })[Symbol.asyncIterator]();
    this.#patience = setTimeout(() => this.#child.kill('SIGKILL'), PATIENCE_MS);
  }

  static qemu(image: string, options: QemuOptions): LineGuest {
    return new LineGuest(QEMU, qemuArgs(image, options));
  }

  send(line: string): void {
    this.#child.stdin?.write(`${line}\n`);
  }

  /** The next line that starts with one of the words; doorbells are taken out. */
  async expect(...words: string[]): Promise<string> {
    for (;;) {
      const { value, done } = await this.#lines.next();
      if (done)
        throw new Error(
          `ended while ${words.join(' or ')} was expected; its last lines:\n${this.#seen.slice(-20).join('\n')}`,
        );
      // biome-ignore lint/suspicious/noControlCharactersInRegex: the doorbells are control characters
      const line = String(value).replaceAll(/[\u0002\u0003\r]/g, '');
      this.#seen.push(line);
      if (words.some((word) => line.startsWith(word))) return line;
    }
  }

  async sample(workload: string, options: string, ms: number): Promise<Map<string, string>> {
    this.send(`prepare ${workload} seed=1 ${options}`);
    const answer = await this.expect('ready', 'skipped', 'error');
    if (answer !== `ready ${workload}`) return new Map([['refused', answer]]);
    this.send(`start ms=${ms} seed=7`);
    const result = await this.expect('result', 'error');
    const fields = result
      .split(' ')
      .slice(1)
      .map((field) => field.split('=') as [string, string]);
    return new Map(result.startsWith('result') ? fields : [['refused', result]]);
  }

  async end(): Promise<void> {
    clearTimeout(this.#patience);
    this.#child.kill('SIGKILL');
    await this.#lines.return?.();
  }
}
