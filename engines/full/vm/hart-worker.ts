/** Starts the threads of harts. */
import { Worker } from 'node:worker_threads';
import { hartThread } from './vm-program.js';

/**
 * A hart's thread makes little garbage: with V8's default of young generation each takes some 5 MiB more. The whole heap is
 * 9 MiB.
 */
const HEAP_LIMITS = { maxYoungGenerationSizeMb: 2, maxOldGenerationSizeMb: 256 };

/** A thread that waits for its HartThreadData, as a message. The first one starts sooner, the others take less memory. */
export function startHartWorker(hart: number): Worker {
  const { path, arguments: program, workerData } = hartThread();
  return new Worker(path, {
    argv: [...program],
    workerData: workerData && { ...workerData, frugal: hart > 0 },
    resourceLimits: HEAP_LIMITS,
  });
}
