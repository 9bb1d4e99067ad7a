/** The engine's end of one VM's process: a Machine, as the harness drives it. */
import { withHostCpus } from '../../process/affinity.js';
import type { Child } from '../../process/child.js';
import { ControlledMachine } from '../../process/controlled-machine.js';
import { CounterQueries } from '../../process/counter-queries.js';
import type { VmConfig, VmEnd } from '../config.js';
import type { FromVm, ToVm } from './messages.js';
import { startVm } from './vm-program.js';

/** The guest's name of the host, as in QEMU's user networking. */
const HOST_ADDRESS = '10.0.2.2';

export interface VmProcessOptions {
  /** The engine's, for messages; absent: `full`. */
  name?: string;
  config: VmConfig;
  bootDeadlineMs: number;
  /** CPUs of the host for the whole process; absent: all. */
  hostCpus?: readonly number[];
  peerPort?: number;
  facts: Record<string, string>;
}

export class VmProcess extends ControlledMachine {
  readonly #child: Child;
  readonly #queries = new CounterQueries();

  private constructor(options: VmProcessOptions) {
    super({
      name: `${options.name ?? 'full'} VM ${options.config.id}`,
      facts: options.facts,
      ...(options.peerPort === undefined ? {} : { peer: `${HOST_ADDRESS}:${options.peerPort}` }),
    });
    this.#child = withHostCpus(options.hostCpus, () => startVm(options.config.harts));
    this.#child.process.on('message', (message) => this.#hear(message as FromVm));
    void this.#child.exited.then((phrase) => this.#processEnded(phrase));
  }

  /** Resolves when the guest has printed its banner; rejects with MachineFailure, and leaves no process behind. */
  static async boot(options: VmProcessOptions): Promise<VmProcess> {
    const vm = new VmProcess(options);
    const booted = vm.booted(options.config.harts, options.bootDeadlineMs);
    vm.#tell({ type: 'boot', config: { ...options.config, doorbells: true } });
    try {
      await booted;
      return vm;
    } catch (error) {
      await vm.stop();
      throw error;
    }
  }

  /** Of its process; 0 when that could not be started. */
  get pid(): number {
    return this.#child.process.pid ?? 0;
  }

  override counters(): Promise<Record<string, number>> {
    const { failure } = this.control;
    if (failure !== undefined) return Promise.reject(failure);
    return this.#queries.ask((id) => this.#tell({ type: 'counters', id }));
  }

  async stop(): Promise<void> {
    this.control.fail('was stopped');
    await this.#child.stop();
  }

  protected send(text: string): void {
    this.#tell({ type: 'input', text });
  }

  #tell(message: ToVm): void {
    this.#child.send(message);
  }

  #hear(message: FromVm): void {
    if (message.type === 'output') {
      this.control.output(message.bytes);
      this.#tell({ type: 'taken', bytes: message.bytes.length });
    } else if (message.type === 'doorbell') this.control.doorbell(message.which, message);
    else if (message.type === 'running') Object.assign(this.facts, message.facts);
    else if (message.type === 'refused') this.control.fail(`could not be built: ${message.message}`);
    else if (message.type === 'ended') this.control.fail(endPhrase(message.how));
    else if (message.type === 'counters') this.#queries.answer(message.id, message.counters);
  }

  #processEnded(phrase: string): void {
    this.#queries.end();
    const lines = this.#child.stderr.tail();
    this.control.fail(`lost its process (${phrase})${lines.length > 0 ? `: ${lines.join(' | ')}` : ''}`);
  }
}

function endPhrase(how: VmEnd): string {
  if (how.kind === 'reset') return 'reset itself';
  if (how.kind === 'fault') return `failed inside: ${how.message}`;
  return how.code === 0 ? 'powered itself off' : `crashed: the guest ended with status ${how.code}`;
}
