/**
 * The thread that listens to a guest's serial port: blocked in ppoll(2) until QEMU sends a byte, it takes doorbells out of
 * the output with the time at which the kernel saw them, and reads the CPU time of QEMU's process there.
 *
 * The main thread could read the socket too, and the times would be the same. But it would come later, and the CPU time
 * of a process can only be read now.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { libc, NativeMemory } from '../backends/libc.js';
import { processCpuSeconds } from '../process/cpu-time.js';
import { minimizeTimerSlack } from '../process/libc.js';
import { type ConsoleThreadData, type FromConsole, SHARED } from './console-messages.js';
import { type Datagram, StampedReader } from './stamped-socket.js';

const DOORBELLS = { 2: 'start', 3: 'stop' } as const;
const POLLIN = 1;
/** Should a wake-up be lost, the thread still ends. */
const LOOK_AGAIN_SECONDS = 5;

const { socket, eventfd, shared } = workerData as ConsoleThreadData;
const flags = new Int32Array(shared);
const tell = (message: FromConsole) => parentPort?.postMessage(message);

/** Sleeps until the socket or the eventfd has something. */
function sleeper(): { sleep(): void } {
  const c = need(libc());
  const memory = new NativeMemory(c, 4096);
  const words = new Int32Array(memory.buffer);
  words.set([socket, POLLIN, eventfd, POLLIN]); // struct pollfd: int fd, short events, short revents
  words.set([LOOK_AGAIN_SECONDS, 0, 0, 0], 8);
  return {
    sleep: () => {
      c.ppoll(memory.address, 2, memory.address + 32);
    },
  };
}

let lost = 0;
let output: number[] = [];

function flush(): void {
  if (output.length > 0) tell({ type: 'output', bytes: Uint8Array.from(output) });
  output = [];
}

/** Doorbells come as datagrams of their own, since the serial port sends byte by byte; but no guest is trusted to. */
function take({ bytes, ns, byKernel, ...datagram }: Datagram): void {
  for (const byte of bytes) {
    if (byte !== 0x02 && byte !== 0x03) {
      output.push(byte);
      continue;
    }
    flush();
    const cpuSeconds = processCpuSeconds(Atomics.load(flags, SHARED.pid)) ?? 0;
    tell({ type: 'doorbell', which: DOORBELLS[byte], stamp: { ns, cpuSeconds }, byKernel });
  }
  if (datagram.lost > lost || datagram.cut) {
    tell({ type: 'lost', datagrams: datagram.lost - lost });
    lost = datagram.lost;
  }
}

function need<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('the console needs koffi');
  return value;
}

function listen(): void {
  minimizeTimerSlack();
  const reader = new StampedReader(need(libc()), socket);
  const { sleep } = sleeper();
  while (Atomics.load(flags, SHARED.stop) === 0) {
    sleep();
    for (let batch = reader.receive(); batch.length > 0; batch = reader.receive()) {
      batch.forEach(take);
      flush();
    }
  }
  reader.dispose();
}

listen();
