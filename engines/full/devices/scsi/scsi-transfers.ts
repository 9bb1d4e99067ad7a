/**
 * The host's side of a SCSI target's commands: pieces of memory that are read and written there, and flushes. Pending requests
 * are counted in the nexus and, over all targets of the bus, their pieces in one word of shared memory. Under the controller's lock.
 */
import type { MemoryId } from '../../../backends/io.js';
import type { BlockPort } from '../device.js';
import { N, type NexusTable } from './scsi-nexus.js';

/**
 * Pieces of memory at the host over all targets and commands; beyond, the target lets the initiator wait, since a data phase may be cut into
 * any number. With a flush for each nexus on top they fit into one IoContext (backends/requests.ts: 1024), should it take them one by one.
 */
const IN_FLIGHT_MAX = 512;
/** Of one request. */
const PIECES_MAX = 256;

/** Memory that the initiator names: RAM or the chip's own. offset, in bytes, is checked. */
export interface Piece {
  memory: MemoryId;
  buffer: Uint8Array;
  offset: number;
}

/** Bytes of a nexus on their way between memory and disk: one range of the disk, and pieces of memory, kept in ScsiTransfers. */
interface Transfer {
  nexus: number;
  epoch: number;
  memory: MemoryId;
  offset: number;
  bytes: number;
  write: boolean;
}

export class ScsiTransfers {
  /** What is not at the host yet, since the next piece may join it. Only while the lock is held: see startOpen(). */
  #open: Transfer | undefined;
  /* Its pieces. */
  readonly #address = new Float64Array(PIECES_MAX);
  readonly #bytes = new Float64Array(PIECES_MAX);
  #count = 0;
  /** Something was handed to the IoContext that has not been submitted. */
  queued = false;

  /** inFlight, completed(): see ScsiTarget. */
  constructor(
    private readonly disk: BlockPort,
    private readonly nexus: NexusTable,
    private readonly inFlight: Int32Array,
    private readonly completed: (nexus: number, epoch: number, failed: boolean) => void,
  ) {}

  /** No more pieces for now. */
  get full(): boolean {
    return Atomics.load(this.inFlight, 0) >= IN_FLIGHT_MAX;
  }

  /** Moves the nexus's next bytes. Scatter lists name page after page: those of one command are one request. */
  move(n: number, piece: Piece, bytes: number, write: boolean): void {
    const offset = this.nexus.offset(n);
    this.nexus.setOffset(n, offset + bytes);
    const open = this.#open;
    if (open !== undefined && this.#joins(open, n, piece, offset)) {
      open.bytes += bytes;
      this.#append(piece.offset, bytes);
      return;
    }
    this.startOpen();
    this.#begins(n);
    this.#open = { nexus: n, epoch: this.nexus.get(n, N.EPOCH), memory: piece.memory, offset, bytes, write };
    this.#count = 0;
    this.#append(piece.offset, bytes);
  }

  #joins(open: Transfer, n: number, piece: Piece, offset: number): boolean {
    const sameCommand = open.nexus === n && open.epoch === this.nexus.get(n, N.EPOCH);
    return (
      sameCommand &&
      open.memory === piece.memory &&
      open.offset + open.bytes === offset &&
      (this.#count < PIECES_MAX || this.#goesOn(piece.offset))
    );
  }

  /** The memory behind the last piece. */
  #goesOn(address: number): boolean {
    const last = this.#count - 1;
    return last >= 0 && this.#address[last] + this.#bytes[last] === address;
  }

  #append(address: number, bytes: number): void {
    if (this.#goesOn(address)) {
      this.#bytes[this.#count - 1] += bytes;
      return;
    }
    this.#address[this.#count] = address;
    this.#bytes[this.#count++] = bytes;
    Atomics.add(this.inFlight, 0, 1);
  }

  /** Hands over the transfer that is still open, if any. Before the lock is released, and before the command may be done. */
  startOpen(): void {
    const open = this.#open;
    if (open === undefined) return;
    this.#open = undefined;
    const { io, handle } = this.disk;
    const { nexus, epoch, memory, bytes, offset, write } = open;
    const count = this.#count;
    const done = (result: number): void => this.#ended(nexus, epoch, count, result !== bytes);
    const pieces = { address: this.#address, bytes: this.#bytes, count };
    if (count > 1 && write) io.writev(handle, memory, pieces, offset, done);
    else if (count > 1) io.readv(handle, memory, pieces, offset, done);
    else if (write) io.write(handle, memory, this.#address[0], bytes, offset, done);
    else io.read(handle, memory, this.#address[0], bytes, offset, done);
  }

  flush(n: number): void {
    this.#begins(n);
    Atomics.add(this.inFlight, 0, 1);
    const epoch = this.nexus.get(n, N.EPOCH);
    this.disk.io.flush(this.disk.handle, (result) => this.#ended(n, epoch, 1, result < 0));
  }

  #begins(n: number): void {
    this.nexus.set(n, N.PENDING, this.nexus.get(n, N.PENDING) + 1);
    this.queued = true;
  }

  /** A request of this thread is done; no lock is held. */
  #ended(nexus: number, epoch: number, pieces: number, failed: boolean): void {
    Atomics.sub(this.inFlight, 0, pieces);
    this.completed(nexus, epoch, failed);
  }
}
