/**
 * Which CPUs of the host the machines and the network peer run on.
 *
 * A round trip over loopback takes 5 µs when both ends share a core and 100 µs when each waits for the other to wake on
 * a core of its own (measured, see ARCHITECTURE.md), and the scheduler changes its mind between samples. So the net
 * workloads run as netperf is run with -T: the peer alone on the last CPU, the machines on the others, every engine alike.
 * Machines that share a disk by a policy have a CPU each, as far as there are any: what one has to wait for the other is the queue's doing
 * then, not the scheduler's. All other workloads may use every CPU.
 */
import type { CellGroup, PlannedWorkload } from './plan.js';

export interface Placement {
  /** CPU of the peer; undefined on a host with one CPU. */
  peer: number | undefined;
  /** CPUs of machines that talk to the peer only; undefined: all. */
  netMachines: number[] | undefined;
  /** All of them. */
  cpus?: readonly number[];
}

/** @param cpus the CPUs that this process may use, ascending */
export function placementOn(cpus: readonly number[]): Placement {
  if (cpus.length < 2) return { peer: undefined, netMachines: undefined };
  return { peer: cpus[cpus.length - 1], netMachines: cpus.slice(0, -1), cpus };
}

/** What a reader of the results must know of it, in one sentence. */
export function placementNote({ peer, netMachines }: Placement): string {
  return peer === undefined
    ? 'The network peer shares the only CPU with the machines.'
    : `Net workloads: the peer runs on CPU ${peer}, the machines on CPU ${netMachines?.join(', ')}.`;
}

const isNet = ({ spec }: PlannedWorkload): boolean =>
  spec.group === 'net' || (spec.policy !== undefined && spec.needs.peer === true);

const isApart = (workload: PlannedWorkload): boolean => workload.spec.policy !== undefined && !isNet(workload);

/** Workloads that can share booted machines, and the CPUs of the host for machine `vm`; absent: all. */
export interface PlacedPart {
  group: CellGroup;
  hostCpus?: (vm: number) => readonly number[];
}

/** A group's workloads in parts: those of the network, those of machines that have a CPU each, and all others. */
export function placedParts(group: CellGroup, { netMachines, cpus = [] }: Placement): PlacedPart[] {
  if (netMachines === undefined) return [{ group }];
  const those = (belong: (workload: PlannedWorkload) => boolean) => ({
    ...group,
    workloads: group.workloads.filter(belong),
  });
  const parts: PlacedPart[] = [
    { group: those((workload) => !isNet(workload) && !isApart(workload)) },
    { group: those(isApart), ...(cpus.length > 0 ? { hostCpus: (vm) => [cpus[vm % cpus.length]] } : {}) },
    { group: those(isNet), hostCpus: () => netMachines },
  ];
  return parts.filter((part) => part.group.workloads.length > 0);
}
