/** How many times as good as its peer each engine is, by workload, with 95 % intervals. */
import type { Cell, Results } from '../../harness/results.js';
import { timesText } from '../format.js';
import type { Row } from '../model.js';
import { comparedWithPeers, peerRows } from '../ratios.js';
import type { Chart, Dataset } from './chart.js';
import { engineColour } from './palette.js';

/** @returns null when no engine was measured beside its peer. */
export function peerChart(results: Results): Chart | null {
  const pairs = comparedWithPeers(results);
  const list = peerRows(results, 'headline');
  if (pairs.length === 0 || list.length === 0) return null;
  const datasets = pairs.map(({ engine, peer }) => dataset(engine, peer, list));
  const most = Math.max(1, ...datasets.flatMap((each) => each.intervals?.map((i) => i?.high ?? 0) ?? []));
  return {
    id: 'times-qemu',
    title: 'Times QEMU by workload',
    description: datasets
      .map((each) => `${each.label}: ${list.map((row, i) => `${row.workload} ${each.texts?.[i] ?? ''}`).join(', ')}.`)
      .join(' '),
    width: 1000,
    height: 130 + list.length * (10 + 18 * pairs.length),
    config: {
      type: 'bar',
      data: { labels: list.map((row) => row.workload), datasets },
      options: {
        indexAxis: 'y',
        animation: false,
        responsive: false,
        maintainAspectRatio: false,
        layout: { padding: { left: 8, right: 24, top: 4 } },
        scales: {
          x: {
            title: { display: true, text: 'times QEMU (median of paired samples, 95 % interval)' },
            min: 0,
            suggestedMax: most * 1.12,
          },
          y: { title: { display: false, text: '' }, grid: { display: false }, ticks: { autoSkip: false } },
        },
        plugins: {
          title: { display: true, text: 'The same image on QEMU = 1 (higher is better)' },
          legend: { position: 'bottom', labels: { usePointStyle: false } },
          referenceLines: { lines: [{ axis: 'x', at: 1, label: 'QEMU' }] },
        },
      },
    },
  };
}

function dataset(engine: string, peer: string, list: Row[]): Dataset {
  const cells = list.map((row) => row.cells.get(engine));
  return {
    label: `${engine} / ${peer}`,
    data: cells.map((cell) => (cell ? (cell.ratioToPeer?.median ?? 0) : null)),
    skipNull: true,
    backgroundColor: engineColour(engine),
    borderColor: engineColour(engine),
    maxBarThickness: 16,
    intervals: cells.map((cell) => cell?.ratioToPeer ?? null),
    texts: cells.map((cell, i) => barText(cell, list[i].cells.get(peer))),
  };
}

function barText(cell: Cell | undefined, peer: Cell | undefined): string {
  if (!cell) return '';
  if (cell.status !== 'ok') return cell.status;
  if (cell.ratioToPeer) return timesText(cell.ratioToPeer.median);
  return peer ? `${peer.engine} ${peer.status}` : '';
}
