import { describe, expect, it } from 'vitest';
import { placedParts, placementNote, placementOn } from '#harness/placement.js';
import type { CellGroup } from '#harness/plan.js';
import { mockSpec } from '../support/mock-engine.mjs';

type Planned = CellGroup['workloads'][number];
const planned = (name: `${'cpu' | 'net' | 'mixed' | 'policy'}/${string}`): Planned => ({
  spec: mockSpec({ name, group: name.split('/')[0] as 'cpu' | 'net' | 'mixed' | 'policy' }),
  engines: ['bare'],
  skipped: [],
});
const group: CellGroup = {
  vms: 1,
  vcpus: 1,
  memoryBytes: 1 << 26,
  workloads: [planned('cpu/x'), planned('net/x'), planned('mixed/x')],
};
const names = (part: { group: CellGroup }) => part.group.workloads.map(({ spec }) => spec.name);

describe('placement', () => {
  it('gives the peer the last CPU and net machines the others', () => {
    expect(placementOn([0, 1])).toMatchObject({ peer: 1, netMachines: [0] });
    expect(placementOn([2, 5, 7])).toMatchObject({ peer: 7, netMachines: [2, 5] });
  });

  it('confines nobody on a host with one CPU, or one that does not say', () => {
    for (const cpus of [[], [3]]) {
      expect(placementOn(cpus)).toEqual({ peer: undefined, netMachines: undefined });
      expect(placedParts(group, placementOn(cpus))).toEqual([{ group }]);
      expect(placementNote(placementOn(cpus))).toMatch(/shares the only CPU/);
    }
  });

  it('boots machines of their own, confined, for net workloads alone', () => {
    const [all, net] = placedParts(group, placementOn([0, 1]));
    expect(names(all)).toEqual(['cpu/x', 'mixed/x']);
    expect(all.hostCpus).toBeUndefined();
    expect(names(net)).toEqual(['net/x']);
    expect(net.hostCpus?.(3)).toEqual([0]);
  });

  it('gives machines that share a disk by a policy a CPU each, and those that share a link the net machines’', () => {
    const roles = { policy: { order: 'wfq' as const }, roles: [], figure: 'share' as const, promise: { high: 1 } };
    const [disk, net] = [planned('policy/disk'), planned('policy/net')];
    disk.spec = { ...disk.spec, policy: roles };
    net.spec = { ...net.spec, policy: roles, needs: { peer: true } };
    const parts = placedParts({ ...group, workloads: [disk, net] }, placementOn([4, 6, 8]));
    expect(parts.map((part) => [names(part), [0, 1, 3].map((vm) => part.hostCpus?.(vm))])).toEqual([
      [['policy/disk'], [[4], [6], [4]]],
      [
        ['policy/net'],
        [
          [4, 6],
          [4, 6],
          [4, 6],
        ],
      ],
    ]);
  });

  it('leaves out a part that is empty', () => {
    const cpuOnly = { ...group, workloads: [planned('cpu/x')] };
    expect(placedParts(cpuOnly, placementOn([0, 1])).map(names)).toEqual([['cpu/x']]);
  });
});
