/** Entry point of a VM's process: one VM, driven by messages of the engine. */
import { childArguments } from '../process/child.js';
import { dieWithParent } from '../process/die-with-parent.js';
import type { FromVm, ToVm } from './messages.js';
import { Vm } from './vm.js';

dieWithParent(childArguments().parentPid);

let vm: Vm | undefined;

/** Without a channel the engine is gone, and this process with it. */
const tell = (message: FromVm): void => {
  if (process.connected) process.send?.(message, undefined, undefined, () => {});
};

function boot({ config }: Extract<ToVm, { type: 'boot' }>): void {
  try {
    vm = new Vm(config, {
      running: (facts) => tell({ type: 'running', facts }),
      output: (bytes) => tell({ type: 'output', bytes }),
      doorbell: (stamp) => tell({ type: 'doorbell', ...stamp, counters: vm?.named(stamp.counters) ?? {} }),
      ended: (how) => tell({ type: 'ended', how }),
    });
  } catch (error) {
    tell({ type: 'refused', message: error instanceof Error ? error.message : String(error) });
  }
}

process.on('message', (message: ToVm) => {
  if (message.type === 'boot') boot(message);
  else if (message.type === 'input') vm?.input(Buffer.from(message.text, 'latin1'));
  else tell({ type: 'counters', id: message.id, counters: vm?.counters() ?? {} });
});
