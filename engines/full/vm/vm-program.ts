/** A VM's process and its harts' threads are one linked program: each loads it as one file. */
import { fileURLToPath } from 'node:url';
import { type Child, type ProgramOptions, startProgram } from '../../process/child.js';
import { type Program, type Start, startOf } from '../../process/program/program-file.js';
import { defaultMode } from '../cpu/default-mode.js';

const MAIN = new URL('./vm-main.js', import.meta.url);
const HART = new URL('../thread/hart-main.js', import.meta.url);
const FORCED_HART = new URL('../thread/forced-hart-main.js', import.meta.url);
const PREPARE = new URL('./prepare-cpu.js', import.meta.url);
const REHEARSE = new URL('./rehearse-vm.js', import.meta.url);
const PROGRAM: Program = {
  modules: [MAIN, PREPARE, REHEARSE],
  workers: [HART],
  preparation: PREPARE,
  rehearsal: REHEARSE,
};

/** For glibc: V8's optimizing compiler takes 30 MiB at times, which go back to the host when it is done. */
const ALLOCATOR = { MALLOC_TRIM_THRESHOLD_: '131072' };

export const vmMain = (): Start => startOf(MAIN, PROGRAM);
export const hartThread = (): Start =>
  defaultMode() === 'forced' ? { path: fileURLToPath(FORCED_HART), arguments: [] } : startOf(HART, PROGRAM);

/** The process of a VM with so many harts, which waits for a message `boot`. */
export function startVm(harts: number, { stderr = 'kept' }: Pick<ProgramOptions, 'stderr'> = {}): Child {
  return startProgram(vmMain(), [String(harts)], { env: ALLOCATOR, stderr });
}
