/** `virtax run` on `full`: the machine in this process, its harts in threads of it. */
import { accessSync, constants, statSync } from 'node:fs';
import { type RunDisk, type RunEnd, type RunningMachine, RunRefused, type RunRequest } from '../run.js';
import type { VmConfig, VmDisk, VmEnd } from './config.js';

/** What most guests bring a driver for. */
const DEFAULT_NIC = 'e1000';

/** Rejects with RunRefused when the machine cannot be had. */
export async function run(request: RunRequest, output: (bytes: Uint8Array) => void): Promise<RunningMachine> {
  const { Vm } = await import('./vm/vm.js');
  let tellEnd: (end: RunEnd) => void = () => {};
  const ended = new Promise<RunEnd>((resolve) => {
    tellEnd = resolve;
  });
  try {
    const vm = new Vm(vmConfig(request), {
      running: () => {},
      doorbell: () => {},
      output,
      ended: (how) => tellEnd(runEnd(how)),
    });
    return {
      input: (bytes) => vm.input(bytes),
      counters: () => vm.counters(),
      stop: () => vm.stop(),
      ended,
    };
  } catch (error) {
    throw new RunRefused(error instanceof Error ? error.message : String(error));
  }
}

function vmConfig(request: RunRequest): VmConfig {
  const { vcpus, nic, disks, ...same } = request;
  return {
    ...same,
    id: 0,
    harts: vcpus,
    disks: disks.map(vmDisk),
    ...(nic === undefined ? {} : { nic: { ...nic, model: nic.model ?? DEFAULT_NIC } }),
    pollUs: 0,
  };
}

function vmDisk(disk: RunDisk): VmDisk {
  const { path } = disk;
  if (disk.media === 'cdrom' && disk.interface !== 'scsi') {
    throw new Error(`the disk ${path}: a CD-ROM is a SCSI device; write if=scsi`);
  }
  const stats = statSync(path, { throwIfNoEntry: false });
  if (stats === undefined) throw new Error(`the disk ${path} is not there`);
  if (!stats.isFile()) throw new Error(`the disk ${path} is not a file`);
  if (stats.size === 0) throw new Error(`the disk ${path} is empty; make one for example with: truncate -s 1G ${path}`);
  const readonly = disk.readonly || disk.media === 'cdrom';
  checkAccess(path, readonly);
  return { ...disk, readonly, bytes: stats.size, direct: false };
}

function checkAccess(path: string, readonly: boolean): void {
  try {
    accessSync(path, readonly ? constants.R_OK : constants.R_OK | constants.W_OK);
  } catch {
    const mend = readonly ? '' : '; ",readonly" behind it opens it for reading alone';
    throw new Error(`the disk ${path} cannot be ${readonly ? 'read' : 'read and written'}${mend}`);
  }
}

function runEnd(how: VmEnd): RunEnd {
  if (how.kind === 'fault') return { status: 1, problem: how.message };
  return { status: how.kind === 'poweroff' ? how.code : 0 };
}
