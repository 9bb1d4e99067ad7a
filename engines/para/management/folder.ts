/** Where the sockets of the hypervisors of this user lie: one file a process, hv-PID.sock, in a folder that is the user's alone. */
import { existsSync, lstatSync, mkdirSync, readdirSync, unlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const PRIVATE = 0o700;
const OTHERS = 0o077;
const NAME = /^hv-(\d+)\.sock$/;

/** $XDG_RUNTIME_DIR/virtax, or, where that is not, virtax-UID in the temporary directory. */
export function socketFolder(): string {
  const runtime = process.env.XDG_RUNTIME_DIR;
  if (runtime && existsSync(runtime)) return join(runtime, 'virtax');
  return join(tmpdir(), `virtax-${process.getuid?.() ?? 0}`);
}

export const socketPath = (pid: number): string => join(socketFolder(), `hv-${pid}.sock`);

/** Makes it if need be. @throws Error with a sentence when it is not this user's alone: others could put sockets there */
export function openSocketFolder(): void {
  const folder = socketFolder();
  mkdirSync(folder, { recursive: true, mode: PRIVATE });
  checkFolder(folder);
}

function checkFolder(folder: string): void {
  const stats = lstatSync(folder);
  const own = stats.isDirectory() && stats.uid === process.getuid?.() && (stats.mode & OTHERS) === 0;
  if (!own) throw new Error(`${folder} must be a directory of this user's alone: remove it, or chmod 700 it`);
}

/** Processes that have a socket and live; the sockets of others are removed. @throws Error as openSocketFolder() */
export function hypervisorPids(): number[] {
  const folder = socketFolder();
  const pids = namesIn(folder).flatMap((name) => NAME.exec(name)?.[1] ?? []);
  if (pids.length > 0) checkFolder(folder);
  return pids.map(Number).filter((pid) => lives(pid) || removeSocket(pid));
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function lives(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** Of a process that is gone. */
export function removeSocket(pid: number): false {
  try {
    unlinkSync(socketPath(pid));
  } catch {
    // there is none
  }
  return false;
}
