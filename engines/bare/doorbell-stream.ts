/**
 * Takes the doorbells out of the native guest's output (`virtax-guest guest --stamp`); what is left is its console.
 *
 * A stop doorbell carries the process's own stamps of both doorbells, four numbers of 16 hexadecimal digits: time and CPU
 * time at the start, then at the stop. The process reads the host's CLOCK_MONOTONIC, as the harness does.
 */
import type { Doorbell, DoorbellStamp } from '../process/guest-control.js';

const START = 0x02; // STX and ETX, as env.h declares them
const STOP = 0x03;
const STAMP_BYTES = 64;

export interface DoorbellSink {
  output(bytes: Uint8Array): void;
  doorbell(which: Doorbell, stamp: DoorbellStamp): void;
  /** The stamps are no numbers. */
  nonsense(text: string): void;
}

export class DoorbellStream {
  /** Digits of the stop doorbell that have arrived; undefined outside of one. */
  private digits: string | undefined;

  constructor(private readonly sink: DoorbellSink) {}

  /** Takes one chunk of output; doorbells and stamps may be cut anywhere. */
  push(chunk: Uint8Array): void {
    for (let at = 0; at < chunk.length; ) {
      at = this.digits === undefined ? this.console(chunk, at) : this.stamp(chunk, at, this.digits);
    }
  }

  /** Console output up to the next doorbell. The start doorbell's byte says nothing that the stop's stamps do not. */
  private console(chunk: Uint8Array, from: number): number {
    let end = from;
    while (end < chunk.length && chunk[end] !== START && chunk[end] !== STOP) end++;
    if (end > from) this.sink.output(chunk.subarray(from, end));
    if (chunk[end] === STOP) this.digits = '';
    return end + 1;
  }

  private stamp(chunk: Uint8Array, from: number, before: string): number {
    const end = Math.min(chunk.length, from + STAMP_BYTES - before.length);
    const digits = before + Buffer.from(chunk.subarray(from, end)).toString('latin1');
    this.digits = digits.length < STAMP_BYTES ? digits : undefined;
    if (digits.length === STAMP_BYTES) this.ring(digits);
    return end;
  }

  private ring(digits: string): void {
    if (!/^[0-9a-f]+$/.test(digits)) {
      this.sink.nonsense(digits);
      return;
    }
    const number = (index: number) => BigInt(`0x${digits.slice(16 * index, 16 * index + 16)}`);
    this.sink.doorbell('start', { ns: number(0), cpuSeconds: Number(number(1)) / 1e9 });
    this.sink.doorbell('stop', { ns: number(2), cpuSeconds: Number(number(3)) / 1e9 });
  }
}
