/** What the domains of all hypervisors do now: differences of two lists of each. */
import type { DomainList, DomainSummary } from '../../engines/para/management/protocol.js';
import { type HypervisorClient, ManagementFailure } from './client.js';

export interface DomainUsage extends DomainSummary {
  /** `PID.DOMAIN`: as the command line names it. */
  id: string;
  /** Rates over the time between the lists; null in the first list of a domain. Percent of one processor. */
  cpuPercent: number | null;
  stealPercent: number | null;
  blockRequestsPerSecond: number | null;
  blockBytesPerSecond: number | null;
  netFramesPerSecond: number | null;
  netBytesPerSecond: number | null;
  /** Mean time that a disk request waited in the I/O queue, ms; null where none was made. */
  blockWaitMs: number | null;
}

/** Of one hypervisor's domains. `before`: an earlier list of the same. */
export function usageOf(pid: number, now: DomainList, before?: DomainList): DomainUsage[] {
  const seconds = before === undefined ? 0 : now.seconds - before.seconds;
  return now.domains.map((domain) => {
    const was = before?.domains.find((each) => each.domain === domain.domain && each.name === domain.name);
    const rate = (field: keyof DomainSummary, scale = 1): number | null => {
      const [from, to] = [was?.[field], domain[field]];
      if (typeof from !== 'number' || typeof to !== 'number' || seconds <= 0 || to < from) return null;
      return (scale * (to - from)) / seconds;
    };
    return {
      id: `${pid}.${domain.domain}`,
      ...domain,
      cpuPercent: rate('cpuSeconds', 100),
      stealPercent: rate('stealSeconds', 100),
      blockRequestsPerSecond: rate('blockRequests'),
      blockBytesPerSecond: rate('blockBytes'),
      netFramesPerSecond: rate('netFrames'),
      netBytesPerSecond: rate('netBytes'),
      blockWaitMs: quotient(rate('blockWaitSeconds', 1000), rate('blockRequests')),
    };
  });
}

const quotient = (a: number | null, b: number | null): number | null => (a === null || !b ? null : a / b);

/** Keeps the last list of each hypervisor. */
export class UsageWatch {
  private lists = new Map<number, DomainList>();

  async look(clients: readonly HypervisorClient[]): Promise<DomainUsage[]> {
    const lists = new Map<number, DomainList>();
    await Promise.all(
      clients.map(async (client) => {
        const list = await listOf(client);
        if (list !== undefined) lists.set(client.pid, list);
      }),
    );
    const before = this.lists;
    this.lists = lists;
    return clients.flatMap(({ pid }) => {
      const list = lists.get(pid);
      return list === undefined ? [] : usageOf(pid, list, before.get(pid));
    });
  }
}

/** undefined of one that ends meanwhile. */
async function listOf(client: HypervisorClient): Promise<DomainList | undefined> {
  try {
    return await client.ask({ command: 'list' });
  } catch (error) {
    if (error instanceof ManagementFailure) return undefined;
    throw error;
  }
}
