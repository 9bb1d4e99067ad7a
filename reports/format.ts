/** How figures are written: the same digits in every format. */
import type { Cell, Percent } from '../harness/results.js';

/** Three significant digits, no exponent, thousands grouped by a thin space: `1 234 567`, `12.3`, `0.0123`. */
export function figure(value: number | null): string {
  if (value === null || !Number.isFinite(value)) return '—';
  const size = Math.abs(value);
  if (size >= 1000) return Math.round(value).toLocaleString('en-US').replaceAll(',', '\u202f');
  if (size === 0) return '0';
  const digits = Math.max(0, 2 - Math.floor(Math.log10(size)));
  return value.toFixed(Math.min(digits, 6));
}

/** `97.1 %`; below one percent two significant digits. */
export function percentText(value: number): string {
  return `${value >= 100 ? value.toFixed(0) : value >= 1 ? value.toFixed(1) : value.toPrecision(2)} %`;
}

/** `97.1 % [95.0, 98.2]`. */
export function percentWithInterval(percent: Pick<Percent, 'median' | 'low' | 'high'>): string {
  const bound = (value: number) => percentText(value).replace(' %', '');
  return `${percentText(percent.median)} [${bound(percent.low)}, ${bound(percent.high)}]`;
}

/** `2.81×`. */
export function timesText(value: number): string {
  return `${figure(value)}×`;
}

/** `2.81× [2.75, 2.90]`. */
export function timesWithInterval(ratio: { median: number; low: number; high: number }): string {
  return `${timesText(ratio.median)} [${figure(ratio.low)}, ${figure(ratio.high)}]`;
}

/** `123 IOPS ± 2.1 %`, where the half width of the interval is given relative to the median. */
export function medianText(cell: Cell): string {
  return cell.status === 'ok' ? `${figure(cell.median)} ${cell.unit}${spread(cell)}` : statusText(cell);
}

/** `failed` or `skipped` for a cell with no figure; the reason stands where there is room for it. */
export function statusText(cell: Cell): string {
  return cell.status === 'ok' ? 'ok' : cell.status;
}

/** What a table shows of a cell against bare metal. */
export function percentCell(cell: Cell | undefined): string {
  if (!cell) return 'not measured';
  if (cell.status !== 'ok') return statusText(cell);
  return cell.percentOfBareMetal ? percentWithInterval(cell.percentOfBareMetal) : '—';
}

function spread(cell: Cell): string {
  if (!cell.ci || !cell.median) return '';
  const half = ((cell.ci[1] - cell.ci[0]) / 2 / Math.abs(cell.median)) * 100;
  return ` ± ${half.toFixed(half < 10 ? 1 : 0)} %`;
}

export function bytesText(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  const step = bytes > 0 ? Math.min(Math.floor(Math.log2(bytes) / 10), units.length - 1) : 0;
  const value = bytes / 2 ** (10 * step);
  return `${Number.isInteger(value) ? value : value.toFixed(1)} ${units[step]}`;
}

export function durationText(ms: number): string {
  const seconds = Math.round(ms / 1000);
  return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

/** `1 VM × 4 vCPUs`. */
export function sizeText(vms: number, vcpus: number): string {
  return `${vms} VM${vms === 1 ? '' : 's'} × ${vcpus} vCPU${vcpus === 1 ? '' : 's'}`;
}
