/** The engine's end of one VM's process: a Machine, as the harness drives it. */
import { type Machine, MachineFailure, type PrepareArgs, type SampleResult, type StartArgs } from '../../engine.js';
import { withHostCpus } from '../../process/affinity.js';
import { type Child, startProgram } from '../../process/child.js';
import { GuestControl } from '../../process/guest-control.js';
import type { VmConfig, VmEnd } from '../config.js';
import type { FromVm, ToVm } from './messages.js';
import { vmMain } from './vm-program.js';

/** The guest's name of the host, as in QEMU's user networking. */
const HOST_ADDRESS = '10.0.2.2';

/** The main thread makes little garbage, but V8 lets its young generation grow to 48 MiB where it may. */
const NODE_OPTIONS = ['--max-semi-space-size=1', '--expose-gc'];

/** For glibc: V8's optimizing compiler takes 30 MiB for the interpreter, which go back to the host when it is done. */
const ALLOCATOR = { MALLOC_TRIM_THRESHOLD_: '131072' };

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

export class VmProcess implements Machine {
  readonly facts: Record<string, string>;
  readonly #child: Child;
  readonly #control: GuestControl;
  readonly #waiting = new Map<number, (counters: Record<string, number>) => void>();
  #nextId = 0;
  #stopped = false;

  private constructor(options: VmProcessOptions) {
    this.facts = { ...options.facts };
    this.#child = withHostCpus(options.hostCpus, () =>
      startProgram(vmMain(), [String(options.config.harts)], NODE_OPTIONS, ALLOCATOR),
    );
    this.#control = new GuestControl({
      name: `${options.name ?? 'full'} VM ${options.config.id}`,
      send: (text) => this.#tell({ type: 'input', text }),
      ...(options.peerPort === undefined ? {} : { peer: `${HOST_ADDRESS}:${options.peerPort}` }),
    });
    this.#child.process.on('message', (message) => this.#hear(message as FromVm));
    void this.#child.exited.then((phrase) => this.#processEnded(phrase));
  }

  /** Resolves when the guest has printed its banner; rejects with MachineFailure, and leaves no process behind. */
  static async boot(options: VmProcessOptions): Promise<VmProcess> {
    const vm = new VmProcess(options);
    const booted = vm.#control.booted(options.bootDeadlineMs);
    vm.#tell({ type: 'boot', config: options.config });
    try {
      const banner = await booted;
      if (banner.cpus !== options.config.harts) {
        vm.#control.fail(`counts ${banner.cpus} CPUs, but has ${options.config.harts}`);
        throw vm.#control.failure;
      }
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

  prepare(workload: string, args: PrepareArgs): Promise<void> {
    return this.#control.prepare(workload, args);
  }

  start(args: StartArgs): void {
    this.#control.start(args);
  }

  result(): Promise<SampleResult> {
    return this.#control.result();
  }

  counters(): Promise<Record<string, number>> {
    const { failure } = this.#control;
    if (failure !== undefined) return Promise.reject(failure);
    if (this.#stopped) return Promise.reject(new MachineFailure('the machine has been stopped'));
    return new Promise((resolve) => {
      const id = this.#nextId++;
      this.#waiting.set(id, resolve);
      this.#tell({ type: 'counters', id });
    });
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#control.fail('was stopped');
    await this.#child.stop();
  }

  #tell(message: ToVm): void {
    this.#child.send(message);
  }

  #hear(message: FromVm): void {
    if (message.type === 'output') this.#control.output(message.bytes);
    else if (message.type === 'doorbell') this.#control.doorbell(message.which, message);
    else if (message.type === 'running') Object.assign(this.facts, message.facts);
    else if (message.type === 'refused') this.#control.fail(`could not be built: ${message.message}`);
    else if (message.type === 'ended') this.#control.fail(endPhrase(message.how));
    else this.#answer(message.id, message.counters);
  }

  #answer(id: number, counters: Record<string, number>): void {
    this.#waiting.get(id)?.(counters);
    this.#waiting.delete(id);
  }

  #processEnded(phrase: string): void {
    const lines = this.#child.stderr.tail();
    this.#control.fail(`lost its process (${phrase})${lines.length > 0 ? `: ${lines.join(' | ')}` : ''}`);
  }
}

function endPhrase(how: VmEnd): string {
  if (how.kind === 'reset') return 'reset itself';
  if (how.kind === 'fault') return `failed inside: ${how.message}`;
  return how.code === 0 ? 'powered itself off' : `crashed: the guest ended with status ${how.code}`;
}
