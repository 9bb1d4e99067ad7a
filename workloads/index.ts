/** All workloads as data, in the order of the guest's registry (workloads/registry.c); those of policy/ are not in it: they run others. */
import { blockWorkloads } from './block/spec.js';
import { cpuWorkloads } from './cpu/spec.js';
import { memoryWorkloads } from './memory/spec.js';
import { mixedWorkloads } from './mixed/spec.js';
import { netWorkloads } from './net/spec.js';
import { osWorkloads } from './os/spec.js';
import { policyWorkloads } from './policy/spec.js';
import type { WorkloadSpec } from './spec.js';

export const workloads: readonly WorkloadSpec[] = [
  ...cpuWorkloads,
  ...memoryWorkloads,
  ...osWorkloads,
  ...blockWorkloads,
  ...netWorkloads,
  ...mixedWorkloads,
  ...policyWorkloads,
];

/** Workloads whose name matches a pattern (`*` any characters, `?` one), in registry order: the guest's `run` takes the same. */
export function matchWorkloads(pattern: string): WorkloadSpec[] {
  const source = pattern
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.');
  const expression = new RegExp(`^${source}$`);
  return workloads.filter(({ name }) => expression.test(name));
}
