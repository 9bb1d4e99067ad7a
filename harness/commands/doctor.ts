/** `virtax doctor`: is this host fit to measure on? */
import Table from 'cli-table3';
import { Command } from 'commander';
import type { Context } from '../context.js';
import { examine } from '../doctor.js';

export function doctorCommand(): Command {
  return new Command('doctor')
    .summary('what of this host would spoil a measurement')
    .description('Looks for what would spoil a measurement on this host, and says how to mend it. Changes nothing.')
    .option('--disk-file <path>', 'also judge the file system that this path lies on (default: the current folder)')
    .addHelpText(
      'after',
      '\nExamples:\n  virtax doctor\n  virtax doctor --disk-file /mnt/fast\n\nExit status: 0, whatever is found.',
    );
}

/** @returns the exit status */
export async function doctor(flags: { diskFile?: string }, context: Context): Promise<number> {
  const findings = await examine(flags.diskFile ?? '.');
  const grid = new Table({
    head: ['what', '', 'found', 'how to mend it'],
    style: { head: [], border: [], compact: true },
  });
  grid.push(...findings.map(({ what, verdict, found, mend }) => [what, verdict, found, mend]));
  const bad = findings.filter(({ verdict }) => verdict === 'bad').length;
  const notes = findings.filter(({ verdict }) => verdict === 'note').length;
  const summary =
    bad + notes === 0 ? 'this host is fit to measure on' : `${bad} would spoil a measurement, ${notes} to know of`;
  context.out.write(`${grid.toString()}\n${summary}\n`);
  return 0;
}
