/** A thread of the pool (worker entry point): serves one vCPU after another, and keeps nothing of any of them. */
import { type MessagePort, parentPort } from 'node:worker_threads';
import { libc } from '../backends/libc.js';
import { minimizeTimerSlack } from '../process/libc.js';
import { collectGarbage } from './collect-garbage.js';
import { SchedStat } from './runstate.js';
import type { FromThread, ToThread, VcpuThreadConfig } from './vcpu-config.js';
import { serveVcpu } from './vcpu-serve.js';

const port = parentPort as MessagePort;
if (parentPort === null) throw new Error('the thread of a vCPU was started as a program');
const tell = (message: FromThread): void => port.postMessage(message);

// As the other engines' threads: sleeps end when they should.
minimizeTimerSlack();

const tid = libc()?.gettid() ?? 0;
const stat = new SchedStat(tid);

function serve(config: VcpuThreadConfig): void {
  try {
    serveVcpu(config, { tid, stat, port, tell });
  } catch (error) {
    tell({ type: 'failed', reason: error instanceof Error ? error.message : String(error) });
  }
  tell({ type: 'served' });
  // When serveVcpu()'s frame is gone: the domain's memory is not given back to the host before this thread lets go of it too.
  setImmediate(collectGarbage);
}

port.on('message', (message: ToThread) => {
  if (message.type === 'serve') serve(message.config);
  else if (message.type === 'end') port.close();
  // 'memory' comes here when it is late: foreign-memory.ts takes the others
});
tell({ type: 'loaded', tid });
