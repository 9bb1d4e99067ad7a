/**
 * Who of a machine's threads sends for a card, and how long: one at a time, packet by packet, with the card's lock released while
 * a frame is on its way, since the switch may answer from within transmit(). A card that was reset meanwhile has begun a new life:
 * the old one's descriptors are left alone.
 */
import type { Lock } from '../device.js';

/** Packets that one doorbell sends at most before the guest runs again: another hart may refill the ring for ever. */
const BURST = 16;
/** The same in frames, into which packets may be cut. */
const BURST_FRAMES = 64;

/** What a card does for one packet. The calls marked so are made under the card's lock. */
export interface Sender<Job, Result extends { frames: number }> {
  /** Under the lock: a doorbell has been rung, and sending is allowed. */
  ready(): boolean;
  /** Under the lock: where to look. Takes the doorbell back, so that one that comes meanwhile makes us look again. */
  begin(): Job;
  /** frames: that went out. */
  send(job: Job): Result;
  /** Under the lock, unless the card was reset since begin(). */
  finish(job: Job, result: Result): void;
  /** Under the lock, at the end of a packet: the interrupt's level. */
  settle(): void;
  /** A burst has ended. */
  flush(): void;
}

/** Words of shared state. */
export const TURN_STATE_WORDS = 2;
const BUSY = 0;
const EPOCH = 1;

export class TransmitTurn<Job, Result extends { frames: number }> {
  /** Since run() was called. */
  #frames = 0;

  constructor(
    private readonly words: Int32Array,
    private readonly lock: Lock,
    private readonly defer: (task: () => void) => void,
    private readonly sender: Sender<Job, Result>,
  ) {}

  /** Under the lock: the card has been reset. */
  renew(): void {
    this.words[EPOCH]++;
  }

  /** Under the lock: true when there may be something to send and this thread is the one that does: it must call run() then. */
  take(): boolean {
    if (this.words[BUSY] || !this.sender.ready()) return false;
    this.words[BUSY] = 1;
    return true;
  }

  /** Without the lock, after take() has answered true. */
  run(): void {
    let more = true;
    this.#frames = 0;
    for (let burst = 0; more && burst < BURST && this.#frames < BURST_FRAMES; burst++) more = this.#one();
    this.sender.flush();
    if (more) this.defer(() => this.run());
  }

  /** false: nothing is left to do, and the turn has been given up. */
  #one(): boolean {
    const { lock, sender, words } = this;
    lock.acquire();
    const epoch = words[EPOCH];
    const job = sender.begin();
    lock.release();
    const result = sender.send(job);
    this.#frames += result.frames;
    lock.acquire();
    if (words[EPOCH] === epoch) sender.finish(job, result);
    words[BUSY] = 0;
    const more = this.take();
    sender.settle();
    lock.release();
    return more;
  }
}
