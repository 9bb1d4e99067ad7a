/** How the throughput of all VMs (or vCPUs) together grows with their number. */
import type { Results } from '../../harness/results.js';
import { figure } from '../format.js';
import { type Axis, type Scaling, type ScalingSeries, scaling } from '../model.js';
import type { Chart, Dataset } from './chart.js';
import { engineColour, engineShape } from './palette.js';

/** One chart a workload that was measured at two or more counts. */
export function scalingCharts(results: Results, axis: Axis): Chart[] {
  return scaling(results, axis).map((each) => scalingChart(each, results.host.cores));
}

function scalingChart(each: Scaling, cores: number): Chart {
  const noun = each.axis === 'vms' ? 'VMs' : 'vCPUs';
  const title = `${each.workload}: scaling by number of ${noun}`;
  const datasets = [ideal(each.counts, cores), ...each.series.map((series) => dataset(series, each.counts))];
  const atCores = each.counts.indexOf(cores);
  return {
    id: `scaling-${each.axis}-${each.workload.replaceAll('/', '-')}`,
    title,
    description: describe(each, noun),
    width: 640,
    height: 400,
    config: {
      type: 'line',
      data: { labels: each.counts.map(String), datasets },
      options: {
        indexAxis: 'x',
        animation: false,
        responsive: false,
        maintainAspectRatio: false,
        layout: { padding: { left: 8, right: 24, top: 4 } },
        scales: {
          x: { title: { display: true, text: `number of ${noun}` } },
          y: {
            title: { display: true, text: `relative to ${each.counts[0]}, same engine` },
            min: 0,
            suggestedMax: highest(each), // whiskers are drawn by us: the axis does not see them
          },
        },
        plugins: {
          title: { display: true, text: title },
          legend: { position: 'bottom', labels: { usePointStyle: true } },
          referenceLines: { lines: atCores >= 0 ? [{ axis: 'x', at: atCores, label: `${cores} host cores` }] : [] },
        },
      },
    },
  };
}

/** What the axis must reach at least: the upper end of every interval. */
function highest(each: Scaling): number {
  return Math.max(1.2, ...each.series.flatMap(({ points }) => points.map(({ high }) => high ?? 0)));
}

/** Linear growth up to the host's cores, none beyond: what no engine can exceed by its own merit. */
function ideal(counts: number[], cores: number): Dataset {
  const base = Math.min(counts[0] ?? 1, cores);
  return {
    label: 'ideal',
    data: counts.map((count) => Math.min(count, cores) / base),
    backgroundColor: 'transparent',
    borderColor: '#909090',
    borderDash: [6, 4],
    borderWidth: 1.5,
    pointRadius: 0,
  };
}

function dataset(series: ScalingSeries, counts: number[]): Dataset {
  const points = counts.map((count) => series.points.find((point) => point.count === count));
  return {
    label: series.engine,
    data: points.map((point) => point?.relative ?? null),
    backgroundColor: engineColour(series.engine),
    borderColor: engineColour(series.engine),
    borderWidth: 2,
    pointRadius: 5,
    pointStyle: engineShape(series.engine),
    intervals: points.map((point) =>
      point && point.low !== null && point.high !== null ? { low: point.low, high: point.high } : null,
    ),
    texts: points.map((point) => (point && point.cell.status !== 'ok' ? point.cell.status : '')),
  };
}

function describe(each: Scaling, noun: string): string {
  const lines = each.series.map((series) => {
    const values = series.points.map(
      (point) =>
        `${point.count} ${noun} ${point.relative === null ? point.cell.status : `${figure(point.relative)} times`}`,
    );
    return `${series.engine}: ${values.join(', ')}.`;
  });
  return `Throughput relative to the least number of ${noun}. ${lines.join(' ')}`;
}
