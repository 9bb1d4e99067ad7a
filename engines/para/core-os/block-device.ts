/** A block device as a driver has it, on one thread. Its ranges were checked (block-request.ts) before they come here. */
import type { Completion, HandleId, IoContext, MemoryId, Pieces } from '../../backends/io.js';

export interface BlockDevice {
  readonly bytes: number;
  /** Moves the pieces of the guest's memory, one after another, from or to the device. Result: bytes, or a negative errno. */
  transfer(reads: boolean, pieces: Pieces, offset: number, done: Completion): void;
  /** What ended before is on the disk when this ends. */
  flush(done: Completion): void;
  /** The range is no longer needed: it reads as zeros. */
  discard(offset: number, bytes: number, done: Completion): void;
  /** Gives it back and opens it anew, as a new driver does. Nothing is in flight. */
  reopen(): BlockDevice;
  /** Nothing is in flight. */
  close(): void;
}

/** A file of the host, or a disk of it. */
export class FileDevice implements BlockDevice {
  private readonly handle: HandleId;
  readonly bytes: number;

  /** `open`: opens it in `io`. bytes: at most so many of it. Throws a sentence for the user. */
  constructor(
    private readonly io: IoContext,
    private readonly memory: MemoryId,
    bytes: number,
    private readonly open: () => HandleId,
  ) {
    this.handle = open();
    this.bytes = Math.min(bytes, io.blockInfo(this.handle).bytes);
  }

  transfer(reads: boolean, pieces: Pieces, offset: number, done: Completion): void {
    const { io, handle, memory } = this;
    if (pieces.count > 1) {
      if (reads) io.readv(handle, memory, pieces, offset, done);
      else io.writev(handle, memory, pieces, offset, done);
      return;
    }
    const address = pieces.address[0];
    const bytes = pieces.bytes[0];
    if (reads) io.read(handle, memory, address, bytes, offset, done);
    else io.write(handle, memory, address, bytes, offset, done);
  }

  flush(done: Completion): void {
    this.io.flush(this.handle, done);
  }

  discard(offset: number, bytes: number, done: Completion): void {
    this.io.zero(this.handle, offset, bytes, true, done);
  }

  reopen(): BlockDevice {
    this.close();
    return new FileDevice(this.io, this.memory, this.bytes, this.open);
  }

  close(): void {
    this.io.close(this.handle);
  }
}
