// `virtax` with mock engines, as a process of its own: what happens on signals can only be tested on a whole process.
// MOCK holds options of the engines as JSON: { realMs, crash: "engine workload", opsPerSecond: { engine: number } }.
import { main } from '../../dist/harness/cli.js';
import { hostContext } from '../../dist/harness/context.js';
import { MockEngine, VirtualClock } from './mock-engine.mjs';

const options = JSON.parse(process.env.MOCK ?? '{}');
const clock = new VirtualClock();
const spec = (name, over = {}) => ({
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
  ...over,
});
const engine = (name, kind) =>
  new MockEngine({
    name,
    kind,
    clock,
    realMs: options.realMs,
    opsPerSecond: () => options.opsPerSecond?.[name] ?? 1000,
    crash: (at) => options.crash === `${name} ${at.workload}`,
  });

process.exitCode = await main(process.argv.slice(2), async () => ({
  ...(await hostContext()),
  clock,
  engines: [engine('bare', 'bare metal'), engine('full', 'full virtualization'), engine('para', 'paravirtualization')],
  specs: ['cpu/a', 'cpu/b', 'memory/c', 'cpu/d'].map((name) => spec(name)),
}));
