/** How a device takes what a queue holds, where it does each chain at once: rng, balloon, the card's control queue. */
import type { Chain } from './chain.js';
import type { VirtioContext, VirtioCore } from './core.js';
import { BROKEN, EMPTY, type Virtqueue } from './virtqueue.js';

export interface QueueServer {
  readonly core: VirtioCore;
  readonly context: VirtioContext;
  /** Scratch space; holds the chain that handle() is about. */
  readonly chain: Chain;
}

/** What is done for the chains of one doorbell, until the guest runs again. */
export interface Burst {
  /** Whether another chain may be taken. */
  room(): boolean;
  /** Does what the chain asks for, and sees to its being given back. False: it is none that the device understands. */
  handle(head: number): boolean;
}

/**
 * Takes chain after chain, by one thread at a time: who comes meanwhile leaves, and who has the queue looks once more after letting
 * go. Not at once but by a deferred task: other harts could keep this one here for ever.
 */
export function serveQueue(server: QueueServer, queue: Virtqueue, begin: () => Burst): void {
  const again = (): void => server.context.defer(() => serveQueue(server, queue, begin));
  if (!queue.taking.tryAcquire()) return;
  const left = takeAll(server, queue, begin());
  queue.taking.release();
  if (left === 'more' || (left === 'nothing' && queue.waiting)) again();
}

/** Holding `taking`. over: the device has been stopped, by the driver or by what it put into the queue. */
function takeAll({ core, chain }: QueueServer, queue: Virtqueue, burst: Burst): 'nothing' | 'more' | 'over' {
  while (burst.room()) {
    if (!core.live) return 'over';
    const head = queue.take(chain);
    if (head === EMPTY) {
      if (!queue.rearm()) return 'nothing';
    } else if (head === BROKEN || !burst.handle(head)) {
      core.needsReset();
      return 'over';
    }
  }
  return 'more';
}

/** So many chains. */
export function chains(most: number, handle: (head: number) => boolean): Burst {
  let taken = 0;
  return { room: () => taken++ < most, handle };
}
