import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { linuxWorkloads } from '#workloads/linux/spec.js';
import { packageRoot } from '#workloads/package-root.js';

const agent = readFileSync(join(packageRoot(), 'workloads/linux/agent.sh'), 'utf8');

describe('the Linux profile', () => {
  it('has a unit in the agent for each workload, and none beside', () => {
    const units = [...agent.matchAll(/^unit_(\w+)\(\)/gm)].map(([, name]) => `linux/${name.replaceAll('_', '-')}`);
    const run = linuxWorkloads.filter(({ boots }) => boots !== true);
    expect(units.sort()).toEqual(run.map(({ name }) => name as string).sort());
  });

  it('measures what can be compared with bare metal, and asks for a disk where fio reads one', () => {
    for (const { name, group, comparable, needs } of linuxWorkloads) {
      expect({ group, comparable }).toEqual({ group: 'linux', comparable: name !== 'linux/boot' });
      expect(needs.disk === true).toBe(name.includes('fio'));
    }
  });
});
