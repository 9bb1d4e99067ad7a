/** The results of a run while it goes on: every cell is on disk before the next one is measured. */
import { existsSync } from 'node:fs';
import type { CellGroup, PlannedWorkload } from './plan.js';
import { type Cell, cellKey, type EngineInfo, type Results, writeResults } from './results.js';

/** results.json could not be written; what was saved before is still there. */
export class SaveFailed extends Error {
  override readonly name = 'SaveFailed';
}

export class ResultsStore {
  constructor(
    readonly path: string,
    readonly results: Results,
  ) {}

  /** Takes cells in (a cell that is there already is replaced) and saves. @throws SaveFailed */
  async add(cells: readonly Cell[]): Promise<void> {
    const keys = new Set(cells.map(cellKey));
    const before = this.results.cells;
    this.results.cells = [...before.filter((cell) => !keys.has(cellKey(cell))), ...cells];
    try {
      await this.save();
    } catch (error) {
      this.results.cells = before; // what is told at the end is what is on disk
      throw error;
    }
  }

  /** @throws SaveFailed */
  async save(): Promise<void> {
    try {
      await writeResults(this.path, this.results);
    } catch (error) {
      throw new SaveFailed(saveMessage(this.path, error));
    }
  }

  /**
   * Whether all cells of a workload at this size are there and none has failed, so that a resumed run need not measure it.
   * One that failed is measured again with its peers: samples are paired.
   */
  has(group: CellGroup, workload: PlannedWorkload): boolean {
    const { vms, vcpus } = group;
    const engines = [...workload.engines, ...workload.skipped.map(({ engine }) => engine)];
    const keys = new Set(this.results.cells.filter(({ status }) => status !== 'failed').map(cellKey));
    return engines.every((engine) => keys.has(cellKey({ engine, workload: workload.spec.name, vms, vcpus })));
  }

  engine(name: string): EngineInfo | undefined {
    return this.results.engines.find((engine) => engine.name === name);
  }
}

function saveMessage(path: string, error: unknown): string {
  const code = (error as NodeJS.ErrnoException).code;
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    const next = existsSync(path)
      ? 'The cells saved before are intact; free some space and go on with --resume'
      : 'Free some space, or give another folder with --out';
    return `cannot save ${path}: no space is left on its file system. ${next}`;
  }
  if (code === 'EROFS' || code === 'EACCES') return `cannot save ${path}: the folder cannot be written to (${code})`;
  return `cannot save ${path}: ${error instanceof Error ? error.message : String(error)}`;
}
