/** Ctrl-C, kill and a closed terminal stop a run in order: what is finished is kept, children are ended. */
import { setMaxListeners } from 'node:events';

export interface StopSignals {
  /** Aborted by the first of them. */
  readonly signal: AbortSignal;
  /** 128 + the signal's number, as shells report it. */
  exitStatus(): number;
  /** Gives the signals their usual effect again. */
  release(): void;
}

const NUMBERS = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const;
type Name = keyof typeof NUMBERS;
const names = Object.keys(NUMBERS) as Name[];

/** A second signal ends the process at once (its children die with it). */
export function onStopSignals(): StopSignals {
  const controller = new AbortController();
  setMaxListeners(0, controller.signal); // each of 32 VMs listens while it is waited for
  let status = 1;
  const handlers = names.map((name) => {
    const handler = () => {
      status = 128 + NUMBERS[name];
      if (controller.signal.aborted) process.exit(status);
      controller.abort();
    };
    process.on(name, handler);
    return () => process.removeListener(name, handler);
  });
  return {
    signal: controller.signal,
    exitStatus: () => status,
    release: () => {
      for (const remove of handlers) remove();
    },
  };
}
