/** Figures beside their marks, as the density checks print them. */
import { availableParallelism } from 'node:os';
import Table from 'cli-table3';

export interface Row {
  what: string;
  figure: string;
  mark: string;
  met: boolean;
}

export const atMost = (what: string, value: number, mark: number, unit: string): Row => ({
  what,
  figure: `${value.toFixed(value < 100 ? 1 : 0)} ${unit}`,
  mark: `at most ${mark} ${unit}`,
  met: value <= mark,
});

export const atLeast = (what: string, value: number, mark: number, unit: string): Row => ({
  what,
  figure: `${value.toFixed(0)} ${unit}`,
  mark: `at least ${mark} ${unit}`,
  met: value >= mark,
});

/** Their median; sorts them. */
export const middle = (values: number[]): number => values.sort((a, b) => a - b)[values.length >> 1] ?? 0;

/** The exit status is 1 when one is missed. `load`: the host's before the measurement. */
export function printMarks(rows: readonly Row[], load: number): void {
  const table = new Table({ head: ['', 'measured', 'mark', ''], style: { head: [], border: [] } });
  for (const { what, figure, mark, met } of rows) table.push([what, figure, mark, met ? 'met' : 'MISSED']);
  console.log(`${availableParallelism()} cores, load ${load.toFixed(1)} before\n${table.toString()}`);
  if (load > 1) console.log('Other work was running: times and shares are worse than on an idle host.');
  process.exitCode = rows.every((row) => row.met) ? 0 : 1;
}
