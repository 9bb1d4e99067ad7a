/** A worker thread of io-workers.ts: takes jobs and does them with synchronous system calls, straight into shared memory. */
import { fdatasyncSync, readSync, writeSync } from 'node:fs';
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { JOB, type Job, JobQueue } from './job-queue.js';
import { KickArea } from './kick.js';
import { libc } from './libc.js';

export interface IoWorkerData {
  queue: SharedArrayBuffer;
  area: SharedArrayBuffer;
  slot: number;
  /** By number; undefined: no longer in use. */
  memories: (WebAssembly.Memory | undefined)[];
}

const EIO = 5;
const EOPNOTSUPP = 95;
const RETRIED = new Set(['EINTR', 'EAGAIN']);

function main(data: IoWorkerData): void {
  const queue = new JobQueue(data.queue);
  const kicks = new KickArea(data.area);
  const memories = [...data.memories];
  for (let index = queue.take(); index >= 0; index = queue.take()) {
    const job = queue.job(index);
    while (memories[job.memory] === undefined && learnMemory(memories)) {}
    queue.finish(index, perform(job, memories[job.memory]));
    kicks.kick(data.slot);
  }
}

/** Takes what the owner registered, or gave up, after this thread was started; false when nothing is there. */
function learnMemory(memories: (WebAssembly.Memory | undefined)[]): boolean {
  const received = parentPort === null ? undefined : receiveMessageOnPort(parentPort);
  if (received === undefined) return false;
  const message = received.message as WebAssembly.Memory | { forget: number };
  if ('forget' in message) memories[message.forget] = undefined;
  else memories.push(message);
  return true;
}

/** Bytes moved, or a negative errno; never throws. */
function perform(job: Job, memory: WebAssembly.Memory | undefined): number {
  try {
    if (job.op === JOB.FLUSH) {
      fdatasyncSync(job.fd);
      return 0;
    }
    // fallocate(2) is not among Node's calls; the mode travels as the address.
    if (job.op === JOB.ZERO) return libc()?.fallocate(job.fd, job.address, job.offset, job.bytes) ?? -EOPNOTSUPP;
    if (memory === undefined) return -EIO;
    return transfer(job, new Uint8Array(memory.buffer, job.address, job.bytes));
  } catch (error) {
    const { errno } = error as NodeJS.ErrnoException;
    return errno === undefined ? -EIO : errno;
  }
}

/** The whole of it, in as many pieces as the kernel makes; less only at the end of the file. */
function transfer(job: Job, view: Uint8Array): number {
  let done = 0;
  while (done < view.length) {
    const moved = once(job, view, done);
    if (moved === 0) break;
    done += moved;
  }
  return done;
}

function once(job: Job, view: Uint8Array, done: number): number {
  for (;;) {
    try {
      return job.op === JOB.READ
        ? readSync(job.fd, view, done, view.length - done, job.offset + done)
        : writeSync(job.fd, view, done, view.length - done, job.offset + done);
    } catch (error) {
      if (!RETRIED.has((error as NodeJS.ErrnoException).code ?? '')) throw error;
    }
  }
}

main(workerData as IoWorkerData);
