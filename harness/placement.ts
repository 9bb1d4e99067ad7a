/**
 * Which CPUs of the host the machines and the network peer run on.
 *
 * A round trip over loopback takes 5 µs when both ends share a core and 100 µs when each waits for the other to wake on
 * a core of its own (measured, see ARCHITECTURE.md), and the scheduler changes its mind between samples. So the net
 * workloads run as netperf is run with -T: the peer alone on the last CPU, the machines on the others, every engine alike.
 * All other workloads may use every CPU.
 */
import type { CellGroup, PlannedWorkload } from './plan.js';

export interface Placement {
  /** CPU of the peer; undefined on a host with one CPU. */
  peer: number | undefined;
  /** CPUs of machines that talk to the peer only; undefined: all. */
  netMachines: number[] | undefined;
}

/** @param cpus the CPUs that this process may use, ascending */
export function placementOn(cpus: readonly number[]): Placement {
  if (cpus.length < 2) return { peer: undefined, netMachines: undefined };
  return { peer: cpus[cpus.length - 1], netMachines: cpus.slice(0, -1) };
}

/** What a reader of the results must know of it, in one sentence. */
export function placementNote({ peer, netMachines }: Placement): string {
  return peer === undefined
    ? 'The network peer shares the only CPU with the machines.'
    : `Net workloads: the peer runs on CPU ${peer}, the machines on CPU ${netMachines?.join(', ')}.`;
}

const isNet = ({ spec }: PlannedWorkload): boolean => spec.group === 'net';

/** A group's workloads in parts that can share booted machines: those without the network, and those of the network alone. */
export function placedParts(group: CellGroup, placement: Placement): { group: CellGroup; hostCpus?: number[] }[] {
  const { netMachines } = placement;
  if (netMachines === undefined) return [{ group }];
  const parts = [
    { group: { ...group, workloads: group.workloads.filter((workload) => !isNet(workload)) } },
    { group: { ...group, workloads: group.workloads.filter(isNet) }, hostCpus: netMachines },
  ];
  return parts.filter((part) => part.group.workloads.length > 0);
}
