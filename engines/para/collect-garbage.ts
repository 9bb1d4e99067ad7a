/** V8's garbage collection, now, in the calling thread: else memory of domains that are gone stays as long as an idle heap does. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

let collect: (() => void) | undefined;
const ATTEMPTS = 50;

export function collectGarbage(): void {
  for (let attempt = 0; collect === undefined && attempt < ATTEMPTS; attempt++) collect = find();
  collect?.();
}

/**
 * The flag is off again at once: with other flags than its default V8 refuses kept code, and threads start 14 ms later. Flags are the
 * process's: undefined when another thread has turned it off in between.
 */
function find(): (() => void) | undefined {
  setFlagsFromString('--expose-gc');
  try {
    return runInNewContext('globalThis.gc') as (() => void) | undefined;
  } finally {
    setFlagsFromString('--no-expose-gc');
  }
}
