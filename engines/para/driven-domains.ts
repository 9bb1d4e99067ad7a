/** The domains that one other process drives by messages: the engine over IPC, or a conversation over the hypervisor's socket. */
import type { Domain } from './domain.js';
import type { Hypervisor } from './hypervisor.js';
import type { FromHypervisor, ToHypervisor } from './messages.js';

/** Messages about a domain. */
export type DomainMessage = Exclude<ToHypervisor, { type: 'policy' | 'leave' }>;

export class DrivenDomains {
  private readonly domains = new Map<number, Domain>();
  /** Being created; true: destroyed meanwhile. */
  private readonly creating = new Map<number, boolean>();
  private closed: (() => void) | undefined;

  constructor(
    private readonly hypervisor: Hypervisor,
    private readonly tell: (message: FromHypervisor) => void,
  ) {}

  /** Never throws. */
  hear(message: DomainMessage): void {
    const { key } = message;
    const domain = this.domains.get(key);
    if (message.type === 'create') void this.create(message);
    else if (message.type === 'input') domain?.feed(Buffer.from(message.text, 'latin1'));
    else if (message.type === 'taken') domain?.outputTaken(message.bytes);
    else if (message.type === 'counters') {
      this.tell({ type: 'counters', key, id: message.id, counters: domain?.counters() ?? {} });
    } else this.destroy(key);
  }

  private async create({ key, config }: Extract<DomainMessage, { type: 'create' }>): Promise<void> {
    const { tell } = this;
    if (this.domains.has(key) || this.creating.has(key)) {
      tell({ type: 'refused', key, message: `there is a domain ${key} of this process already` });
      return;
    }
    this.creating.set(key, false);
    try {
      const domain = await this.hypervisor.create(config, {
        output: (bytes) => tell({ type: 'output', key, bytes }),
        doorbell: (stamp) => tell({ type: 'doorbell', key, ...stamp }),
        facts: (facts) => tell({ type: 'facts', key, facts }),
        ended: (reason, how, counters) => {
          this.domains.delete(key);
          tell({ type: 'ended', key, reason, how, counters });
          this.lookForEnd();
        },
      });
      this.domains.set(key, domain);
      tell({ type: 'created', key, domain: domain.id });
      if (this.creating.get(key)) domain.destroy();
    } catch (error) {
      tell({ type: 'refused', key, message: error instanceof Error ? error.message : String(error) });
    } finally {
      this.creating.delete(key);
      this.lookForEnd();
    }
  }

  private destroy(key: number): void {
    this.domains.get(key)?.destroy();
    if (this.creating.has(key)) this.creating.set(key, true);
  }

  /** Its process is gone, and so are they. Fulfilled when all have ended. */
  close(): Promise<void> {
    for (const key of [...this.domains.keys(), ...this.creating.keys()]) this.destroy(key);
    return new Promise((resolve) => {
      this.closed = resolve;
      this.lookForEnd();
    });
  }

  private lookForEnd(): void {
    if (this.domains.size + this.creating.size === 0) this.closed?.();
  }
}
