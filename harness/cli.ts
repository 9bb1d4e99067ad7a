/** The command line. Exit status: 0 fine, 1 a failed run or a regression, 2 bad usage or input. */
import { Command, CommanderError } from 'commander';
import type { BenchFlags } from './commands/bench-options.js';
import type { DomainsAction, DomainsFlags } from './commands/domains.js';
import type { ListName } from './commands/list.js';
import type { RunFlags } from './commands/run-options.js';
import { type Context, hostShell, type Output, type Shell } from './context.js';
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
    await (await commands(argv, run, shell)).parseAsync([...argv], { from: 'user' });
    return status;
  } catch (error) {
    return await exitStatus(error, shell.err);
  }
}

type Run = (work: (context: Context) => Promise<number>) => () => Promise<void>;

/** Each is loaded when it is wanted: `virtax run` is not to wait for what draws charts and checks results. */
const COMMANDS: Readonly<Record<string, (run: Run, argv: readonly string[]) => Promise<Command>>> = {
  async bench(run, argv) {
    const { benchCommand } = await import('./commands/bench-options.js');
    const { bench } = await import('./commands/bench.js');
    return benchCommand().action((flags: BenchFlags) => run((context) => bench(flags, argv, context))());
  },
  async report(run) {
    const { report, reportCommand } = await import('./commands/report.js');
    return reportCommand().action((path: string, flags: { format?: string; out?: string }) =>
      run((context) => report(path, flags, context))(),
    );
  },
  async compare(run) {
    const { compare, compareCommand } = await import('./commands/compare.js');
    return compareCommand().action((base: string, now: string, flags: { threshold: string }) =>
      run((context) => compare(base, now, flags, context))(),
    );
  },
  async run(run) {
    const { runCommand } = await import('./commands/run-options.js');
    const { run: runGuest } = await import('./commands/run.js');
    return runCommand().action((flags: RunFlags) => run((context) => runGuest(flags, context))());
  },
  async domains(run) {
    const { domains, domainsCommand } = await import('./commands/domains.js');
    return domainsCommand().action(
      (action: DomainsAction, domain: string | undefined, value: string | undefined, flags: DomainsFlags) =>
        run((context) => domains([action, domain, value], flags, context))(),
    );
  },
  async list(run) {
    const { list, listCommand } = await import('./commands/list.js');
    return listCommand().action((what: ListName) => run((context) => list(what, context))());
  },
  async doctor(run) {
    const { doctor, doctorCommand } = await import('./commands/doctor.js');
    return doctorCommand().action((flags: { diskFile: string }) => run((context) => doctor(flags, context))());
  },
};

/** The command that is named first, or, for help and suggestions, all of them. */
async function commands(argv: readonly string[], run: Run, { out, err }: Shell): Promise<Command> {
  const program = new Command('virtax')
    .description('Measures the virtualization tax: percent of bare metal that is left inside a virtual machine.')
    .version(version())
    .addHelpText(
      'after',
      '\nExamples:\n  virtax bench --profile quick\n  virtax list workloads\n  virtax doctor\n  virtax run --kernel image.elf\n  virtax compare base.json new.json',
    );
  const [first = ''] = argv;
  const named = Object.hasOwn(COMMANDS, first) ? [COMMANDS[first]] : Object.values(COMMANDS);
  for (const command of named) program.addCommand(await command(run, argv));
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
async function exitStatus(error: unknown, err: Output): Promise<number> {
  const { ResultsError } = await import('./results.js');
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : BAD_USAGE;
  if (error instanceof UsageError || error instanceof ResultsError) {
    err.write(`virtax: ${error.message}\n`);
    return BAD_USAGE;
  }
  err.write(`virtax: unexpected error\n${error instanceof Error ? error.stack : String(error)}\n`);
  return 1;
}
