/** Percent of bare metal by workload and engine, with 95 % intervals. */
import type { Cell, Results } from '../../harness/results.js';
import { percentText } from '../format.js';
import { BARE, comparableRows, engineNames } from '../model.js';
import { type Bar, barChart, barSeries } from './bars.js';
import type { Chart } from './chart.js';

/** @returns null when the run holds nothing that can be compared. */
export function percentChart(results: Results): Chart | null {
  const list = comparableRows(results);
  const engines = engineNames(results).filter((name) => name !== BARE && list.some((row) => row.cells.has(name)));
  if (engines.length === 0) return null;
  const shown = list.filter((row) => engines.some((name) => row.cells.has(name)));
  return barChart({
    id: 'percent-of-bare-metal',
    title: 'Percent of bare metal by workload',
    heading: 'Percent of bare metal by workload',
    axis: 'percent of bare metal',
    reference: { at: 100, label: 'bare metal' },
    most: 300,
    rows: shown.map((row) => row.workload),
    datasets: engines.map((name) =>
      barSeries(
        name,
        name,
        shown.map((row) => bar(row.cells.get(name))),
      ),
    ),
    blank: 'not measured',
  });
}

/** Not measured: no place among the bars; failed: a place, where the word stands. */
function bar(cell: Cell | undefined): Bar {
  if (!cell) return { value: null, interval: null, text: '' };
  const percent = cell.percentOfBareMetal;
  const interval = percent && { low: percent.low, high: percent.high };
  return { value: percent?.median ?? 0, interval, text: barText(cell) };
}

function barText(cell: Cell): string {
  if (cell.status !== 'ok') return cell.status;
  return cell.percentOfBareMetal ? percentText(cell.percentOfBareMetal.median) : 'no bare metal figure';
}
