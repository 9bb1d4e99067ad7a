// What the command line stands on in tests: three mock engines and four workloads.
import { DEFAULT_DEADLINES } from '../../dist/harness/machines.js';
import { MockEngine, VirtualClock } from './mock-engine.mjs';

const spec = (name) => ({
  name,
  group: name.split('/')[0],
  measures: 'nothing',
  metric: 'throughput',
  unit: 'units/s',
  scale: 1,
  minVcpus: 1,
  cpus: 'all',
  needs: {},
  comparable: true,
  vectorizable: false,
  memoryPerCpu: 4096,
});

/** Options: { realMs, crash: "engine workload", opsPerSecond: { engine: number } }. */
export function mockShell(options, out, err) {
  const clock = new VirtualClock();
  const engine = (name, kind) =>
    new MockEngine({
      name,
      kind,
      clock,
      realMs: options.realMs,
      opsPerSecond: () => options.opsPerSecond?.[name] ?? 1000,
      crash: (at) => options.crash === `${name} ${at.workload}`,
    });
  const engines = [
    engine('bare', 'bare metal'),
    engine('full', 'full virtualization'),
    engine('para', 'paravirtualization'),
  ];
  const specs = ['cpu/a', 'cpu/b', 'memory/c', 'cpu/d'].map(spec);
  return { out, err, context: async () => ({ engines, specs, clock, deadlines: DEFAULT_DEADLINES, out, err }) };
}
