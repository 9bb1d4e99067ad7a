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
