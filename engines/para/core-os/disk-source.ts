/** What a domain's disk can be, as it is asked for, and as all threads are told of it. */
import { closeSync, fstatSync, openSync } from 'node:fs';
import { zeroMode } from '../../backends/block-file.js';
import { libc } from '../../backends/libc.js';
import type { DiskConfig } from '../../engine.js';
import type { DiskLimits } from './block-request.js';

/** A disk that is no file: in the memory of the hypervisor's process, or none at all: reads give zeros, writes go nowhere. */
export interface SyntheticDisk {
  kind: 'memory' | 'null';
  bytes: number;
}

export type DiskChoice = DiskConfig | SyntheticDisk;

export type DiskSource = DiskLimits &
  (({ kind: 'file' } & DiskConfig) | { kind: 'memory'; memory: SharedArrayBuffer } | { kind: 'null' });

const PROBE_BYTES = 4096;

/** On the main thread, when a domain is built. @throws Error with a sentence for the user */
export function diskSource(choice: DiskChoice): DiskSource {
  if (!('kind' in choice)) return { kind: 'file', ...choice, discards: discardsAt(choice.path) };
  const { kind, bytes } = choice;
  if (kind === 'null') return { kind, bytes, discards: true };
  try {
    return { kind, bytes, discards: true, memory: new SharedArrayBuffer(bytes) };
  } catch {
    throw new Error(`a memory disk of ${bytes} bytes is more than this process can have; make it smaller`);
  }
}

/** Whether holes can be punched into the file: tried behind its end, where there is nothing to lose. */
function discardsAt(path: string): boolean {
  let fd: number;
  try {
    fd = openSync(path, 'r+');
  } catch {
    return false; // the vCPUs' threads say what is wrong with it
  }
  try {
    return (libc()?.fallocate(fd, zeroMode(true), fstatSync(fd).size, PROBE_BYTES) ?? -1) >= 0;
  } finally {
    closeSync(fd);
  }
}
