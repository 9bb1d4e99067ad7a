/** The domains that a conversation over the hypervisor's socket has; they end with it, but for detached ones. */
import { DrivenDomains } from '../driven-domains.js';
import type { Hypervisor } from '../hypervisor.js';
import type { DomainConfig, FromHypervisor } from '../messages.js';
import type { AttachedRequest } from './attached-protocol.js';

type Create = Extract<AttachedRequest, { type: 'create' }>;

export class Attachment {
  private domains: DrivenDomains | undefined;
  private closed = false;

  /**
   * @param open whether there may be such domains
   * @param say sends an object as a line
   */
  constructor(
    private readonly hypervisor: Hypervisor,
    private readonly open: boolean,
    private readonly say: (line: object) => void,
  ) {}

  /** Never throws. */
  hear(request: AttachedRequest): void {
    if (request.type !== 'create') this.domains?.hear(request);
    else if (!this.closed) this.create(request);
  }

  private create(request: Create): void {
    const { key, config, detached } = request;
    try {
      if (!this.open) throw new Error("this hypervisor is a measurement's (virtax bench): take one of virtax run");
      if (detached === undefined) this.enter().hear({ type: 'create', key, config });
      else void this.createDetached(key, config, detached.reboots);
    } catch (error) {
      this.refuse(key, error);
    }
  }

  private refuse(key: number, error: unknown): void {
    this.say({ type: 'refused', key, message: error instanceof Error ? error.message : String(error) });
  }

  /** @throws Error when the hypervisor is ending */
  private enter(): DrivenDomains {
    if (this.domains === undefined) {
      this.hypervisor.residents.enter();
      this.domains = new DrivenDomains(this.hypervisor, (message) => this.tell(message));
    }
    return this.domains;
  }

  private tell(message: FromHypervisor): void {
    const { type, key } = message;
    if (type === 'output') this.say({ type, key, text: Buffer.from(message.bytes).toString('latin1') });
    else if (type === 'created' || type === 'refused' || type === 'ended') this.say(message);
  }

  private async createDetached(key: number, config: DomainConfig, reboots: boolean): Promise<void> {
    try {
      const domain = await startDetached(this.hypervisor, config, reboots);
      this.say({ type: 'created', key, domain });
    } catch (error) {
      this.refuse(key, error);
    }
  }

  /** The conversation is over. */
  close(): void {
    this.closed = true;
    void this.domains?.close().then(() => this.hypervisor.residents.leave());
  }
}

/** Nobody reads its console. Fulfilled with its id. */
async function startDetached(hypervisor: Hypervisor, config: DomainConfig, reboots: boolean): Promise<number> {
  hypervisor.residents.enter();
  try {
    const { outputWindow, ...unread } = config;
    const domain = await hypervisor.create(unread, {
      output: () => {},
      doorbell: () => {},
      facts: () => {},
      ended: (_reason, how) => {
        const again = how === 'reboot' && reboots;
        if (again) startDetached(hypervisor, config, reboots).catch(() => {}); // enters before this one leaves
        hypervisor.residents.leave();
      },
    });
    return domain.id;
  } catch (error) {
    hypervisor.residents.leave();
    throw error;
  }
}
