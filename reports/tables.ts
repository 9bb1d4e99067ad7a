/** The rows that Markdown and the page both lay out. */
import type { Results } from '../harness/results.js';
import { medianText, percentCell, percentWithInterval, sizeText } from './format.js';
import { BARE, BARE_SCALAR, engineNames, type Row, rows } from './model.js';

export interface TextTable {
  head: string[];
  body: string[][];
}

/** Percent of bare metal of everything but os, at every size; without vectorization where that was measured. */
export function percentTable(results: Results): TextTable {
  const list = rows(results).filter((row) => row.group !== 'os');
  const engines = engineNames(results).filter((name) => name !== BARE && list.some((row) => row.cells.has(name)));
  const scalar = engines.filter(
    (name) =>
      name !== BARE_SCALAR && results.cells.some((cell) => cell.engine === name && cell.percentOfBareMetalScalar),
  );
  const head = ['workload', 'size', 'bare metal', ...engines.map((name) => `${name}, % of bare metal`)];
  head.push(...scalar.map((name) => `${name}, % of bare metal without vectorization`));
  const body = list.map((row) => [
    ...sizeOf(row),
    medianOf(row, BARE),
    ...engines.map((name) => percentCell(row.cells.get(name))),
    ...scalar.map((name) => {
      const percent = row.cells.get(name)?.percentOfBareMetalScalar;
      return percent ? percentWithInterval(percent) : '—';
    }),
  ]);
  return { head, body };
}

/** Each engine's own figure of the os workloads. */
export function osTable(results: Results): TextTable {
  const list = rows(results).filter((row) => row.group === 'os');
  const engines = engineNames(results).filter((name) => list.some((row) => row.cells.has(name)));
  const body = list.map((row) => [...sizeOf(row), ...engines.map((name) => medianOf(row, name))]);
  return { head: ['workload', 'size', ...engines], body };
}

function sizeOf(row: Row): string[] {
  return [row.workload, sizeText(row.vms, row.vcpus)];
}

function medianOf(row: Row, engine: string): string {
  const cell = row.cells.get(engine);
  return cell ? medianText(cell) : 'not measured';
}
