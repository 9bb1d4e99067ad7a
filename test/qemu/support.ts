import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Behaviour {
  version?: string;
  /** Methods of file I/O that it does not have. */
  refuse?: string[];
  /** Ends with status 3 at this command of the control protocol. */
  exitAt?: string;
  /** Counts so many CPUs, whatever it was given. */
  cpus?: number;
  sampleMs?: number;
}

/** A qemu-system-riscv64 of our own, alone on the PATH until remove(). */
export class FakeQemu {
  readonly folder = mkdtempSync(join(tmpdir(), 'virtax-fake-qemu-'));
  readonly #path = process.env.PATH;

  constructor(behaviour: Behaviour = {}) {
    const program = join(import.meta.dirname, 'fixtures/fake-qemu.mjs');
    const file = join(this.folder, 'qemu-system-riscv64');
    writeFileSync(file, `#!/bin/sh\nexec '${process.execPath}' '${program}' '${this.#behaviour}' "$@"\n`);
    chmodSync(file, 0o755);
    this.behave(behaviour);
    process.env.PATH = this.folder;
  }

  behave(behaviour: Behaviour): void {
    writeFileSync(this.#behaviour, JSON.stringify(behaviour));
  }

  /** How it was started last. */
  started(): { args: string[]; pid: number } {
    return JSON.parse(readFileSync(`${this.#behaviour}.args`, 'utf8')) as { args: string[]; pid: number };
  }

  remove(): void {
    process.env.PATH = this.#path;
    rmSync(this.folder, { recursive: true, force: true });
  }

  get #behaviour(): string {
    return join(this.folder, 'behaviour.json');
  }
}
