/** The engine's end of one domain: a Machine, as the harness drives it. */
import { ControlledMachine } from '../process/controlled-machine.js';
import { CounterQueries } from '../process/counter-queries.js';
import type { FromHypervisor, ToHypervisor } from './messages.js';

/** The guest's name of the host, as in QEMU's user networking. */
const HOST_ADDRESS = '10.0.2.2';

/** How long the hypervisor may take to end a domain. */
const STOP_MS = 5000;

export interface DomainMachineOptions {
  key: number;
  /** As MachineConfig.id, for messages. */
  id: number;
  vcpus: number;
  peerPort?: number;
  facts: Record<string, string>;
  tell(message: ToHypervisor): void;
}

export class DomainMachine extends ControlledMachine {
  private readonly queries = new CounterQueries();
  private stopping: Promise<void> | undefined;
  private over: () => void = () => {};
  private readonly gone = new Promise<void>((resolve) => {
    this.over = resolve;
  });

  constructor(private readonly options: DomainMachineOptions) {
    super({
      name: `para domain ${options.id}`,
      facts: options.facts,
      ...(options.peerPort === undefined ? {} : { peer: `${HOST_ADDRESS}:${options.peerPort}` }),
    });
  }

  /** A message of the hypervisor about this domain. */
  hear(message: FromHypervisor): void {
    if (message.type === 'output') this.control.output(message.bytes);
    else if (message.type === 'doorbell') this.control.doorbell(message.which, message);
    else if (message.type === 'facts') Object.assign(this.facts, message.facts);
    else if (message.type === 'counters') this.queries.answer(message.id, message.counters);
    else if (message.type === 'refused' || message.type === 'ended')
      this.ended(message.type === 'refused' ? `could not be built: ${message.message}` : message.reason);
  }

  /** The domain is no more, or its hypervisor is not. */
  ended(reason: string): void {
    this.control.fail(reason);
    this.queries.end();
    this.over();
  }

  protected send(text: string): void {
    this.options.tell({ type: 'input', key: this.options.key, text });
  }

  override counters(): Promise<Record<string, number>> {
    const { failure } = this.control;
    if (failure !== undefined) return Promise.reject(failure);
    return this.queries.ask((id) => this.options.tell({ type: 'counters', key: this.options.key, id }));
  }

  stop(): Promise<void> {
    this.stopping ??= this.stopOnce();
    return this.stopping;
  }

  private async stopOnce(): Promise<void> {
    this.control.fail('was stopped');
    this.options.tell({ type: 'destroy', key: this.options.key });
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, STOP_MS);
    });
    await Promise.race([this.gone, late]); // a hypervisor that does not answer is ended by the engine's close()
    clearTimeout(timer);
  }
}

/** Its network card's address: 52:54:00:12:34:56 plus the machine's number. */
export function macOf(id: number): string {
  const low = (0x123456 + id) & 0xffffff;
  const bytes = [0x52, 0x54, 0, low >>> 16, (low >>> 8) & 255, low & 255];
  return bytes.map((byte) => byte.toString(16).padStart(2, '0')).join(':');
}
