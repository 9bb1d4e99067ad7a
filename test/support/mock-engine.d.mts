import type { Engine, EngineKind, Machine, MachineConfig, Probe } from '../../engines/engine.js';
import type { Clock } from '../../harness/clock.js';
import type { WorkloadSpec } from '../../workloads/spec.js';

export declare class VirtualClock implements Clock {
  ns: bigint;
  nowNs(): bigint;
  date(): Date;
}

/** Where a sample stands: the workload, the VM, and its number since prepare() (1: the warm-up). */
export interface At {
  workload: string;
  vm: number;
  sample: number;
  config: MachineConfig;
}

export interface MockOptions {
  name: string;
  kind?: EngineKind;
  clock: VirtualClock;
  /** What a boot takes on the clock. */
  bootMs?: number;
  opsPerSecond?: (at: At) => number;
  driftPct?: number;
  unavailable?: string;
  bootFails?: boolean;
  unsupported?: Record<string, string>;
  crash?: (at: At) => boolean;
  hang?: (at: At) => boolean;
  wrongAnswer?: (at: At) => string | undefined;
  errors?: (at: At) => number;
  translations?: (at: At) => number;
  reportedNs?: number;
  /** It has I/O policies, and logs them: `policy wfq`. */
  policies?: boolean;
  /** Further counters of a sample. */
  counters?: (at: At) => Record<string, number>;
  /** Real milliseconds that a sample takes, for tests that interrupt a run. */
  realMs?: number;
}

export declare function mockSpec(over?: Partial<WorkloadSpec>): WorkloadSpec;

export declare class MockEngine implements Engine {
  constructor(options: MockOptions);
  readonly name: string;
  readonly kind: EngineKind;
  readonly summary: string;
  readonly log: string[];
  readonly running: number;
  readonly durations: Record<string, number[]>;
  probe(): Promise<Probe>;
  boot(config: MachineConfig): Promise<Machine>;
  applyPolicy?: NonNullable<Engine['applyPolicy']>;
  close(): Promise<void>;
}
