/** What a run tells while it goes on. progress-terminal.ts shows it live, progress-plain.ts as lines. */
import type { Cell } from './results.js';

export interface RunningWorkload {
  workload: string;
  vms: number;
  vcpus: number;
  engines: readonly string[];
}

export interface Progress {
  /** Once, before anything is measured. `cells`: to be measured now; `done`: kept from before (--resume). */
  begin(cells: number, done: number, estimateMs: number): void;
  /** A workload begins, on all of its engines at once. */
  workload(running: RunningWorkload): void;
  /** What an engine does now. */
  step(engine: string, what: string): void;
  /** A figure of the running workload. */
  figure(engine: string, value: number, unit: string): void;
  /** A cell is done and saved. */
  cell(cell: Cell): void;
  /** Something to be read that belongs to no cell. */
  note(text: string): void;
  /** Once, at the end, however it comes. */
  end(): void;
}
