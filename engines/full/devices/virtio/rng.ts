/** The entropy device (virtio 1.2, 5.4): the host's getrandom(2), straight into the driver's buffers. */
import { fillRandom } from '../../../backends/random.js';
import { Chain } from './chain.js';
import { type VirtioContext, VirtioCore, type VirtioHooks, type VirtioModel, virtioStateBytes } from './core.js';
import { chains, serveQueue } from './serve.js';
import { TYPE } from './spec.js';

const QUEUE_SIZE = 64;
/** Bytes of one buffer that are filled: the device may give less than it was asked for (5.4.6.1). */
const FILL_MAX = 4096;
/** Buffers that one doorbell fills before the guest runs again. */
const BURST = QUEUE_SIZE;

export const VIRTIO_RNG_STATE_BYTES = virtioStateBytes(1);

export class VirtioRng implements VirtioModel, VirtioHooks {
  readonly name = 'virtio-rng';
  readonly core: VirtioCore;
  readonly #chain: Chain;

  constructor(private readonly context: VirtioContext) {
    const traits = { type: TYPE.ENTROPY, features: 0, queueSizes: [QUEUE_SIZE], configBytes: 0 };
    this.core = new VirtioCore(this.name, context, traits, this);
    this.#chain = new Chain(context.ram);
  }

  counters(): Record<string, number> {
    return this.core.counters();
  }

  initialize(): void {}

  notified(): void {
    const [queue] = this.core.queues;
    const server = { core: this.core, context: this.context, chain: this.#chain };
    serveQueue(server, queue, () =>
      chains(BURST, (head) => {
        queue.complete(head, this.#fill(), queue.epoch);
        return true;
      }),
    );
  }

  #fill(): number {
    const chain = this.#chain;
    let filled = 0;
    for (let i = chain.readable; i < chain.count && filled < FILL_MAX; i++) {
      const bytes = Math.min(chain.length[i], FILL_MAX - filled);
      fillRandom(chain.all, chain.offset[i], bytes);
      filled += bytes;
    }
    return filled;
  }
}
