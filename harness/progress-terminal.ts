/** Live progress: finished cells scroll up, the last line shows what runs now and is written over. */
import type { Clock } from './clock.js';
import type { Output } from './context.js';
import { formatDuration, formatFigure, formatSizeOfCell } from './format.js';
import type { Progress, RunningWorkload } from './progress.js';
import { CellCounter, cellLine } from './progress-plain.js';
import type { Cell } from './results.js';

const CLEAR_LINE = '\r\x1b[2K';
const REFRESH_MS = 500;

export class TerminalProgress implements Progress {
  private readonly counter: CellCounter;
  private running: RunningWorkload | undefined;
  private doing = '';
  private lastFigure = '';
  private timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly out: Output,
    clock: Clock,
  ) {
    this.counter = new CellCounter(clock);
  }

  begin(cells: number, done: number, estimateMs: number): void {
    this.counter.begin(cells, estimateMs);
    if (done > 0) this.note(`${done} cells are there already`);
    this.timer = setInterval(() => this.draw(), REFRESH_MS);
    this.timer.unref();
  }

  workload(running: RunningWorkload): void {
    this.note(`${running.workload}, ${formatSizeOfCell(running)}`);
    this.running = running;
    this.lastFigure = '';
    this.draw();
  }

  step(engine: string, what: string): void {
    this.doing = `${engine} ${what}`;
    this.draw();
  }

  figure(engine: string, value: number, unit: string): void {
    this.lastFigure = `${engine} ${formatFigure(value)} ${unit}`;
  }

  cell(cell: Cell): void {
    this.counter.done++;
    this.note(cellLine(cell));
  }

  note(text: string): void {
    this.out.write(`${CLEAR_LINE}${text}\n`);
    this.draw();
  }

  end(): void {
    clearInterval(this.timer);
    this.running = undefined;
    this.out.write(CLEAR_LINE);
  }

  private draw(): void {
    if (this.running === undefined) return;
    const { done, cells } = this.counter;
    const left = formatDuration(this.counter.leftMs());
    const parts = [`${done}/${cells} cells`, `${left} left`, this.running.workload, this.doing, this.lastFigure];
    const line = parts.filter((part) => part !== '').join('  ');
    this.out.write(`${CLEAR_LINE}${line.slice(0, Math.max(1, this.out.columns - 1))}`);
  }
}
