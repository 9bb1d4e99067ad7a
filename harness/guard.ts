/** Waiting for an engine that may never answer: a deadline of the harness's own, and the user's Ctrl-C. */
import { MachineFailure } from '../engines/engine.js';

/** The user stopped the run. */
export class Interrupted extends Error {
  override readonly name = 'Interrupted';
}

/**
 * The promise's outcome, or a MachineFailure when it has none within `ms`, or Interrupted when the signal aborts. What
 * the promise does afterwards is ignored: its machine is stopped by whoever asked.
 */
export async function guarded<T>(promise: Promise<T>, ms: number, what: string, signal: AbortSignal): Promise<T> {
  promise.catch(() => {});
  if (signal.aborted) throw new Interrupted('stopped');
  let timer: NodeJS.Timeout | undefined;
  let onAbort = () => {};
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new MachineFailure(`${what} did not end within ${ms} ms`)), ms);
    onAbort = () => reject(new Interrupted('stopped'));
    signal.addEventListener('abort', onAbort, { once: true });
  });
  try {
    return await Promise.race([promise, limit]);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', onAbort);
  }
}

const CTRL_C_MS = 100;

/**
 * For a failure that may be the user's Ctrl-C: a terminal sends it to the guests' processes as well, and their end may be
 * seen before our own signal. @throws Interrupted if the signal aborts within a moment
 */
export async function unlessInterrupted(signal: AbortSignal): Promise<void> {
  await within(
    new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true })),
    signal.aborted ? 0 : CTRL_C_MS,
  );
  if (signal.aborted) throw new Interrupted('stopped');
}

/** Waits for the promise, but not longer than this. Its outcome is ignored. */
export async function within(promise: Promise<unknown>, ms: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  await Promise.race([promise.catch(() => {}), limit]);
  clearTimeout(timer);
}
