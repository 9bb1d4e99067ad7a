/**
 * The SCSI bus behind the controller: up to 15 targets, of which one at a time is connected. The controller sees the one that is
 * (scsi-target.ts); selection and reselection choose it. In shared memory, under the controller's lock.
 */
import type { BlockPort, StateSlice } from '../device.js';
import { SCSI_TARGET_STATE_BYTES, ScsiTarget } from './scsi-target.js';
import type { Piece } from './scsi-transfers.js';

/** A disk or CD-ROM on the bus. */
export interface ScsiUnit {
  port: BlockPort;
  readonly: boolean;
  media: 'disk' | 'cdrom';
}

/** The controller's own; targets have the others, in order. */
const INITIATOR = 7;
export const SCSI_TARGETS_MAX = 15;
const idOf = (index: number): number => (index < INITIATOR ? index : index + 1);

/** Words of the bus's own state. */
const W = { CURRENT: 0, IN_FLIGHT: 1 } as const;
const BUS_BYTES = 64;
export const scsiBusStateBytes = (units: number): number => BUS_BYTES + units * SCSI_TARGET_STATE_BYTES;

export class ScsiBus {
  readonly #w: Int32Array;
  readonly #targets: (ScsiTarget | undefined)[] = new Array(SCSI_TARGETS_MAX + 1).fill(undefined);
  readonly #present: readonly ScsiTarget[];

  /**
   * Target n of `units` has the SCSI id n, or n + 1 from 7 on. completed(): a request of this thread is done; the receiver takes
   * the lock and calls complete() with the same arguments.
   */
  constructor(
    state: StateSlice,
    units: readonly ScsiUnit[],
    completed: (id: number, nexus: number, epoch: number, failed: boolean) => void,
  ) {
    if (units.length > SCSI_TARGETS_MAX) {
      throw new RangeError(`a SCSI bus has at most ${SCSI_TARGETS_MAX} disks, not ${units.length}`);
    }
    this.#w = state.i32;
    const budget = state.i32.subarray(W.IN_FLIGHT, W.IN_FLIGHT + 1);
    units.forEach((unit, index) => {
      const id = idOf(index);
      const part = state.part(BUS_BYTES + index * SCSI_TARGET_STATE_BYTES, SCSI_TARGET_STATE_BYTES);
      this.#targets[id] = new ScsiTarget(part, { ...unit, id }, budget, (n, epoch, failed) =>
        completed(id, n, epoch, failed),
      );
    });
    this.#present = this.#targets.filter((target) => target !== undefined);
  }

  /** The target that was connected last, and may be still. */
  get #current(): ScsiTarget | undefined {
    return this.#targets[this.#w[W.CURRENT] & SCSI_TARGETS_MAX];
  }

  get connected(): boolean {
    return this.#current?.connected ?? false;
  }

  /** The phase on the bus; meaningful while `asks`. 0 when the bus is free. */
  get phase(): number {
    return this.#current?.phase ?? 0;
  }

  /** REQ: the target wants the next byte of the phase. */
  get asks(): boolean {
    return this.#current?.asks ?? false;
  }

  /** A disconnected command wants to go on. */
  get ready(): boolean {
    for (const target of this.#present) if (target.ready) return true;
    return false;
  }

  get remaining(): number {
    return this.#current?.remaining ?? 0;
  }

  get nextMessage(): number {
    return this.#current?.nextMessage ?? 0;
  }

  /** Pieces at the host, over all targets and commands, given-up ones included. */
  get inFlight(): number {
    return Atomics.load(this.#w, W.IN_FLIGHT);
  }

  /** Some target of this thread has handed something to its IoContext that has not been submitted; asking clears it. */
  takeQueued(): boolean {
    let queued = false;
    for (const target of this.#present) queued = target.takeQueued() || queued;
    return queued;
  }

  /** Before the lock is released: no target keeps back what it was told to move. */
  startOpen(): void {
    for (const target of this.#present) target.startOpen();
  }

  reset(): void {
    for (const target of this.#present) target.reset();
  }

  release(): void {
    this.#current?.release();
  }

  /** False: no target has that id. */
  select(id: number, attention: boolean): boolean {
    const target = this.#targets[id];
    if (target === undefined) return false;
    this.#w[W.CURRENT] = id;
    target.select(attention);
    return true;
  }

  attention(): void {
    this.#current?.attention();
  }

  /** Lets a target come back whose command is ready: its id, or -1. The one after the last has the first say, so that none starves. */
  reselect(): number {
    const last = this.#w[W.CURRENT];
    for (let i = 1; i <= SCSI_TARGETS_MAX + 1; i++) {
      const id = (last + i) & SCSI_TARGETS_MAX;
      if (this.#targets[id]?.reselect() !== true) continue;
      this.#w[W.CURRENT] = id;
      return id;
    }
    return -1;
  }

  messageOut(buffer: Uint8Array, offset: number, count: number): void {
    this.#current?.messageOut(buffer, offset, count);
  }

  command(buffer: Uint8Array, offset: number, count: number): number {
    return this.#current?.command(buffer, offset, count) ?? 0;
  }

  data(piece: Piece, bytes: number): number {
    return this.#current?.data(piece, bytes) ?? 0;
  }

  status(): number {
    return this.#current?.status() ?? 0;
  }

  messageIn(): number {
    return this.#current?.messageIn() ?? -1;
  }

  complete(id: number, nexus: number, epoch: number, failed: boolean): void {
    this.#targets[id]?.complete(nexus, epoch, failed);
    this.#current?.goOn();
  }
}
