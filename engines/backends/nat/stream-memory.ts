/** The two rings of a connection, in memory that system calls can reach. Freed ones are kept for the next connections. */
import { type Libc, NativeMemory } from '../libc.js';
import { StreamBuffer } from '../tcp/stream-buffer.js';

/** Towards the guest, and towards the host: 256 connections with full rings are 48 MiB. Pages count once they are touched. */
const SEND_BYTES = 128 << 10;
const RECEIVE_BYTES = 64 << 10;
const SPARE_MAX = 8;

export interface StreamMemory {
  memory: NativeMemory;
  send: StreamBuffer;
  receive: StreamBuffer;
  sendAddress: number;
  receiveAddress: number;
}

export class StreamMemories {
  readonly #spare: StreamMemory[] = [];

  constructor(private readonly c: Libc) {}

  /** Throws when the host has no memory. */
  take(): StreamMemory {
    const spare = this.#spare.pop();
    if (spare !== undefined) return spare;
    const memory = new NativeMemory(this.c, SEND_BYTES + RECEIVE_BYTES);
    return {
      memory,
      send: new StreamBuffer(new Uint8Array(memory.buffer, 0, SEND_BYTES)),
      receive: new StreamBuffer(new Uint8Array(memory.buffer, SEND_BYTES, RECEIVE_BYTES)),
      sendAddress: memory.address,
      receiveAddress: memory.address + SEND_BYTES,
    };
  }

  give(it: StreamMemory): void {
    if (this.#spare.length < SPARE_MAX) this.#spare.push(it);
    else it.memory.free();
  }

  dispose(): void {
    for (const it of this.#spare.splice(0)) it.memory.free();
  }
}
