/** QEMU as it is installed on this host: where it is, and which version. */
import { execFile } from 'node:child_process';
import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';

export const PROGRAM = 'qemu-system-riscv64';
const VERSION_MS = 10_000;

export interface Installation {
  path: string;
  /** As it says itself: `7.2.22`. */
  version: string;
  /**
   * A command that makes the process end with its parent, to be put before QEMU's (setpriv of util-linux); empty where it
   * is not installed. QEMU has no such option, and it does not end when its standard input does.
   */
  guard: string[];
}

/** The program on the PATH, or undefined. */
export function onPath(name: string, path = process.env.PATH ?? ''): string | undefined {
  return path
    .split(delimiter)
    .filter((folder) => folder !== '')
    .map((folder) => join(folder, name))
    .find(isProgram);
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

/** What is installed. @throws Error: one sentence that a user can act on */
export async function findInstallation(): Promise<Installation> {
  const path = onPath(PROGRAM);
  if (path === undefined) {
    throw new Error(`${PROGRAM} is not on the PATH: install it (Debian 13: qemu-system-riscv, 12: qemu-system-misc)`);
  }
  const setpriv = onPath('setpriv');
  const guard = setpriv === undefined ? [] : [setpriv, '--pdeathsig', 'KILL', '--'];
  return { path, version: await versionOf(path), guard };
}

async function versionOf(path: string): Promise<string> {
  const output = await promisify(execFile)(path, ['--version'], { timeout: VERSION_MS }).then(
    ({ stdout }) => stdout,
    (error: Error) => {
      throw new Error(`${path} --version fails: ${error.message.trim().replaceAll(/\s*\n\s*/g, ' | ')}`);
    },
  );
  const version = /^QEMU emulator version (\d+\.\d+\S*)/.exec(output)?.[1];
  if (version === undefined) throw new Error(`${path} is no QEMU: it calls itself "${output.trim().slice(0, 80)}"`);
  return version;
}
