/** The engine's end of one domain: a Machine, as the harness drives it. */
import { type Machine, MachineFailure, type PrepareArgs, type SampleResult, type StartArgs } from '../engine.js';
import { GuestControl } from '../process/guest-control.js';
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

export class DomainMachine implements Machine {
  readonly facts: Record<string, string>;
  readonly control: GuestControl;
  private readonly waiting = new Map<number, (counters: Record<string, number>) => void>();
  private nextId = 0;
  private stopping: Promise<void> | undefined;
  private over: () => void = () => {};
  private readonly gone = new Promise<void>((resolve) => {
    this.over = resolve;
  });

  constructor(private readonly options: DomainMachineOptions) {
    this.facts = { ...options.facts };
    this.control = new GuestControl({
      name: `para domain ${options.id}`,
      send: (text) => options.tell({ type: 'input', key: options.key, text }),
      ...(options.peerPort === undefined ? {} : { peer: `${HOST_ADDRESS}:${options.peerPort}` }),
    });
  }

  /** A message of the hypervisor about this domain. */
  hear(message: FromHypervisor): void {
    if (message.type === 'output') this.control.output(message.bytes);
    else if (message.type === 'doorbell') this.control.doorbell(message.which, message);
    else if (message.type === 'facts') Object.assign(this.facts, message.facts);
    else if (message.type === 'counters') this.answer(message.id, message.counters);
    else this.ended(message.type === 'refused' ? `could not be built: ${message.message}` : message.reason);
  }

  /** The domain is no more, or its hypervisor is not. */
  ended(reason: string): void {
    this.control.fail(reason);
    for (const id of [...this.waiting.keys()]) this.answer(id, {});
    this.over();
  }

  async booted(deadlineMs: number): Promise<void> {
    const banner = await this.control.booted(deadlineMs);
    if (banner.cpus === this.options.vcpus) return;
    this.control.fail(`counts ${banner.cpus} CPUs, but has ${this.options.vcpus}`);
    throw this.control.failure;
  }

  prepare(workload: string, args: PrepareArgs): Promise<void> {
    return this.control.prepare(workload, args);
  }

  start(args: StartArgs): void {
    this.control.start(args);
  }

  result(): Promise<SampleResult> {
    return this.control.result();
  }

  counters(): Promise<Record<string, number>> {
    const { failure } = this.control;
    if (failure !== undefined) return Promise.reject(failure);
    if (this.stopping !== undefined) return Promise.reject(new MachineFailure('the machine has been stopped'));
    return new Promise((resolve) => {
      const id = this.nextId++;
      this.waiting.set(id, resolve);
      this.options.tell({ type: 'counters', key: this.options.key, id });
    });
  }

  private answer(id: number, counters: Record<string, number>): void {
    this.waiting.get(id)?.(counters);
    this.waiting.delete(id);
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
