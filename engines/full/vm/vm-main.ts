/** Entry point of a VM's process: one VM, driven by messages of the engine. Its argument: how many harts. */

import { lowerBackgroundThreads } from '../../process/background-threads.js';
import { childArguments } from '../../process/child.js';
import { dieWithParent } from '../../process/die-with-parent.js';
import { startHartWorker } from './hart-worker.js';
import type { FromVm, ToVm } from './messages.js';
import type { Vm, VmEvents } from './vm.js';

const { parentPid, args } = childArguments();
lowerBackgroundThreads();
/** They start while this thread loads what it needs itself. */
const waiting = Array.from({ length: Number(args[0]) }, (_, hart) => startHartWorker(hart));
dieWithParent(parentPid);
const { Vm: VirtualMachine } = await import('./vm.js');

let vm: Vm | undefined;

/** Output that nobody has taken yet, bytes; with more the guest's serial port is busy, or it could fill the host's memory. */
const UNTAKEN_MOST = 2 ** 18;
let untaken = 0;

/** Without a channel the engine is gone, and this process with it. */
const tell = (message: FromVm): void => {
  if (process.connected) process.send?.(message, undefined, undefined, () => {});
};

function boot({ config }: Extract<ToVm, { type: 'boot' }>): void {
  try {
    const events: VmEvents = {
      running: (facts) => tell({ type: 'running', facts }),
      output(bytes) {
        untaken += bytes.length;
        tell({ type: 'output', bytes });
      },
      outputHeld: () => untaken > UNTAKEN_MOST,
      doorbell: (stamp) => tell({ type: 'doorbell', ...stamp, counters: vm?.named(stamp.counters) ?? {} }),
      ended: (how) => tell({ type: 'ended', how }),
    };
    vm = new VirtualMachine(config, events, waiting);
  } catch (error) {
    tell({ type: 'refused', message: error instanceof Error ? error.message : String(error) });
  }
}

function taken(bytes: number): void {
  untaken -= bytes;
  vm?.outputTaken();
}

async function stop(): Promise<void> {
  await vm?.stop();
  tell({ type: 'stopped', counters: vm?.counters() ?? {} });
}

process.on('message', (message: ToVm) => {
  if (message.type === 'boot') boot(message);
  else if (message.type === 'stop') void stop();
  else if (message.type === 'taken') taken(message.bytes);
  else if (message.type === 'input') vm?.input(Buffer.from(message.text, 'latin1'));
  else tell({ type: 'counters', id: message.id, counters: vm?.counters() ?? {} });
});
