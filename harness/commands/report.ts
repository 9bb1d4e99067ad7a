/** `virtax report`: the reports again, from a results file alone. */
import { dirname } from 'node:path';
import { Command } from 'commander';
import type { Context } from '../context.js';
import { REPORT_FORMATS, type ReportFormat } from '../report-formats.js';
import { type Results, readResults } from '../results.js';
import { parseWords, unknownName } from '../usage.js';

const EXAMPLES = `
Examples:
  virtax report bench-results/2026-01-31…/results.json
  virtax report results.json --format html,png --out site

Exit status: 0 fine, 1 the reports could not be written, 2 bad usage or input.`;

export function reportCommand(): Command {
  return new Command('report')
    .summary('write reports from a results file')
    .description('Prints the table and writes report.html, PNG charts, CSV and Markdown from a results file alone.')
    .argument('<results>', 'results.json of a run')
    .option('--format <list>', `formats, by comma: ${REPORT_FORMATS.join(',')} (default: all)`)
    .option('--counters', 'show exits, interrupts and TLB misses per operation')
    .option('--out <dir>', 'folder for the reports (default: beside the results file)')
    .addHelpText('after', EXAMPLES);
}

/** @returns the exit status @throws UsageError, ResultsError */
export async function report(
  path: string,
  flags: { format?: string; out?: string; counters?: boolean },
  context: Context,
): Promise<number> {
  const formats = flags.format === undefined ? REPORT_FORMATS : parseWords(flags.format, '--format').map(formatOf);
  const results = await readResults(path);
  const { renderCounters, renderTable } = await import('../../reports/index.js');
  context.out.write(`${renderTable(results, context.out.isTTY)}\n`);
  if (flags.counters) context.out.write(`${renderCounters(results, context.out.isTTY)}\n`);
  try {
    const written = await writeAllReports(results, flags.out ?? dirname(path), formats);
    for (const file of written) context.out.write(`${file}\n`);
    return 0;
  } catch (error) {
    context.err.write(`virtax: the reports could not be written: ${(error as Error).message}\n`);
    return 1;
  }
}

/** Writes the reports into a folder. @returns their paths */
export async function writeAllReports(
  results: Results,
  folder: string,
  formats: readonly ReportFormat[] = REPORT_FORMATS,
): Promise<string[]> {
  const { writeReports } = await import('../../reports/index.js');
  return writeReports(results, formats, folder);
}

function formatOf(name: string): ReportFormat {
  const format = REPORT_FORMATS.find((known) => known === name);
  if (format === undefined) throw unknownName('format', name, REPORT_FORMATS);
  return format;
}
