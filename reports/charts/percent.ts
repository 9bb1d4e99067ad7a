/** Percent of bare metal by workload and engine, with 95 % intervals. */
import type { Cell, Results } from '../../harness/results.js';
import { percentText } from '../format.js';
import { BARE, comparableRows, engineNames, type Row } from '../model.js';
import type { Chart, Dataset } from './chart.js';
import { engineColour } from './palette.js';

/** @returns null when the run holds nothing that can be compared. */
export function percentChart(results: Results): Chart | null {
  const list = comparableRows(results);
  const engines = engineNames(results).filter((name) => name !== BARE && list.some((row) => row.cells.has(name)));
  if (engines.length === 0) return null;
  const shown = list.filter((row) => engines.some((name) => row.cells.has(name)));
  const datasets = engines.map((name) => dataset(name, shown));
  const most = Math.max(100, ...datasets.flatMap((each) => each.intervals?.map((i) => i?.high ?? 0) ?? []));
  return {
    id: 'percent-of-bare-metal',
    title: 'Percent of bare metal by workload',
    description: describe(datasets, shown),
    width: 1000,
    height: 130 + shown.length * (10 + 18 * engines.length),
    config: {
      type: 'bar',
      data: { labels: shown.map((row) => row.workload), datasets },
      options: {
        indexAxis: 'y',
        animation: false,
        responsive: false,
        maintainAspectRatio: false,
        layout: { padding: { left: 8, right: 24, top: 4 } },
        scales: {
          x: {
            title: { display: true, text: 'percent of bare metal (median of paired samples, 95 % interval)' },
            min: 0,
            suggestedMax: Math.min(most, 300) * 1.12,
          },
          y: { title: { display: false, text: '' }, grid: { display: false }, ticks: { autoSkip: false } },
        },
        plugins: {
          title: { display: true, text: 'Percent of bare metal by workload (higher is better)' },
          legend: { position: 'bottom', labels: { usePointStyle: false } },
          referenceLines: { lines: [{ axis: 'x', at: 100, label: 'bare metal' }] },
        },
      },
    },
  };
}

function dataset(engine: string, list: Row[]): Dataset {
  const cells = list.map((row) => row.cells.get(engine));
  return {
    label: engine,
    // Not measured: no place among the bars; failed: a place, where the word stands.
    data: cells.map((cell) => (cell ? (cell.percentOfBareMetal?.median ?? 0) : null)),
    skipNull: true,
    backgroundColor: engineColour(engine),
    borderColor: engineColour(engine),
    maxBarThickness: 16,
    intervals: cells.map((cell) => {
      const percent = cell?.percentOfBareMetal;
      return percent ? { low: percent.low, high: percent.high } : null;
    }),
    texts: cells.map(barText),
  };
}

function barText(cell: Cell | undefined): string {
  if (!cell) return '';
  if (cell.status !== 'ok') return cell.status;
  return cell.percentOfBareMetal ? percentText(cell.percentOfBareMetal.median) : 'no bare metal figure';
}

function describe(datasets: Dataset[], list: Row[]): string {
  return datasets
    .map((each) => {
      const values = list.map((row, i) => `${row.workload} ${each.texts?.[i] || 'not measured'}`);
      return `${each.label}: ${values.join(', ')}.`;
    })
    .join(' ');
}
