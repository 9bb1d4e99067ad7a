/** The command line. Exit status: 0 fine, 1 a failed run or a regression, 2 bad usage or input. */
import { Command, CommanderError } from 'commander';
import { bench } from './commands/bench.js';
import { type BenchFlags, benchCommand } from './commands/bench-options.js';
import { compare, compareCommand } from './commands/compare.js';
import { doctor, doctorCommand } from './commands/doctor.js';
import { type ListName, list, listCommand } from './commands/list.js';
import { report, reportCommand } from './commands/report.js';
import { run as runGuest } from './commands/run.js';
import { type RunFlags, runCommand } from './commands/run-options.js';
import { type Context, hostShell, type Output, type Shell } from './context.js';
import { ResultsError } from './results.js';
import { UsageError } from './usage.js';
import { version } from './version.js';

const BAD_USAGE = 2;

/**
 * Runs one command.
 * @param argv the words behind `virtax`
 * @param shell where it runs; tests give their own
 * @returns the exit status
 */
export async function main(argv: readonly string[], shell: Shell = hostShell()): Promise<number> {
  let status = 0;
  const run: Run = (work) => async () => {
    status = await work(await shell.context());
  };
  try {
    await commands(argv, run, shell).parseAsync([...argv], { from: 'user' });
    return status;
  } catch (error) {
    return exitStatus(error, shell.err);
  }
}

type Run = (work: (context: Context) => Promise<number>) => () => Promise<void>;

function commands(argv: readonly string[], run: Run, { out, err }: Shell): Command {
  const program = new Command('virtax')
    .description('Measures the virtualization tax: percent of bare metal that is left inside a virtual machine.')
    .version(version())
    .addHelpText(
      'after',
      '\nExamples:\n  virtax bench --profile quick\n  virtax list workloads\n  virtax doctor\n  virtax run --kernel image.elf\n  virtax compare base.json new.json',
    );
  program.addCommand(benchCommand().action((flags: BenchFlags) => run((context) => bench(flags, argv, context))()));
  program.addCommand(
    reportCommand().action((path: string, flags: { format?: string; out?: string }) =>
      run((context) => report(path, flags, context))(),
    ),
  );
  program.addCommand(
    compareCommand().action((base: string, now: string, flags: { threshold: string }) =>
      run((context) => compare(base, now, flags, context))(),
    ),
  );
  program.addCommand(runCommand().action((flags: RunFlags) => run((context) => runGuest(flags, context))()));
  program.addCommand(listCommand().action((what: ListName) => run((context) => list(what, context))()));
  program.addCommand(
    doctorCommand().action((flags: { diskFile: string }) => run((context) => doctor(flags, context))()),
  );
  for (const command of [program, ...program.commands]) {
    const name = command === program ? 'virtax' : `virtax ${command.name()}`;
    command
      .exitOverride()
      .configureOutput({ writeOut: (text) => out.write(text), writeErr: (text) => err.write(text) })
      .showHelpAfterError(`(${name} --help shows how)`);
  }
  return program;
}

/** Errors that the user can mend are told in their own words; others are faults of ours and show where. */
function exitStatus(error: unknown, err: Output): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : BAD_USAGE;
  if (error instanceof UsageError || error instanceof ResultsError) {
    err.write(`virtax: ${error.message}\n`);
    return BAD_USAGE;
  }
  err.write(`virtax: unexpected error\n${error instanceof Error ? error.stack : String(error)}\n`);
  return 1;
}
