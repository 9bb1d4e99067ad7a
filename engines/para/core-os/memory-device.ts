/** Block devices without a file. What is asked of them is done at once, and ends at the thread's next look for completions. */
import type { Completion, IoContext, Pieces } from '../../backends/io.js';
import { bytesOf } from '../../backends/pieces.js';
import type { BlockDevice } from './block-device.js';

const ZEROS = new Uint8Array(65536);

/** The guest's memory, as far as it reaches now. */
class GuestBytes {
  private view: Uint8Array;

  constructor(private readonly memory: WebAssembly.Memory) {
    this.view = new Uint8Array(memory.buffer);
  }

  at(address: number, bytes: number): Uint8Array {
    if (address + bytes > this.view.length) {
      this.memory.grow(0); // another thread's growth is seen so
      this.view = new Uint8Array(this.memory.buffer);
    }
    return this.view.subarray(address, address + bytes);
  }
}

abstract class SynchronousDevice implements BlockDevice {
  private readonly guest: GuestBytes;

  constructor(
    private readonly io: IoContext,
    memory: WebAssembly.Memory,
    readonly bytes: number,
  ) {
    this.guest = new GuestBytes(memory);
  }

  protected abstract read(into: Uint8Array, offset: number): void;
  protected abstract write(from: Uint8Array, offset: number): void;
  protected abstract clear(offset: number, bytes: number): void;

  transfer(reads: boolean, pieces: Pieces, offset: number, done: Completion): void {
    for (let i = 0, at = offset; i < pieces.count; at += pieces.bytes[i++]) {
      const piece = this.guest.at(pieces.address[i], pieces.bytes[i]);
      if (reads) this.read(piece, at);
      else this.write(piece, at);
    }
    const bytes = bytesOf(pieces);
    this.io.defer(() => done(bytes));
  }

  flush(done: Completion): void {
    this.io.defer(() => done(0));
  }

  discard(offset: number, bytes: number, done: Completion): void {
    this.clear(offset, bytes);
    this.io.defer(() => done(0));
  }

  reopen(): BlockDevice {
    return this;
  }

  close(): void {}
}

/** A disk in the memory of the hypervisor's process: as long as its domain lives. */
export class MemoryDevice extends SynchronousDevice {
  private readonly data: Uint8Array;

  constructor(io: IoContext, memory: WebAssembly.Memory, buffer: SharedArrayBuffer) {
    super(io, memory, buffer.byteLength);
    this.data = new Uint8Array(buffer);
  }

  protected read(into: Uint8Array, offset: number): void {
    into.set(this.data.subarray(offset, offset + into.length));
  }

  protected write(from: Uint8Array, offset: number): void {
    this.data.set(from, offset);
  }

  protected clear(offset: number, bytes: number): void {
    this.data.fill(0, offset, offset + bytes);
  }
}

/** No disk at all: what the way to it and back costs. */
export class NullDevice extends SynchronousDevice {
  /** Many times as fast as fill() on shared memory. */
  protected read(into: Uint8Array): void {
    for (let at = 0; at < into.length; at += ZEROS.length) into.set(ZEROS.subarray(0, into.length - at), at);
  }

  protected write(): void {}
  protected clear(): void {}
}
