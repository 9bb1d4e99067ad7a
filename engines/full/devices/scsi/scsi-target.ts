/**
 * A SCSI target with one unit, a disk or a CD-ROM, as the initiator sees it on the bus: phases, messages, tagged commands, disconnection and
 * reselection (SCSI-2, chapter 6). All state is in shared memory; every method is called under the controller's lock.
 *
 * Data never passes through JavaScript. At a data phase the initiator names a piece of memory; the target starts the host's read
 * or write right there, on that memory, lets the phase end, and disconnects (SAVE DATA POINTER, DISCONNECT). It comes back with the
 * status when the host has done all pieces. So all commands that are queued are in flight at the host at once, with no copy and
 * one reselection a command; the price is that the bytes arrive between the data phase and the status, not in the data phase,
 * which an initiator cannot tell as long as it waits for the status before it looks, as the protocol asks of it.
 */
import type { BlockPort, StateSlice } from '../device.js';
import { CODE, check, KEY, type Plan, STATUS } from './scsi-codes.js';
import { cdbBytes } from './scsi-commands.js';
import { AFTER, SCSI_LINK_WORDS, ScsiLink } from './scsi-link.js';
import { MESSAGE, PHASE, readMessages } from './scsi-messages.js';
import { DIRECTION, N, NEXUS_STATE_BYTES, NexusTable, STATE, UNTAGGED } from './scsi-nexus.js';
import { type Piece, ScsiTransfers } from './scsi-transfers.js';
import { SCSI_UNIT_STATE_BYTES, ScsiUnit } from './scsi-unit.js';

const COMPLETE = [MESSAGE.COMMAND_COMPLETE];
const DISCONNECT = [MESSAGE.DISCONNECT];
const SAVE_AND_DISCONNECT = [MESSAGE.SAVE_DATA_POINTER, MESSAGE.DISCONNECT];
const REJECT = [MESSAGE.REJECT];

/** Words of the state, behind the link's. */
const W = { SELECTED_TAG: 12, SELECTED_LUN: 13, SELECTED_DISCONNECT: 14, REPLIED: 15 } as const;
const UNIT_AT = 64;
const REPLY_AT = UNIT_AT + SCSI_UNIT_STATE_BYTES;
const REPLY_BYTES = 256;
const NEXUS_AT = REPLY_AT + REPLY_BYTES;
export const SCSI_TARGET_STATE_BYTES = NEXUS_AT + NEXUS_STATE_BYTES;

/** What the target is: its id and what lies behind it. */
export interface ScsiTargetUnit {
  id: number;
  port: BlockPort;
  readonly: boolean;
  media: 'disk' | 'cdrom';
}

export class ScsiTarget {
  readonly #w: Int32Array;
  readonly #link: ScsiLink;
  readonly #nexus: NexusTable;
  readonly #reply: Uint8Array;
  readonly #cdb = new Uint8Array(16);
  readonly #unit: ScsiUnit;
  readonly #transfers: ScsiTransfers;

  /**
   * inFlight: one word, the bus's count of pieces at the host. completed(): a request of this thread is done; the receiver takes
   * the lock and calls complete() with the same arguments.
   */
  constructor(
    state: StateSlice,
    unit: ScsiTargetUnit,
    inFlight: Int32Array,
    completed: (nexus: number, epoch: number, failed: boolean) => void,
  ) {
    this.#w = state.i32;
    this.#link = new ScsiLink(state.i32.subarray(0, SCSI_LINK_WORDS));
    this.#nexus = new NexusTable(state.part(NEXUS_AT, NEXUS_STATE_BYTES));
    this.#reply = state.u8.subarray(REPLY_AT, REPLY_AT + REPLY_BYTES);
    const { id, port, media } = unit;
    const readonly = unit.readonly || media === 'cdrom';
    this.#unit = new ScsiUnit(state.part(UNIT_AT, SCSI_UNIT_STATE_BYTES), {
      id,
      bytes: port.info.bytes,
      readonly,
      media,
    });
    this.#transfers = new ScsiTransfers(port, this.#nexus, inFlight, completed);
  }

  /* ---- what the initiator sees ---- */

  get connected(): boolean {
    return this.#link.connected;
  }

  /** See ScsiLink; so are `asks` and `nextMessage`. */
  get phase(): number {
    return this.#link.phase;
  }

  get asks(): boolean {
    return this.#link.asks;
  }

  get nextMessage(): number {
    return this.#link.nextMessage;
  }

  /** A disconnected command wants to go on. */
  get ready(): boolean {
    return this.#nexus.anyReady;
  }

  /** Power-on or bus reset: all commands are forgotten, and the next one hears of it. */
  reset(): void {
    this.#nexus.dropAll();
    this.#link.free();
    this.#unit.reset();
  }

  /** The initiator lets go of the bus: what is connected is lost. */
  release(): void {
    if (this.#link.nexus >= 0) this.#nexus.drop(this.#link.nexus);
    this.#link.free();
  }

  select(attention: boolean): void {
    this.#link.select();
    this.#w[W.SELECTED_TAG] = UNTAGGED;
    this.#w[W.SELECTED_LUN] = 0;
    this.#w[W.SELECTED_DISCONNECT] = 0;
    this.#link.ask(attention ? PHASE.MESSAGE_OUT : PHASE.COMMAND);
  }

  /** The initiator asserts ATN: it is heard at once. */
  attention(): void {
    if (this.connected) this.#link.ask(PHASE.MESSAGE_OUT);
  }

  /** Puts the next ready command on the bus, with IDENTIFY and its tag. False when none is ready. */
  reselect(): boolean {
    const n = this.#nexus.popReady();
    if (n < 0) return false;
    this.#link.connect(n);
    const identify = MESSAGE.IDENTIFY | this.#get(n, N.LUN);
    this.#link.say(n === UNTAGGED ? [identify] : [identify, MESSAGE.SIMPLE_TAG, n], AFTER.NEXT_STEP);
    return true;
  }

  /** MESSAGE OUT. All of the bytes are taken, each read once. */
  messageOut(buffer: Uint8Array, offset: number, count: number): void {
    const { identify, tag, ending, rejected, answer } = readMessages(buffer, offset, count, UNTAGGED);
    if (identify !== undefined) {
      this.#w[W.SELECTED_LUN] = identify.lun;
      this.#w[W.SELECTED_DISCONNECT] = identify.mayDisconnect ? 1 : 0;
    }
    if (tag !== undefined) this.#w[W.SELECTED_TAG] = tag;
    const then = this.#link.selecting ? PHASE.COMMAND : AFTER.NEXT_STEP;
    if (ending !== undefined) this.#abort(ending);
    else if (rejected) this.#link.say(REJECT, then);
    else if (answer !== undefined) this.#link.say(answer, then);
    else this.#next();
  }

  /** COMMAND: `count` bytes are there; how many of them the command has. */
  command(buffer: Uint8Array, offset: number, count: number): number {
    const cdb = this.#cdb.fill(0);
    cdb[0] = buffer[offset];
    const length = Math.min(cdbBytes(cdb[0]), count);
    for (let i = 1; i < length; i++) cdb[i] = buffer[offset + i];
    const n = this.#w[W.SELECTED_TAG];
    const overlapped = this.#get(n, N.STATE) !== STATE.FREE;
    if (overlapped) this.#nexus.drop(n);
    this.#nexus.begin(n, this.#w[W.SELECTED_LUN], this.#w[W.SELECTED_DISCONNECT]);
    this.#link.connect(n);
    const refused = overlapped ? check(KEY.ABORTED, CODE.OVERLAPPED_COMMANDS) : undefined;
    this.#carryOut(n, refused ?? this.#unit.plan(cdb, this.#w[W.SELECTED_LUN]));
    this.#step(n);
    return length;
  }

  /** Bytes that the data phase still has. */
  get remaining(): number {
    const n = this.#link.nexus;
    return n >= 0 ? this.#get(n, N.REMAINING) : 0;
  }

  /** DATA IN or OUT: moves up to `bytes` bytes; returns how many. */
  data(piece: Piece, bytes: number): number {
    const n = this.#link.nexus;
    if (n < 0) return 0;
    const count = Math.min(bytes, this.#get(n, N.REMAINING));
    const direction = this.#get(n, N.DIRECTION);
    if (direction === DIRECTION.REPLY) this.#copyReply(piece, count);
    else this.#transfers.move(n, piece, count, direction === DIRECTION.WRITE);
    this.#set(n, N.REMAINING, this.#get(n, N.REMAINING) - count);
    this.#set(n, N.MOVED, 1);
    if (this.#get(n, N.REMAINING) === 0) this.#transfers.startOpen();
    this.#step(n);
    return count;
  }

  /** STATUS: the one byte. COMMAND COMPLETE follows, then the bus is free. */
  status(): number {
    const n = this.#link.nexus;
    const status = n >= 0 ? this.#get(n, N.STATUS) : STATUS.GOOD;
    if (n >= 0) this.#nexus.drop(n);
    this.#link.say(COMPLETE, AFTER.FREE);
    return status;
  }

  /** MESSAGE IN: the next byte, or -1 when there is none. */
  messageIn(): number {
    const byte = this.#link.takeMessage();
    const after = byte < 0 ? undefined : this.#link.afterMessages;
    if (after === AFTER.FREE) this.#disconnect();
    else if (after === AFTER.NEXT_STEP) this.#next();
    else if (after !== undefined) this.#link.ask(after);
    return byte;
  }

  /* ---- the host's side ---- */

  /** Hands over what is still held back, in case more of it comes. Before the lock is released. */
  startOpen(): void {
    this.#transfers.startOpen();
  }

  /** Whether something was handed to the IoContext since it was last asked. */
  takeQueued(): boolean {
    const { queued } = this.#transfers;
    this.#transfers.queued = false;
    return queued;
  }

  complete(n: number, epoch: number, failed: boolean): void {
    if (this.#get(n, N.EPOCH) === epoch && this.#get(n, N.STATE) === STATE.ACTIVE) {
      this.#set(n, N.PENDING, this.#get(n, N.PENDING) - 1);
      if (failed) this.#set(n, N.FAILED, 1);
      this.#settle(n);
      if (this.#get(n, N.STATE) === STATE.DONE && this.#get(n, N.DISCONNECTED)) this.#nexus.pushReady(n);
    }
  }

  /** The connected command, if it waits for a completion or for room at the host, looks again. */
  goOn(): void {
    const waiting = this.#link.nexus;
    if (waiting >= 0 && !this.asks) this.#step(waiting);
  }

  /* ---- inside ---- */

  #get(n: number, field: number): number {
    return this.#nexus.get(n, field);
  }

  #set(n: number, field: number, value: number): void {
    this.#nexus.set(n, field, value);
  }

  #next(): void {
    const n = this.#link.nexus;
    if (n >= 0) this.#step(n);
    else this.#link.ask(PHASE.COMMAND);
  }

  #disconnect(): void {
    const n = this.#link.nexus;
    this.#link.free();
    if (n < 0 || this.#get(n, N.STATE) === STATE.FREE) return;
    this.#set(n, N.DISCONNECTED, 1);
    if (this.#get(n, N.STATE) === STATE.DONE) this.#nexus.pushReady(n);
  }

  /** What the connected nexus asks for next. */
  #step(n: number): void {
    if (this.#get(n, N.REMAINING) > 0) {
      if (this.#transfers.full) this.#link.pause();
      else this.#link.ask(this.#get(n, N.DIRECTION) === DIRECTION.WRITE ? PHASE.DATA_OUT : PHASE.DATA_IN);
      return;
    }
    this.#settle(n);
    if (this.#get(n, N.STATE) === STATE.DONE) this.#link.ask(PHASE.STATUS);
    else if (!this.#get(n, N.MAY_DISCONNECT)) this.#link.pause();
    else if (this.#get(n, N.MOVED)) this.#link.say(SAVE_AND_DISCONNECT, AFTER.FREE);
    else this.#link.say(DISCONNECT, AFTER.FREE);
  }

  /** Makes the nexus DONE when nothing is left to move or to wait for; a durable write (FUA) first flushes. */
  #settle(n: number): void {
    if (this.#get(n, N.STATE) !== STATE.ACTIVE) return;
    if (this.#get(n, N.REMAINING) > 0 || this.#get(n, N.PENDING) > 0) return;
    const failed = this.#get(n, N.FAILED) !== 0;
    if (this.#get(n, N.DURABLE) && !failed) {
      this.#set(n, N.DURABLE, 0);
      this.#transfers.flush(n);
      return;
    }
    if (failed) {
      const code = this.#get(n, N.DIRECTION) === DIRECTION.READ ? CODE.READ_ERROR : CODE.WRITE_ERROR;
      this.#setSense(n, KEY.MEDIUM_ERROR, code);
    }
    this.#set(n, N.STATE, STATE.DONE);
  }

  /** ABORT and its kin end commands and free the bus. */
  #abort(message: number): void {
    const { nexus } = this.#link;
    if (message === MESSAGE.ABORT_TAG) this.#nexus.drop(nexus >= 0 ? nexus : this.#w[W.SELECTED_TAG]);
    else if (message === MESSAGE.BUS_DEVICE_RESET) this.reset();
    else if (message !== MESSAGE.DISCONNECT) this.#nexus.dropAll();
    this.#link.free();
  }

  #carryOut(n: number, plan: Plan): void {
    switch (plan.kind) {
      case 'good':
        return;
      case 'check':
        this.#setSense(n, plan.key, plan.code);
        return;
      case 'reply':
        this.#setReply(n, plan.bytes);
        return;
      case 'sense':
        this.#setReply(n, this.#unit.takeSense().subarray(0, plan.bytes));
        return;
      case 'flush':
        this.#transfers.flush(n);
        return;
      case 'tray':
        this.#unit.moveTray(plan.ejected);
        return;
      case 'lock':
        this.#unit.lockTray(plan.locked);
        return;
      default:
        this.#set(n, N.DIRECTION, plan.kind === 'write' ? DIRECTION.WRITE : DIRECTION.READ);
        this.#set(n, N.DURABLE, plan.kind === 'write' && plan.durable ? 1 : 0);
        this.#set(n, N.REMAINING, plan.bytes);
        this.#nexus.setOffset(n, plan.offset);
    }
  }

  #setSense(n: number, key: number, code: number): void {
    this.#unit.setSense(key, code);
    this.#set(n, N.STATUS, STATUS.CHECK_CONDITION);
  }

  #setReply(n: number, bytes: Uint8Array): void {
    this.#reply.set(bytes.subarray(0, REPLY_BYTES));
    this.#w[W.REPLIED] = 0;
    this.#set(n, N.DIRECTION, DIRECTION.REPLY);
    this.#set(n, N.REMAINING, Math.min(bytes.length, REPLY_BYTES));
  }

  /** A command with a reply keeps the bus until it is done, so one buffer serves them all. */
  #copyReply(piece: Piece, bytes: number): void {
    const at = this.#w[W.REPLIED];
    piece.buffer.set(this.#reply.subarray(at, at + bytes), piece.offset);
    this.#w[W.REPLIED] = at + bytes;
  }
}
