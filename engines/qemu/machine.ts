/** A machine under QEMU, as the harness drives it: one process of QEMU's, its serial port, the control protocol. */
import type { Machine, MachineConfig, PrepareArgs, SampleResult, StartArgs } from '../engine.js';
import { withHostCpus } from '../process/affinity.js';
import { type Child, startNative } from '../process/child.js';
import { GuestControl } from '../process/guest-control.js';
import { SerialConsole } from './console.js';

/** The guest's name of the host in QEMU's user networking. */
const HOST_ADDRESS = '10.0.2.2';

export interface QemuMachineOptions {
  /** The engine's. */
  name: string;
  config: MachineConfig;
  facts: Record<string, string>;
  /** Program and arguments, for a serial port that sends to this UDP port. */
  command(consolePort: number): string[];
}

export class QemuMachine implements Machine {
  readonly facts: Record<string, string>;
  readonly #console: SerialConsole;
  readonly #control: GuestControl;
  readonly #child: Child;
  readonly #totals: Record<string, number> = {};
  #closed: Promise<void> | undefined;

  private constructor({ name, config, facts, command }: QemuMachineOptions) {
    this.facts = { ...facts };
    this.#control = new GuestControl({
      name: `${name} VM ${config.id}`,
      send: (text) => {
        if (this.#closed === undefined) this.#console.send(text);
      },
      ...(config.peer === undefined ? {} : { peer: `${HOST_ADDRESS}:${config.peer.port}` }),
    });
    this.#console = new SerialConsole({
      output: (bytes) => this.#control.output(bytes),
      doorbell: (which, stamp, byKernel) => {
        this.facts.doorbells = byKernel ? 'stamped by the kernel as the guest rings' : 'stamped by the reading thread';
        this.#control.doorbell(which, stamp);
      },
      broken: (why) => this.#control.fail(why),
    });
    const [program, ...args] = command(this.#console.port);
    this.#child = withHostCpus(config.hostCpus, () => startNative(program, args));
    this.#child.process.stdout?.resume();
    this.#console.attach(this.#child.process.pid ?? 0);
    void this.#child.exited.then((how) => this.#control.fail(`ended: ${how}${quote(this.#child.stderr.tail())}`));
  }

  /** Resolves when the guest has printed its banner; rejects with MachineFailure, and leaves no process behind. */
  static async boot(options: QemuMachineOptions): Promise<QemuMachine> {
    const machine = new QemuMachine(options);
    const { vcpus, bootDeadlineMs } = options.config;
    try {
      const banner = await machine.#control.booted(bootDeadlineMs);
      if (banner.cpus === vcpus) return machine;
      machine.#control.fail(`counts ${banner.cpus} CPUs, but has ${vcpus}`);
      throw machine.#control.failure;
    } catch (error) {
      await machine.stop();
      throw error;
    }
  }

  prepare(workload: string, args: PrepareArgs): Promise<void> {
    return this.#control.prepare(workload, args);
  }

  start(args: StartArgs): void {
    this.#control.start(args);
  }

  async result(): Promise<SampleResult> {
    const result = await this.#control.result();
    for (const [name, value] of Object.entries(result.counters)) this.#totals[name] = (this.#totals[name] ?? 0) + value;
    return result;
  }

  /** What the guest counted. QEMU tells nothing of its own that could be read without disturbing it. */
  async counters(): Promise<Record<string, number>> {
    return { ...this.#totals };
  }

  stop(): Promise<void> {
    this.#closed ??= this.#end();
    return this.#closed;
  }

  async #end(): Promise<void> {
    this.#control.fail('was stopped');
    await this.#child.stop();
    await this.#console.close();
  }
}

function quote(lines: string[]): string {
  return lines.length === 0 ? '' : ` (${lines.join(' | ')})`;
}
