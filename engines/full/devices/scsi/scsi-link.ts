/**
 * A SCSI target's end of the bus: who is connected, the phase, REQ, and the messages that the target has still to say. In shared
 * memory, under the controller's lock.
 */
import { PHASE } from './scsi-messages.js';

/** Words of the state. */
const W = {
  /** Nexus number + 1; 0: bus free; SELECTING: selected, no command yet. */
  CONNECTED: 0,
  PHASE: 1,
  REQ: 2,
  MESSAGES: 3,
  AFTER: 4,
  /** Longer than any of the target's messages. */
  MESSAGE_BYTES: 5,
} as const;
export const SCSI_LINK_WORDS = 12;
const SELECTING = -1;

/** What comes after the target's messages, if no phase of the bus: the bus is freed, or the connected command's next step. */
export const AFTER = { FREE: -1, NEXT_STEP: -2 } as const;

export class ScsiLink {
  /** words: SCSI_LINK_WORDS of them. */
  constructor(private readonly words: Int32Array) {}

  /** The target holds the bus, with a command or selected for one. */
  get connected(): boolean {
    return this.words[W.CONNECTED] !== 0;
  }

  /** Selected, no command yet. */
  get selecting(): boolean {
    return this.words[W.CONNECTED] === SELECTING;
  }

  /** The connected nexus, or -1. */
  get nexus(): number {
    return Math.max(this.words[W.CONNECTED], 0) - 1;
  }

  /** The phase on the bus; meaningful while `asks`. 0 when the bus is free. */
  get phase(): number {
    return this.words[W.PHASE];
  }

  /** REQ: the target wants the next byte of the phase. */
  get asks(): boolean {
    return this.words[W.REQ] !== 0;
  }

  select(): void {
    this.words[W.CONNECTED] = SELECTING;
    this.words[W.MESSAGES] = 0;
  }

  connect(nexus: number): void {
    this.words[W.CONNECTED] = nexus + 1;
  }

  free(): void {
    this.words.fill(0, W.CONNECTED, W.MESSAGES + 1);
  }

  ask(phase: number): void {
    this.words[W.PHASE] = phase;
    this.words[W.REQ] = 1;
  }

  /** The bus stays the target's, which wants nothing until it says so. */
  pause(): void {
    this.words[W.REQ] = 0;
  }

  /** after: a phase, or one of AFTER. */
  say(messages: readonly number[], after: number): void {
    for (let i = 0; i < messages.length; i++) this.words[W.MESSAGE_BYTES + i] = messages[i];
    this.words[W.MESSAGES] = messages.length;
    this.words[W.AFTER] = after;
    this.ask(PHASE.MESSAGE_IN);
  }

  /** Takes the next byte of the target's messages; -1 when there is none to take. */
  takeMessage(): number {
    const length = this.words[W.MESSAGES];
    if (length === 0 || this.phase !== PHASE.MESSAGE_IN || !this.asks) return -1;
    const at = W.MESSAGE_BYTES;
    const byte = this.words[at];
    this.words.copyWithin(at, at + 1, at + length);
    this.words[W.MESSAGES] = length - 1;
    return byte;
  }

  /** All messages have been taken: what comes after them. undefined while some are left. */
  get afterMessages(): number | undefined {
    return this.words[W.MESSAGES] === 0 ? this.words[W.AFTER] : undefined;
  }

  /** The byte that waits in a MESSAGE IN phase (SBDL), or 0. */
  get nextMessage(): number {
    return this.words[W.MESSAGES] > 0 ? this.words[W.MESSAGE_BYTES] : 0;
  }
}
