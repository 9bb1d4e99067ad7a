/** What a VM's process takes of the host's memory, from /proc: proc(5), smaps. */
import { readFileSync } from 'node:fs';
import type { VmConfig } from '../../engines/full/config.js';
import { StateLayout } from '../../engines/full/machine/shared-state.js';

const WASM_PAGE = 65_536;
const KIB = 1024;

interface Mapping {
  from: number;
  to: number;
  pssBytes: number;
}

export interface ProcessMemory {
  /** Proportional set size: shared pages are divided by the processes that share them. */
  pssBytes: number;
  /** Of it, guest RAM that the guest (or an image) has touched. */
  ramBytes: number;
}

/** Throws an Error where the process is gone, or its memory is not to be found. */
export function memoryOf(pid: number, config: VmConfig): ProcessMemory {
  const mappings = parseSmaps(readFileSync(`/proc/${pid}/smaps`, 'latin1'));
  const layout = new StateLayout(config);
  const ram = ramOf(mappings, layout.pages * WASM_PAGE, layout.ramOffset);
  return { pssBytes: total(mappings), ramBytes: total(ram) };
}

/** The same of a hypervisor's process: its domains have `domainBytes` each, a size that nothing else there has. */
export function hypervisorMemoryOf(pid: number, domainBytes: number): ProcessMemory {
  const mappings = parseSmaps(readFileSync(`/proc/${pid}/smaps`, 'latin1'));
  const ram = mappings.filter(({ from, to }) => to - from === domainBytes);
  return { pssBytes: total(mappings), ramBytes: total(ram) };
}

export function parseSmaps(text: string): Mapping[] {
  const mappings = text.matchAll(/^([0-9a-f]+)-([0-9a-f]+) rw.p .*\n(?:[A-Z].*\n)*?Pss: +(\d+) kB|^Pss: +(\d+) kB/gm);
  return [...mappings].map(([, from = '0', to = '0', own, other]) => ({
    from: Number.parseInt(from, 16),
    to: Number.parseInt(to, 16),
    pssBytes: Number(own ?? other) * KIB,
  }));
}

/**
 * The machine's memory is `bytes` long, and RAM begins `ramOffset` into it. The advice to use huge pages, which holds for
 * RAM alone, has made mappings of their own of both.
 */
export function ramOf(mappings: readonly Mapping[], bytes: number, ramOffset: number): Mapping[] {
  for (const { from } of mappings) {
    const own = mappings.filter((other) => other.from >= from && other.to <= from + bytes && other.to > 0);
    const whole = own.reduce((sum, other) => sum + other.to - other.from, 0) === bytes;
    if (whole && own.some((other) => other.from === from + ramOffset)) {
      return own.filter((other) => other.from >= from + ramOffset);
    }
  }
  throw new Error('guest RAM is not to be found among the mappings of the VM’s process (no huge pages on this host?)');
}

const total = (mappings: readonly Mapping[]): number => mappings.reduce((sum, { pssBytes }) => sum + pssBytes, 0);
