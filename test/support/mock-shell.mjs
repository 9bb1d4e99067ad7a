// What the command line stands on in tests: three mock engines and four workloads.
import { DEFAULT_DEADLINES } from '../../dist/harness/machines.js';
import { MockEngine, mockSpec, VirtualClock } from './mock-engine.mjs';

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
  const specs = ['cpu/a', 'cpu/b', 'memory/c', 'cpu/d'].map((name) => mockSpec({ name, group: name.split('/')[0] }));
  return { out, err, context: async () => ({ engines, specs, clock, deadlines: DEFAULT_DEADLINES, out, err }) };
}
