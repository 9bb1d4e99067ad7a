/** Starts the threads of harts. */
import { Worker } from 'node:worker_threads';
import { hartThread } from './vm-program.js';

/** A hart's thread makes little garbage: with V8's default each takes some 5 MiB more. */
const YOUNG_MIB = 2;

/** A thread that waits for its HartThreadData, as a message. */
export function startHartWorker(): Worker {
  const { path, arguments: program, workerData } = hartThread();
  const resourceLimits = { maxYoungGenerationSizeMb: YOUNG_MIB };
  return new Worker(path, { argv: [...program], workerData, resourceLimits });
}
