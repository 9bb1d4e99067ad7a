/**
 * A mutex on one word of the hypervisor's memory, for sections of microseconds that call nothing that waits. Not recursive.
 * A thread is never terminated inside of one: hypervisor.ts terminates only threads that have not come out of the guest.
 */
const FREE = 0;
const HELD = 1;
const CONTENDED = 2;
const SPINS = 64;

export function lockAcquire(words: Int32Array, index: number): void {
  for (let spin = 0; spin < SPINS; spin++) {
    if (Atomics.compareExchange(words, index, FREE, HELD) === FREE) return;
  }
  while (Atomics.exchange(words, index, CONTENDED) !== FREE) Atomics.wait(words, index, CONTENDED);
}

export function lockRelease(words: Int32Array, index: number): void {
  if (Atomics.exchange(words, index, FREE) === CONTENDED) Atomics.notify(words, index, 1);
}
