const FREE = 0;
const HELD = 1;
const CONTENDED = 2;
const SPINS = 100;

/**
 * A futex mutex on one word of shared memory, for sections of microseconds that call nothing that waits. Not recursive.
 * The word is zero at first. A thread must not be terminated while it holds one.
 */
export class Lock {
  constructor(
    readonly words: Int32Array,
    readonly index: number,
  ) {}

  acquire(): void {
    const { words, index } = this;
    for (let spin = 0; spin < SPINS; spin++) {
      if (Atomics.compareExchange(words, index, FREE, HELD) === FREE) return;
    }
    while (Atomics.exchange(words, index, CONTENDED) !== FREE) Atomics.wait(words, index, CONTENDED);
  }

  /** Takes it if it is free. */
  tryAcquire(): boolean {
    return Atomics.compareExchange(this.words, this.index, FREE, HELD) === FREE;
  }

  release(): void {
    const { words, index } = this;
    if (Atomics.exchange(words, index, FREE) === CONTENDED) Atomics.notify(words, index, 1);
  }

  /** Runs `action` while the lock is held, and lets go of it however that ends. */
  hold<T>(action: () => T): T {
    this.acquire();
    try {
      return action();
    } finally {
      this.release();
    }
  }
}
