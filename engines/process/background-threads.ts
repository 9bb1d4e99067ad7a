/** The priority of threads that work for others in the same process. */
import { readdirSync } from 'node:fs';
import { constants, getPriority, setPriority } from 'node:os';

/** Steps of nice(2) below the process: a tenth of an ordinary thread's share where both want the same processor. */
const STEPS = 10;

/**
 * The threads that V8 and Node have started so far, which compile and collect garbage, yield to those that start later, but for
 * this one: a processor that a vCPU could have is not spent on making its code better. Any process may lower its own priority.
 */
export function lowerBackgroundThreads(): void {
  try {
    for (const thread of readdirSync('/proc/self/task').map(Number)) {
      if (thread !== process.pid)
        setPriority(thread, Math.min(getPriority(thread) + STEPS, constants.priority.PRIORITY_LOW));
    }
  } catch {
    // A host without /proc, or that refuses: all threads are equal.
  }
}
