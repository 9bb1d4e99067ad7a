/** How many times as good as its peer each engine is, by workload, with 95 % intervals. */
import type { Cell, Results } from '../../harness/results.js';
import { timesText } from '../format.js';
import { comparedWithPeers, peerRows } from '../ratios.js';
import { type Bar, barChart, barSeries } from './bars.js';
import type { Chart } from './chart.js';

/** @returns null when no engine was measured beside its peer. */
export function peerChart(results: Results): Chart | null {
  const pairs = comparedWithPeers(results);
  const list = peerRows(results, 'headline');
  if (pairs.length === 0 || list.length === 0) return null;
  return barChart({
    id: 'times-qemu',
    title: 'Times QEMU by workload',
    heading: 'The same image on QEMU = 1',
    axis: 'times QEMU',
    reference: { at: 1, label: 'QEMU' },
    rows: list.map((row) => row.workload),
    datasets: pairs.map(({ engine, peer }) =>
      barSeries(
        `${engine} / ${peer}`,
        engine,
        list.map((row) => bar(row.cells.get(engine), row.cells.get(peer))),
      ),
    ),
    blank: '',
  });
}

function bar(cell: Cell | undefined, peer: Cell | undefined): Bar {
  if (!cell) return { value: null, interval: null, text: '' };
  return { value: cell.ratioToPeer?.median ?? 0, interval: cell.ratioToPeer ?? null, text: barText(cell, peer) };
}

function barText(cell: Cell, peer: Cell | undefined): string {
  if (cell.status !== 'ok') return cell.status;
  if (cell.ratioToPeer) return timesText(cell.ratioToPeer.median);
  return peer ? `${peer.engine} ${peer.status}` : '';
}
