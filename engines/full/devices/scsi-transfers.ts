/**
 * The host's side of a SCSI target's commands: pieces of memory that are read and written there, and flushes. Pending requests
 * are counted in the nexus and, over all targets of the bus, in one word of shared memory. Under the controller's lock.
 */
import type { MemoryId } from '../../backends/io.js';
import type { BlockPort } from './device.js';
import { N, type NexusTable } from './scsi-nexus.js';

/**
 * Requests at the host over all targets and commands; beyond, the target lets the initiator wait, since a data phase may be cut into any number.
 * With a flush for each nexus on top they fit into one IoContext (backends/requests.ts: 1024).
 */
const IN_FLIGHT_MAX = 512;

/** Memory that the initiator names: RAM or the chip's own. offset, in bytes, is checked. */
export interface Piece {
  memory: MemoryId;
  buffer: Uint8Array;
  offset: number;
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

export class ScsiTransfers {
  /** A piece that is not at the host yet, since the next one may join it. Only while the lock is held: see startOpen(). */
  #open: OpenPiece | undefined;
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
    return this.inFlight[0] >= IN_FLIGHT_MAX;
  }

  /** Moves the nexus's next bytes. Scatter lists name page after page of what often is one range of memory: those pages are one request. */
  move(n: number, piece: Piece, bytes: number, write: boolean): void {
    const offset = this.nexus.offset(n);
    this.nexus.setOffset(n, offset + bytes);
    const open = this.#open;
    if (open !== undefined && this.#joins(open, n, piece, offset)) {
      open.bytes += bytes;
      return;
    }
    this.startOpen();
    this.#count(n);
    const { memory, offset: address } = piece;
    this.#open = { nexus: n, epoch: this.nexus.get(n, N.EPOCH), memory, address, bytes, offset, write };
  }

  #joins(open: OpenPiece, n: number, piece: Piece, offset: number): boolean {
    const sameCommand = open.nexus === n && open.epoch === this.nexus.get(n, N.EPOCH);
    const inMemory = open.memory === piece.memory && open.address + open.bytes === piece.offset;
    return sameCommand && inMemory && open.offset + open.bytes === offset;
  }

  /** Hands over the piece that is still open, if any. Before the lock is released, and before the command may be done. */
  startOpen(): void {
    const open = this.#open;
    if (open === undefined) return;
    this.#open = undefined;
    const { io, handle } = this.disk;
    const { nexus, epoch, memory, address, bytes, offset } = open;
    const done = (result: number): void => this.completed(nexus, epoch, result !== bytes);
    if (open.write) io.write(handle, memory, address, bytes, offset, done);
    else io.read(handle, memory, address, bytes, offset, done);
  }

  flush(n: number): void {
    this.#count(n);
    const epoch = this.nexus.get(n, N.EPOCH);
    this.disk.io.flush(this.disk.handle, (result) => this.completed(n, epoch, result < 0));
  }

  #count(n: number): void {
    this.nexus.set(n, N.PENDING, this.nexus.get(n, N.PENDING) + 1);
    this.inFlight[0]++;
    this.queued = true;
  }

  /** A request is done, whoever asked for it. */
  ended(): void {
    this.inFlight[0]--;
  }
}
