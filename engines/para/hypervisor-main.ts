/** Entry point of the hypervisor's process: domains are created and driven by messages of the engine, and over its socket. */
import { childArguments } from '../process/child.js';
import { dieWithParent } from '../process/die-with-parent.js';
import { OPEN } from './channel.js';
import { DrivenDomains } from './driven-domains.js';
import { Hypervisor } from './hypervisor.js';
import { serveManagement } from './management/server.js';
import type { FromHypervisor, ToHypervisor } from './messages.js';

const { parentPid, args } = childArguments();
dieWithParent(parentPid);

/** vCPUs that start at once; a thread takes 9 MiB. */
const WARM_THREADS = 2;
/** Key of messages that are about the hypervisor as a whole. */
const NO_DOMAIN = -1;

const hypervisor = new Hypervisor({ warmThreads: WARM_THREADS });
// Without one the domains run all the same.
serveManagement(hypervisor, { open: args.includes(OPEN) }).catch((error: Error) => {
  process.stderr.write(`virtax: this hypervisor is not among virtax domains: ${error.message}\n`);
});

/** Without a channel the engine is gone, and this process with it. */
const tell = (message: FromHypervisor): void => {
  if (process.connected) process.send?.(message, undefined, undefined, () => {});
};
const domains = new DrivenDomains(hypervisor, tell);

/** The owner's own domain has ended; the process goes on for others'. */
async function leave(): Promise<void> {
  const { residents } = hypervisor;
  if (residents.count > 0) tell({ type: 'others', key: NO_DOMAIN, domains: residents.count });
  await residents.whenNone();
  tell({ type: 'others', key: NO_DOMAIN, domains: 0 });
}

process.on('message', (message: ToHypervisor) => {
  if (message.type === 'policy') hypervisor.setPolicy(message.policy);
  else if (message.type === 'leave') void leave();
  else domains.hear(message);
});
