/** `virtax compare`: is the new run worse than the base? */
import Table from 'cli-table3';
import { Command } from 'commander';
import { type Comparison, compareResults, isRegression } from '../compare.js';
import type { Context } from '../context.js';
import { formatFigure, formatSizeOfCell } from '../format.js';
import { readResults } from '../results.js';
import { UsageError } from '../usage.js';

const DEFAULT_THRESHOLD = 5;

const EXAMPLES = `
Cells are matched by engine, workload, VMs and vCPUs. A regression is a change for the worse beyond the threshold whose
95 % intervals do not overlap, or a cell that fails now. Percents of bare metal are compared where there are any; other
figures only when both runs were made on the same kind of host.

Examples:
  virtax compare base/results.json new/results.json
  virtax compare base.json new.json --threshold 10

Exit status: 0 fine, 1 regression, 2 bad usage or input.`;

export function compareCommand(): Command {
  return new Command('compare')
    .summary('compare two results files')
    .description('Compares the cells of two results files and says what got worse.')
    .argument('<base>', 'results.json of the base')
    .argument('<new>', 'results.json of the new run')
    .option('--threshold <pct>', 'changes up to this many percent are no regression', String(DEFAULT_THRESHOLD))
    .addHelpText('after', EXAMPLES);
}

/** @returns the exit status @throws UsageError, ResultsError */
export async function compare(
  base: string,
  now: string,
  flags: { threshold: string },
  context: Context,
): Promise<number> {
  const threshold = /^\d+(\.\d+)?$/.test(flags.threshold) ? Number(flags.threshold) : Number.NaN;
  if (!(threshold <= 1000))
    throw new UsageError(`--threshold: "${flags.threshold}" is not a percentage such as 5 or 2.5`);
  const comparisons = compareResults(await readResults(base), await readResults(now), threshold);
  if (comparisons.every(({ verdict }) => verdict === 'missing')) {
    throw new UsageError(`${base} and ${now} have no cell in common: measure the same workloads, engines and sizes`);
  }
  context.out.write(`${table(comparisons)}\n`);
  const regressions = comparisons.filter(isRegression).length;
  const compared = comparisons.filter(({ changePct }) => changePct !== null).length;
  context.out.write(`${regressions} regressions in ${compared} compared cells (threshold ${threshold} %)\n`);
  return regressions > 0 ? 1 : 0;
}

function table(comparisons: readonly Comparison[]): string {
  const grid = new Table({
    head: ['workload', 'size', 'engine', 'base', 'new', 'unit', 'change', 'verdict'],
    colAligns: ['left', 'left', 'left', 'right', 'right', 'left', 'right', 'left'],
    style: { head: [], border: [], compact: true },
  });
  for (const { cell, verdict, unit, base, now, changePct } of comparisons) {
    const change = changePct === null ? '–' : `${changePct >= 0 ? '+' : ''}${changePct.toFixed(1)} %`;
    const figures = [formatFigure(base), formatFigure(now)];
    grid.push([cell.workload, formatSizeOfCell(cell), cell.engine, ...figures, unit, change, verdict]);
  }
  return grid.toString();
}
