/** Entry point of the hypervisor's process: domains are created and driven by messages of the engine. */
import { childArguments } from '../process/child.js';
import { dieWithParent } from '../process/die-with-parent.js';
import type { Domain } from './domain.js';
import { Hypervisor } from './hypervisor.js';
import { serveManagement } from './management/server.js';
import type { FromHypervisor, ToHypervisor } from './messages.js';

dieWithParent(childArguments().parentPid);

/** vCPUs that start at once; a thread takes 9 MiB. */
const WARM_THREADS = 2;

const hypervisor = new Hypervisor({ warmThreads: WARM_THREADS });
// Without one the domains run all the same.
serveManagement(hypervisor).catch((error: Error) => {
  process.stderr.write(`virtax: this hypervisor is not among virtax domains: ${error.message}\n`);
});
const domains = new Map<number, Domain>();
/** Being created; true: destroyed meanwhile. */
const creating = new Map<number, boolean>();

/** Without a channel the engine is gone, and this process with it. */
const tell = (message: FromHypervisor): void => {
  if (process.connected) process.send?.(message, undefined, undefined, () => {});
};

async function create({ key, config }: Extract<ToHypervisor, { type: 'create' }>): Promise<void> {
  creating.set(key, false);
  try {
    const domain = await hypervisor.create(config, {
      output: (bytes) => tell({ type: 'output', key, bytes }),
      doorbell: (stamp) => tell({ type: 'doorbell', key, ...stamp }),
      facts: (facts) => tell({ type: 'facts', key, facts }),
      ended: (reason, how, counters) => {
        domains.delete(key);
        tell({ type: 'ended', key, reason, how, counters });
      },
    });
    domains.set(key, domain);
    tell({ type: 'created', key });
    if (creating.get(key)) domain.destroy();
  } catch (error) {
    tell({ type: 'refused', key, message: error instanceof Error ? error.message : String(error) });
  } finally {
    creating.delete(key);
  }
}

process.on('message', (message: ToHypervisor) => {
  const domain = domains.get(message.key);
  if (message.type === 'create') void create(message);
  else if (message.type === 'policy') hypervisor.setPolicy(message.policy);
  else if (message.type === 'input') domain?.feed(Buffer.from(message.text, 'latin1'));
  else if (message.type === 'taken') domain?.outputTaken(message.bytes);
  else if (message.type === 'counters') {
    tell({ type: 'counters', key: message.key, id: message.id, counters: domain?.counters() ?? {} });
  } else if (domain !== undefined) domain.destroy();
  else if (creating.has(message.key)) creating.set(message.key, true);
});
