/** A domain whose console is the user's terminal. A guest that reboots is a new domain, as in Xen. */
import type { IoPolicy } from '../io-policy.js';
import type { ConsoleOutput, RunEnd, RunningMachine } from '../run.js';
import type { HypervisorChannel } from './channel.js';
import type { DomainConfig, FromHypervisor, ToHypervisor } from './messages.js';

/** A domain ends within the hypervisor's grace of 250 ms, with what its disk has under way. */
const STOP_MS = 3000;
/** Key of messages that are about the hypervisor as a whole. */
const NO_DOMAIN = -1;

export interface UserDomainOptions {
  noReboot: boolean;
  output: ConsoleOutput;
  /** For the hypervisor as a whole. */
  policy?: IoPolicy;
  /** It goes on by itself when it has been created. */
  detach?: boolean;
}

export class UserDomain implements RunningMachine {
  readonly created: Promise<void>;
  readonly ended: Promise<RunEnd>;
  #id = '';
  #key = 0;
  #created: () => void = () => {};
  #refused: (error: Error) => void = () => {};
  #end: (end: RunEnd) => void = () => {};
  #gone: () => void = () => {};
  readonly #over = new Promise<void>((resolve) => {
    this.#gone = resolve;
  });
  /** domains: of others, that go on. */
  #others: (domains: number) => void = () => {};
  #counters: Record<string, number> = {};
  #stopping = false;

  constructor(
    private readonly channel: HypervisorChannel,
    private readonly config: DomainConfig,
    private readonly options: UserDomainOptions,
  ) {
    this.created = new Promise((resolve, reject) => {
      this.#created = resolve;
      this.#refused = reject;
    });
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
    channel.listen((message) => this.#hear(message));
    void channel.lost.then((problem) => this.#lost(problem));
    const { policy } = options;
    if (policy !== undefined) this.#send({ type: 'policy', key: NO_DOMAIN, policy });
    this.#create();
  }

  get id(): string {
    return this.#id;
  }

  #create(): void {
    const { detach = false, noReboot } = this.options;
    const detached = detach ? { detached: { reboots: !noReboot } } : {};
    this.#send({ type: 'create', key: this.#key, config: this.config, ...detached });
  }

  #send(message: ToHypervisor): boolean {
    return this.channel.send(message);
  }

  input(bytes: Uint8Array): void {
    this.#send({ type: 'input', key: this.#key, text: Buffer.from(bytes).toString('latin1') });
  }

  counters(): Record<string, number> {
    return this.#counters;
  }

  async stop(): Promise<void> {
    await this.#destroy();
    await this.channel.close();
  }

  async #destroy(): Promise<void> {
    this.#stopping = true;
    if (this.options.detach || !this.#send({ type: 'destroy', key: this.#key })) return;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, STOP_MS);
    });
    await Promise.race([this.#over, late]);
    clearTimeout(timer);
  }

  async outlast(say: (sentence: string) => void): Promise<void> {
    if (!this.channel.owned) return;
    await this.#destroy();
    const alone = new Promise<void>((resolve) => {
      this.#others = (domains) => (domains === 0 ? resolve() : say(waitingText(this.channel.pid, domains)));
    });
    if (this.#send({ type: 'leave', key: NO_DOMAIN })) await Promise.race([alone, this.channel.lost]);
  }

  #hear(message: FromHypervisor): void {
    const { key } = message;
    if (message.type === 'output') {
      const { bytes } = message;
      this.options.output(bytes, () => void this.#send({ type: 'taken', key, bytes: bytes.length }));
    } else if (message.type === 'created') {
      this.#id = `${this.channel.pid}.${message.domain}`;
      this.#created();
    } else if (message.type === 'refused') this.#isRefused(message.message);
    else if (message.type === 'ended') this.#domainEnded(message);
    else if (message.type === 'others') this.#others(message.domains);
  }

  #isRefused(problem: string): void {
    this.#refused(new Error(problem));
    this.#end({ status: 1, problem }); // of a domain that had rebooted
    this.#gone();
  }

  #domainEnded({ reason, how, counters }: Extract<FromHypervisor, { type: 'ended' }>): void {
    this.#created();
    for (const [name, value] of Object.entries(counters)) this.#counters[name] = (this.#counters[name] ?? 0) + value;
    if (how === 'reboot' && !this.options.noReboot && !this.#stopping) {
      this.#key++;
      this.#create();
      return;
    }
    this.#end(how === 'crash' ? { status: 1, problem: `the guest ${reason}` } : { status: 0 });
    this.#gone();
  }

  #lost(problem: string): void {
    this.#refused(new Error(problem));
    this.#end({ status: 1, problem });
    this.#gone();
  }
}

const waitingText = (pid: number, domains: number): string =>
  `the domain has ended, and its hypervisor (process ${pid}) goes on until ${
    domains === 1 ? 'another domain has' : `${domains} other domains have`
  } ended too; Ctrl-C ends it now, and them`;
