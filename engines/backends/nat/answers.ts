/** Frames that answer a guest's: sent in the thread's next poll(), since the guest's card is inside its transmit() and may hold its lock. */
import type { IoContext } from '../io.js';
import type { SwitchPort } from '../switch.js';

/** That may wait for the next poll(). */
const ANSWERS_MAX = 64;

export class Answers {
  #waiting: Uint8Array[] = [];

  constructor(
    private readonly io: IoContext,
    private readonly port: SwitchPort,
  ) {}

  /** Copies the first `bytes` bytes; false when too many wait already. */
  later(frame: Uint8Array, bytes: number): boolean {
    if (this.#waiting.length >= ANSWERS_MAX) return false;
    this.#waiting.push(frame.slice(0, bytes));
    if (this.#waiting.length === 1) this.io.defer(() => this.#send());
    return true;
  }

  #send(): void {
    const frames = this.#waiting;
    this.#waiting = [];
    for (const frame of frames) this.port.transmit(frame);
  }
}
