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
import type { MemoryId } from '../../backends/io.js';
import type { BlockPort, StateSlice } from './device.js';
import { CODE, check, KEY, OP, type Plan, STATUS, senseData, type UnitFacts } from './scsi-codes.js';
import { cdbBytes, planCommand } from './scsi-commands.js';
import { DIRECTION, N, NEXUS_STATE_BYTES, NexusTable, STATE, UNTAGGED } from './scsi-nexus.js';

/** Bus phases: MSG, C/D, I/O. */
export const PHASE = { DATA_OUT: 0, DATA_IN: 1, COMMAND: 2, STATUS: 3, MESSAGE_OUT: 6, MESSAGE_IN: 7 } as const;
export const MESSAGE = {
  COMMAND_COMPLETE: 0x00,
  EXTENDED: 0x01,
  SAVE_DATA_POINTER: 0x02,
  DISCONNECT: 0x04,
  ABORT: 0x06,
  REJECT: 0x07,
  NOP: 0x08,
  BUS_DEVICE_RESET: 0x0c,
  ABORT_TAG: 0x0d,
  CLEAR_QUEUE: 0x0e,
  SIMPLE_TAG: 0x20,
  ORDERED_TAG: 0x22,
  IDENTIFY: 0x80,
} as const;
/** Of extended messages (SCSI-2, 6.6.21 and 6.6.22). */
const EXTENDED = { SYNCHRONOUS: 0x01, WIDE: 0x03 } as const;

/**
 * Requests at the host over all targets and commands; beyond, the target lets the initiator wait, since a data phase may be cut into any number.
 * With a flush for each nexus on top they fit into one IoContext (backends/requests.ts: 1024).
 */
const IN_FLIGHT_MAX = 512;

const COMPLETE = [MESSAGE.COMMAND_COMPLETE];
const DISCONNECT = [MESSAGE.DISCONNECT];
const SAVE_AND_DISCONNECT = [MESSAGE.SAVE_DATA_POINTER, MESSAGE.DISCONNECT];
const REJECT = [MESSAGE.REJECT];

/** Memory that the initiator names: RAM or the chip's own. offset, in bytes, is checked. */
export interface Piece {
  memory: MemoryId;
  buffer: Uint8Array;
  offset: number;
}

/** Words of the state. */
const W = {
  /** Nexus number + 1; 0: bus free; SELECTING: selected, no command yet. */
  CONNECTED: 0,
  PHASE: 1,
  REQ: 2,
  MESSAGES: 3,
  /** After the last message byte: a phase, or FREE. */
  AFTER: 4,
  SELECTED_TAG: 5,
  SELECTED_LUN: 6,
  SELECTED_DISCONNECT: 7,
  SENSE: 8,
  ATTENTION: 9,
  REPLIED: 10,
  EJECTED: 11,
  LOCKED: 12,
  MESSAGE_BYTES: 16,
} as const;
const SELECTING = -1;
const FREE = -1;
const NEXT_STEP = -2;
const REPLY_AT = 128;
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

/** Bytes of a nexus on their way between memory and disk. */
interface OpenPiece {
  nexus: number;
  epoch: number;
  memory: MemoryId;
  address: number;
  bytes: number;
  offset: number;
  write: boolean;
}

export class ScsiTarget {
  readonly #w: Int32Array;
  readonly #nexus: NexusTable;
  readonly #reply: Uint8Array;
  readonly #disk: BlockPort;
  readonly #facts: UnitFacts;
  readonly #cdb = new Uint8Array(16);
  /** A piece that is not at the host yet, since the next one may join it. Only while the lock is held: see startOpen(). */
  #open: OpenPiece | undefined;
  /** Something was handed to the IoContext that has not been submitted. */
  queued = false;

  /**
   * inFlight: one word, the bus's count of requests at the host. completed(): a request of this thread is done; the receiver takes
   * the lock and calls complete() with the same arguments.
   */
  constructor(
    state: StateSlice,
    unit: ScsiTargetUnit,
    private readonly inFlight: Int32Array,
    private readonly completed: (nexus: number, epoch: number, failed: boolean) => void,
  ) {
    this.#w = state.i32;
    this.#nexus = new NexusTable(state.part(NEXUS_AT, NEXUS_STATE_BYTES));
    this.#reply = state.u8.subarray(REPLY_AT, REPLY_AT + REPLY_BYTES);
    this.#disk = unit.port;
    const words = this.#w;
    this.#facts = {
      id: unit.id,
      bytes: unit.port.info.bytes,
      readonly: unit.readonly || unit.media === 'cdrom',
      media: unit.media,
      get ejected() {
        return words[W.EJECTED] !== 0;
      },
      get locked() {
        return words[W.LOCKED] !== 0;
      },
    };
  }

  /* ---- what the initiator sees ---- */

  get connected(): boolean {
    return this.#w[W.CONNECTED] !== 0;
  }

  /** The phase on the bus; meaningful while `asks`. 0 when the bus is free. */
  get phase(): number {
    return this.#w[W.PHASE];
  }

  /** REQ: the target wants the next byte of the phase. */
  get asks(): boolean {
    return this.#w[W.REQ] !== 0;
  }

  /** A disconnected command wants to go on. */
  get ready(): boolean {
    return this.#nexus.anyReady;
  }

  /** Power-on or bus reset: all commands are forgotten, and the next one hears of it. */
  reset(): void {
    this.#nexus.dropAll();
    this.#free();
    this.#w[W.SENSE] = 0;
    this.#w[W.LOCKED] = 0;
    this.#w[W.ATTENTION] = CODE.RESET_OCCURRED;
  }

  /** The initiator lets go of the bus: what is connected is lost. */
  release(): void {
    if (this.#w[W.CONNECTED] > 0) this.#nexus.drop(this.#w[W.CONNECTED] - 1);
    this.#free();
  }

  select(attention: boolean): void {
    this.#w[W.CONNECTED] = SELECTING;
    this.#w[W.SELECTED_TAG] = UNTAGGED;
    this.#w[W.SELECTED_LUN] = 0;
    this.#w[W.SELECTED_DISCONNECT] = 0;
    this.#w[W.MESSAGES] = 0;
    this.#ask(attention ? PHASE.MESSAGE_OUT : PHASE.COMMAND);
  }

  /** The initiator asserts ATN: it is heard at once. */
  attention(): void {
    if (this.connected) this.#ask(PHASE.MESSAGE_OUT);
  }

  /** Puts the next ready command on the bus, with IDENTIFY and its tag. False when none is ready. */
  reselect(): boolean {
    const n = this.#nexus.popReady();
    if (n < 0) return false;
    this.#w[W.CONNECTED] = n + 1;
    const identify = MESSAGE.IDENTIFY | this.#get(n, N.LUN);
    this.#say(n === UNTAGGED ? [identify] : [identify, MESSAGE.SIMPLE_TAG, n], NEXT_STEP);
    return true;
  }

  /** MESSAGE OUT. All of the bytes are taken, each read once. */
  messageOut(buffer: Uint8Array, offset: number, count: number): void {
    const end = offset + count;
    let at = offset;
    let rejected = false;
    let answer: readonly number[] | undefined;
    while (at < end) {
      const message = buffer[at++];
      if (message & MESSAGE.IDENTIFY) {
        this.#w[W.SELECTED_LUN] = message & 7;
        this.#w[W.SELECTED_DISCONNECT] = message & 0x40;
      } else if (message >= MESSAGE.SIMPLE_TAG && message <= MESSAGE.ORDERED_TAG) {
        this.#w[W.SELECTED_TAG] = at < end ? buffer[at] : UNTAGGED;
        at++;
      } else if (message === MESSAGE.EXTENDED) {
        const length = at < end ? buffer[at] : 0;
        answer = negotiate(at + 1 < end ? buffer[at + 1] : 0, at + 2 < end ? buffer[at + 2] : 0);
        rejected ||= answer === undefined;
        at += 1 + length;
      } else if (this.#abort(message)) {
        return;
      } else if (message !== MESSAGE.NOP) {
        rejected = true;
      }
    }
    const then = this.#w[W.CONNECTED] === SELECTING ? PHASE.COMMAND : NEXT_STEP;
    if (rejected) this.#say(REJECT, then);
    else if (answer !== undefined) this.#say(answer, then);
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
    this.#w[W.CONNECTED] = n + 1;
    const plan = planCommand(cdb, this.#w[W.SELECTED_LUN], this.#facts);
    this.#carryOut(n, overlapped ? check(KEY.ABORTED, CODE.OVERLAPPED_COMMANDS) : this.#attentionFirst(cdb[0], plan));
    this.#step(n);
    return length;
  }

  /** Bytes that the data phase still has. */
  get remaining(): number {
    const n = this.#w[W.CONNECTED] - 1;
    return n >= 0 ? this.#get(n, N.REMAINING) : 0;
  }

  /** DATA IN or OUT: moves up to `bytes` bytes; returns how many. */
  data(piece: Piece, bytes: number): number {
    const n = this.#w[W.CONNECTED] - 1;
    if (n < 0) return 0;
    const count = Math.min(bytes, this.#get(n, N.REMAINING));
    const direction = this.#get(n, N.DIRECTION);
    if (direction === DIRECTION.REPLY) this.#copyReply(piece, count);
    else this.#startHost(n, piece, count, direction === DIRECTION.WRITE);
    this.#set(n, N.REMAINING, this.#get(n, N.REMAINING) - count);
    this.#set(n, N.MOVED, 1);
    if (this.#get(n, N.REMAINING) === 0) this.startOpen();
    this.#step(n);
    return count;
  }

  /** STATUS: the one byte. COMMAND COMPLETE follows, then the bus is free. */
  status(): number {
    const n = this.#w[W.CONNECTED] - 1;
    const status = n >= 0 ? this.#get(n, N.STATUS) : STATUS.GOOD;
    if (n >= 0) this.#nexus.drop(n);
    this.#say(COMPLETE, FREE);
    return status;
  }

  /** MESSAGE IN: the next byte, or -1 when there is none. */
  messageIn(): number {
    const length = this.#w[W.MESSAGES];
    if (length === 0 || this.phase !== PHASE.MESSAGE_IN || !this.asks) return -1;
    const at = W.MESSAGE_BYTES;
    const byte = this.#w[at];
    this.#w.copyWithin(at, at + 1, at + length);
    this.#w[W.MESSAGES] = length - 1;
    if (length === 1) this.#afterMessages();
    return byte;
  }

  /** The byte that waits in a MESSAGE IN phase (SBDL), or 0. */
  get nextMessage(): number {
    return this.#w[W.MESSAGES] > 0 ? this.#w[W.MESSAGE_BYTES] : 0;
  }

  /* ---- the host's side ---- */

  complete(n: number, epoch: number, failed: boolean): void {
    this.inFlight[0]--;
    if (this.#get(n, N.EPOCH) === epoch && this.#get(n, N.STATE) === STATE.ACTIVE) {
      this.#set(n, N.PENDING, this.#get(n, N.PENDING) - 1);
      if (failed) this.#set(n, N.FAILED, 1);
      this.#settle(n);
      if (this.#get(n, N.STATE) === STATE.DONE && this.#get(n, N.DISCONNECTED)) this.#nexus.pushReady(n);
    }
  }

  /** The connected command, if it waits for a completion or for room at the host, looks again. */
  goOn(): void {
    const waiting = this.#w[W.CONNECTED] - 1;
    if (waiting >= 0 && !this.asks) this.#step(waiting);
  }

  /* ---- inside ---- */

  #get(n: number, field: number): number {
    return this.#nexus.get(n, field);
  }

  #set(n: number, field: number, value: number): void {
    this.#nexus.set(n, field, value);
  }

  #ask(phase: number): void {
    this.#w[W.PHASE] = phase;
    this.#w[W.REQ] = 1;
  }

  #free(): void {
    this.#w[W.CONNECTED] = 0;
    this.#w[W.PHASE] = 0;
    this.#w[W.REQ] = 0;
    this.#w[W.MESSAGES] = 0;
  }

  #say(messages: readonly number[], after: number): void {
    for (let i = 0; i < messages.length; i++) this.#w[W.MESSAGE_BYTES + i] = messages[i];
    this.#w[W.MESSAGES] = messages.length;
    this.#w[W.AFTER] = after;
    this.#ask(PHASE.MESSAGE_IN);
  }

  #afterMessages(): void {
    const after = this.#w[W.AFTER];
    if (after === FREE) this.#disconnect();
    else if (after === NEXT_STEP) this.#next();
    else this.#ask(after);
  }

  #next(): void {
    const n = this.#w[W.CONNECTED] - 1;
    if (n >= 0) this.#step(n);
    else this.#ask(PHASE.COMMAND);
  }

  #disconnect(): void {
    const n = this.#w[W.CONNECTED] - 1;
    this.#free();
    if (n < 0 || this.#get(n, N.STATE) === STATE.FREE) return;
    this.#set(n, N.DISCONNECTED, 1);
    if (this.#get(n, N.STATE) === STATE.DONE) this.#nexus.pushReady(n);
  }

  /** What the connected nexus asks for next. */
  #step(n: number): void {
    if (this.#get(n, N.REMAINING) > 0) {
      if (this.inFlight[0] >= IN_FLIGHT_MAX) this.#w[W.REQ] = 0;
      else this.#ask(this.#get(n, N.DIRECTION) === DIRECTION.WRITE ? PHASE.DATA_OUT : PHASE.DATA_IN);
      return;
    }
    this.#settle(n);
    if (this.#get(n, N.STATE) === STATE.DONE) this.#ask(PHASE.STATUS);
    else if (!this.#get(n, N.MAY_DISCONNECT)) this.#w[W.REQ] = 0;
    else if (this.#get(n, N.MOVED)) this.#say(SAVE_AND_DISCONNECT, FREE);
    else this.#say(DISCONNECT, FREE);
  }

  /** Makes the nexus DONE when nothing is left to move or to wait for; a durable write (FUA) first flushes. */
  #settle(n: number): void {
    if (this.#get(n, N.STATE) !== STATE.ACTIVE) return;
    if (this.#get(n, N.REMAINING) > 0 || this.#get(n, N.PENDING) > 0) return;
    const failed = this.#get(n, N.FAILED) !== 0;
    if (this.#get(n, N.DURABLE) && !failed) {
      this.#set(n, N.DURABLE, 0);
      this.#startFlush(n);
      return;
    }
    if (failed) {
      const code = this.#get(n, N.DIRECTION) === DIRECTION.READ ? CODE.READ_ERROR : CODE.WRITE_ERROR;
      this.#setSense(n, KEY.MEDIUM_ERROR, code);
    }
    this.#set(n, N.STATE, STATE.DONE);
  }

  /** ABORT and its kin end commands and free the bus. True when the message was one of them. */
  #abort(message: number): boolean {
    const connected = this.#w[W.CONNECTED];
    const n = connected > 0 ? connected - 1 : this.#w[W.SELECTED_TAG];
    switch (message) {
      case MESSAGE.ABORT_TAG:
        this.#nexus.drop(n);
        break;
      case MESSAGE.ABORT:
      case MESSAGE.CLEAR_QUEUE:
        this.#nexus.dropAll();
        break;
      case MESSAGE.BUS_DEVICE_RESET:
        this.reset();
        break;
      case MESSAGE.DISCONNECT:
        break;
      default:
        return false;
    }
    this.#free();
    return true;
  }

  /** After a reset, or with a new medium, the first command but INQUIRY, REPORT LUNS and REQUEST SENSE fails with a unit attention (SAM-3, 5.9.7). */
  #attentionFirst(opcode: number, plan: Plan): Plan {
    const news = this.#w[W.ATTENTION];
    if (!news || opcode === OP.INQUIRY || opcode === OP.REPORT_LUNS) return plan;
    this.#w[W.ATTENTION] = 0;
    if (opcode !== OP.REQUEST_SENSE) return check(KEY.UNIT_ATTENTION, news);
    if (!this.#w[W.SENSE]) this.#w[W.SENSE] = (KEY.UNIT_ATTENTION << 16) | news;
    return plan;
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
      case 'sense': {
        const sense = this.#w[W.SENSE];
        this.#w[W.SENSE] = 0;
        this.#setReply(n, senseData(sense >> 16, sense & 0xffff).subarray(0, plan.bytes));
        return;
      }
      case 'flush':
        this.#startFlush(n);
        return;
      case 'tray':
        if (this.#w[W.EJECTED] && !plan.ejected) this.#w[W.ATTENTION] = CODE.MEDIUM_CHANGED;
        this.#w[W.EJECTED] = plan.ejected ? 1 : 0;
        return;
      case 'lock':
        this.#w[W.LOCKED] = plan.locked ? 1 : 0;
        return;
      default:
        this.#set(n, N.DIRECTION, plan.kind === 'write' ? DIRECTION.WRITE : DIRECTION.READ);
        this.#set(n, N.DURABLE, plan.kind === 'write' && plan.durable ? 1 : 0);
        this.#set(n, N.REMAINING, plan.bytes);
        this.#nexus.setOffset(n, plan.offset);
    }
  }

  /** Sense data is kept until it is asked for, or until something newer happens. */
  #setSense(n: number, key: number, code: number): void {
    this.#w[W.SENSE] = (key << 16) | code;
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

  /** Scatter lists name page after page of what often is one range of memory: those pages are one request. */
  #startHost(n: number, piece: Piece, bytes: number, write: boolean): void {
    const offset = this.#nexus.offset(n);
    this.#nexus.setOffset(n, offset + bytes);
    const open = this.#open;
    if (open !== undefined && this.#joins(open, n, piece, offset)) {
      open.bytes += bytes;
      return;
    }
    this.startOpen();
    this.#count(n);
    const { memory, offset: address } = piece;
    this.#open = { nexus: n, epoch: this.#get(n, N.EPOCH), memory, address, bytes, offset, write };
  }

  #joins(open: OpenPiece, n: number, piece: Piece, offset: number): boolean {
    const sameCommand = open.nexus === n && open.epoch === this.#get(n, N.EPOCH);
    const inMemory = open.memory === piece.memory && open.address + open.bytes === piece.offset;
    return sameCommand && inMemory && open.offset + open.bytes === offset;
  }

  /** Hands over the piece that is still open, if any. Before the lock is released, and before the command may be done. */
  startOpen(): void {
    const open = this.#open;
    if (open === undefined) return;
    this.#open = undefined;
    const { io, handle } = this.#disk;
    const { nexus, epoch, memory, address, bytes, offset } = open;
    const done = (result: number): void => this.completed(nexus, epoch, result !== bytes);
    if (open.write) io.write(handle, memory, address, bytes, offset, done);
    else io.read(handle, memory, address, bytes, offset, done);
  }

  #startFlush(n: number): void {
    this.#count(n);
    const epoch = this.#get(n, N.EPOCH);
    this.#disk.io.flush(this.#disk.handle, (result) => this.completed(n, epoch, result < 0));
  }

  #count(n: number): void {
    this.#set(n, N.PENDING, this.#get(n, N.PENDING) + 1);
    this.inFlight[0]++;
    this.queued = true;
  }
}

/**
 * The answer to an extended message: asynchronous and 8 bits wide is all that there is here (nothing goes over wires). Offset 0
 * means asynchronous (SCSI-2, 6.6.21). undefined: rejected, as parallel protocol requests (SPI-3) are by targets before Ultra160.
 */
function negotiate(code: number, first: number): readonly number[] | undefined {
  if (code === EXTENDED.SYNCHRONOUS) return [MESSAGE.EXTENDED, 3, EXTENDED.SYNCHRONOUS, first, 0];
  if (code === EXTENDED.WIDE) return [MESSAGE.EXTENDED, 2, EXTENDED.WIDE, 0];
  return undefined;
}
