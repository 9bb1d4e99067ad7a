// An engine without a guest: its samples come from numbers that a test gives, on a clock that the test turns.
// Plain JavaScript, so that a child process can load it too (mock-cli.mjs); types are in mock-engine.d.mts.
import { createHash } from 'node:crypto';
import { MachineFailure, WorkloadUnsupported } from '../../dist/engines/engine.js';

/** A clock that stands still until someone turns it. */
export class VirtualClock {
  ns = 1_000_000_000n;
  nowNs() {
    return this.ns;
  }
  date() {
    return new Date(Date.UTC(2026, 0, 1) + Number(this.ns / 1_000_000n));
  }
}

/** A workload that asks for little; `over`: what it has of its own. */
export const mockSpec = (over = {}) => ({
  name: 'cpu/a',
  group: 'cpu',
  measures: 'nothing',
  metric: 'throughput',
  unit: 'units/s',
  scale: 1,
  minVcpus: 1,
  cpus: 'all',
  needs: {},
  comparable: true,
  vectorizable: false,
  memoryPerCpu: 1 << 20,
  ...over,
});

export class MockEngine {
  /** What happened, in order: `boot 0`, `prepare 0 cpu/a`, `start 0`, `stop 0`, `close`. */
  log = [];
  /** Machines that were booted and not stopped. */
  running = 0;
  /** Lengths of the samples that were asked for, in milliseconds, by workload. */
  durations = {};

  constructor(options) {
    this.options = { kind: 'full virtualization', opsPerSecond: () => 1000, ...options };
    this.name = this.options.name;
    this.kind = this.options.kind;
    this.summary = `mock ${this.name}`;
    if (this.options.policies) this.applyPolicy = (policy) => this.log.push(`policy ${policy.order}`);
  }

  async probe() {
    return this.options.unavailable === undefined ? { ok: true } : { ok: false, reason: this.options.unavailable };
  }

  async boot(config) {
    this.log.push(`boot ${config.id}`);
    if (this.options.bootFails) throw new MachineFailure(`${this.name} VM ${config.id} did not boot`, ['no kernel']);
    this.running++;
    if (this.options.bootMs !== undefined) this.options.clock.ns += BigInt(this.options.bootMs * 1e6);
    return new MockMachine(this, config);
  }

  async close() {
    this.log.push('close');
  }
}

class MockMachine {
  facts = { image: 'none' };
  samples = 0;
  stopped = false;

  constructor(engine, config) {
    this.engine = engine;
    this.config = config;
  }

  async prepare(workload, args) {
    const { unsupported } = this.engine.options;
    this.engine.log.push(`prepare ${this.config.id} ${workload}`);
    this.prepareSeed = args.seed;
    if (unsupported?.[workload] !== undefined) throw new WorkloadUnsupported(unsupported[workload]);
    this.workload = workload;
    this.samples = 0;
  }

  start(args) {
    this.engine.log.push(`start ${this.config.id}`);
    this.args = args;
    this.startNs = this.engine.options.clock.ns;
    if (args.durationMs === 0) return;
    this.samples++;
    this.engine.durations[this.workload] ??= [];
    this.engine.durations[this.workload].push(args.durationMs);
  }

  async result() {
    const { options, name } = this.engine;
    const at = { workload: this.workload, vm: this.config.id, sample: this.samples, config: this.config };
    if (options.realMs && this.args.durationMs > 0) await new Promise((done) => setTimeout(done, options.realMs));
    if (this.args.durationMs > 0 && options.crash?.(at)) throw new MachineFailure(`${name} crashed`, ['last words']);
    if (this.args.durationMs > 0 && options.hang?.(at)) return new Promise(() => {});
    const duration = BigInt(Math.round(this.args.durationMs * 1e6)) + 2000n;
    const stopNs = this.startNs + duration;
    if (stopNs > options.clock.ns) options.clock.ns = stopNs;
    const ops = (options.opsPerSecond(at) * Number(duration)) / 1e9;
    const word = `${this.workload}/${this.args.seed}/${options.wrongAnswer?.(at) ?? ''}`;
    return {
      startNs: this.startNs,
      stopNs,
      guestNs: Number(duration) * (1 + (options.driftPct ?? 0) / 100),
      units: this.args.durationMs > 0 ? 1 : 0,
      ops: this.args.durationMs > 0 ? ops : 0,
      reportedNs: options.reportedNs,
      checksum: createHash('sha256').update(word).digest('hex').slice(0, 16),
      errors: options.errors?.(at) ?? 0,
      cpuSeconds: Number(duration) / 1e9,
      counters: { exits: 3, 'code.translations': options.translations?.(at) ?? 0, ...options.counters?.(at) },
    };
  }

  async counters() {
    return {};
  }

  async stop() {
    if (this.stopped) return;
    this.stopped = true;
    this.engine.running--;
    this.engine.log.push(`stop ${this.config.id}`);
  }
}
