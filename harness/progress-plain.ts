/** Progress as lines: for files, pipes and CI. */
import type { Clock } from './clock.js';
import type { Output } from './context.js';
import { formatDuration, formatFigure, formatSizeOfCell } from './format.js';
import type { Progress, RunningWorkload } from './progress.js';
import type { Cell } from './results.js';

/** Counts cells and guesses what is left: the plan's guess at first, then what the cells so far took. */
export class CellCounter {
  done = 0;
  cells = 0;
  private estimateMs = 0;
  private beganNs = 0n;

  constructor(private readonly clock: Clock) {}

  begin(cells: number, estimateMs: number): void {
    this.cells = cells;
    this.estimateMs = estimateMs;
    this.beganNs = this.clock.nowNs();
  }

  leftMs(): number {
    const passed = Number(this.clock.nowNs() - this.beganNs) / 1e6;
    const left = this.cells - this.done;
    if (this.done < 3) return Math.max(0, this.estimateMs - passed);
    return (passed / this.done) * left;
  }
}

export class PlainProgress implements Progress {
  private readonly counter: CellCounter;

  constructor(
    private readonly out: Output,
    clock: Clock,
  ) {
    this.counter = new CellCounter(clock);
  }

  begin(cells: number, done: number, estimateMs: number): void {
    this.counter.begin(cells, estimateMs);
    const kept = done > 0 ? ` (${done} are there already)` : '';
    this.out.write(`${cells} cells to measure${kept}, about ${formatDuration(estimateMs)}\n`);
  }

  workload(running: RunningWorkload): void {
    const left = formatDuration(this.counter.leftMs());
    const place = `${this.counter.done}/${this.counter.cells} done, ${left} left`;
    this.out.write(`${running.workload}, ${formatSizeOfCell(running)} (${place})\n`);
  }

  step(): void {}

  figure(): void {}

  cell(cell: Cell): void {
    this.counter.done++;
    this.out.write(`${cellLine(cell)}\n`);
  }

  note(text: string): void {
    this.out.write(`${text}\n`);
  }

  end(): void {}
}

const CONSOLE_LINES = 5; // results.json has more

/** One finished cell: a line, and below it what the guest said last if it failed. */
export function cellLine(cell: Cell): string {
  const name = `  ${cell.engine.padEnd(10)}`;
  if (cell.status !== 'ok') {
    const tail = cell.consoleTail.slice(-CONSOLE_LINES).map((line) => `\n             | ${line}`);
    return `${name} ${cell.status}: ${cell.reason}${tail.join('')}`;
  }
  const percent = cell.percentOfBareMetal;
  const share = percent === null || cell.engine === 'bare' ? '' : `  ${formatFigure(percent.median)} % of bare metal`;
  const warnings = cell.warnings.map((warning) => `\n             ! ${warning}`).join('');
  return `${name} ${formatFigure(cell.median).padStart(10)} ${cell.unit}${share}${warnings}`;
}
