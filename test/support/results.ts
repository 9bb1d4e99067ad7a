/** A results file made by hand, with every kind of cell that a report must be able to show. */
import type { Cell, Results } from '#harness/results.js';
import { sampleResults } from './sample-results.js';

const ENGINES = ['bare', 'bare-novec', 'full', 'para'] as const;
/** What each made-up engine keeps of bare metal. */
export const KEPT: Record<string, number> = { bare: 1, 'bare-novec': 0.5, full: 0.031, para: 0.972 };

export function cell(engine: string, workload: string, over: Partial<Cell> = {}): Cell {
  const os = workload.startsWith('os/');
  const kept = KEPT[engine] ?? 1;
  const median = os ? 100 / kept : 1000 * kept * (over.vms ?? 1);
  const percent = { median: kept * 100, low: kept * 98, high: kept * 103, pairs: 5 };
  return {
    engine,
    workload,
    vms: 1,
    vcpus: 1,
    metric: os ? 'time-per-op' : 'throughput',
    unit: os ? 'ns' : 'units/s',
    higherIsBetter: !os,
    samples: [median, median * 0.99, median * 1.01, median, median],
    median,
    ci: [median * 0.98, median * 1.02],
    clockDriftPct: 0.001,
    percentOfBareMetal: os || engine === 'bare' ? null : percent,
    percentOfBareMetalScalar: null,
    cpuSecondsPerOp: 1e-3 / kept,
    counters: { hypercalls: 12 },
    status: 'ok',
    reason: null,
    consoleTail: [],
    warnings: [],
    memoryBytes: 64 * 2 ** 20,
    rounds: [0, 1, 2, 3, 4].map((round) => ({
      round,
      position: round % 3,
      value: median,
      windowNs: 250_000_000,
      ops: 250,
      units: 250,
      clockDriftPct: 0.001,
      cpuSeconds: 0.25,
      checksum: '0123456789abcdef',
      perVm: [median],
    })),
    finishedAt: '2026-01-02T03:04:05.000Z',
    ...over,
  };
}

/** A cell without a figure. */
export function trouble(status: 'failed' | 'skipped', engine: string, workload: string, reason: string): Cell {
  return cell(engine, workload, {
    status,
    reason,
    samples: [],
    rounds: [],
    median: null,
    ci: null,
    clockDriftPct: null,
    percentOfBareMetal: null,
    cpuSecondsPerOp: null,
    finishedAt: null,
  });
}

export function results(cells: Cell[] = defaultCells()): Results {
  const base = sampleResults();
  return {
    ...base,
    host: { ...base.host, cpu: 'A Processor <2 GHz> & more', virtualized: true, hypervisor: 'KVM' },
    run: {
      ...base.run,
      profile: 'standard',
      seed: 42,
      durationMs: 245_000,
      disk: { path: 'disks', bytes: 128 * 2 ** 20, fileSystem: 'ext4', direct: true },
      images: { 'riscv64/virtax-kernel.elf': 'ab'.repeat(32) },
    },
    engines: ENGINES.map((name) => ({
      name,
      kind: name === 'full' ? 'full virtualization' : name === 'para' ? 'paravirtualization' : 'bare metal',
      summary: name,
      status: 'ok' as const,
      reason: null,
      notes: [],
      facts: { block: 'io_uring, O_DIRECT' },
      doorbellNs: { median: 1200, low: 1000, high: 1500, pairs: 9 },
      bootMs: 80,
    })),
    cells,
  };
}

function defaultCells(): Cell[] {
  const engines = ['bare', 'full', 'para'];
  const plain = ['cpu/sieve', 'memory/triad', 'os/trap', 'net/udp-rr', 'mixed/average'];
  const scaled = [2, 4].flatMap((vms) => engines.map((engine) => cell(engine, 'cpu/sieve', { vms })));
  const vcpus = [2, 4].flatMap((count) => engines.map((engine) => cell(engine, 'memory/triad', { vcpus: count })));
  return [
    ...plain.flatMap((workload) => engines.map((engine) => cell(engine, workload))),
    cell('bare-novec', 'cpu/sieve'),
    cell('bare', 'block/read-1m'),
    trouble('failed', 'full', 'block/read-1m', 'guest <b>panicked</b> | at 0x80000000'),
    trouble('skipped', 'para', 'os/map', 'no MMU'),
    ...scaled,
    ...vcpus,
  ];
}
