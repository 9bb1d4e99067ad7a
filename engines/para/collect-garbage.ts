/** V8's garbage collection, now, in the calling thread: else memory of domains that are gone stays as long as an idle heap does. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

let collect: (() => void) | undefined;

export function collectGarbage(): void {
  collect ??= find();
  collect();
}

/** The flag is off again at once: with other flags than its default V8 refuses kept code, and threads start 14 ms later. */
function find(): () => void {
  setFlagsFromString('--expose-gc');
  try {
    return runInNewContext('gc') as () => void;
  } finally {
    setFlagsFromString('--no-expose-gc');
  }
}
