// `virtax` with mock engines, as a process of its own: what happens on signals can only be tested on a whole process.
// MOCK holds the options of mock-shell.mjs as JSON.
import { main } from '../../dist/harness/cli.js';
import { streamOutput } from '../../dist/harness/context.js';
import { mockShell } from './mock-shell.mjs';

const options = JSON.parse(process.env.MOCK ?? '{}');
process.exitCode = await main(
  process.argv.slice(2),
  mockShell(options, streamOutput(process.stdout), streamOutput(process.stderr)),
);
