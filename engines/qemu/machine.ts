/**
 * A machine under QEMU, as the harness drives it: one process of QEMU's, its serial port, the control protocol. Its counters are
 * the guest's: QEMU tells nothing of its own that could be read without disturbing it.
 */
import type { MachineConfig } from '../engine.js';
import { withHostCpus } from '../process/affinity.js';
import { type Child, startNative } from '../process/child.js';
import { ControlledMachine } from '../process/controlled-machine.js';
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

export class QemuMachine extends ControlledMachine {
  readonly #console: SerialConsole;
  readonly #child: Child;
  #closed: Promise<void> | undefined;

  private constructor({ name, config, facts, command }: QemuMachineOptions) {
    super({
      name: `${name} VM ${config.id}`,
      facts,
      ...(config.peer === undefined ? {} : { peer: `${HOST_ADDRESS}:${config.peer.port}` }),
    });
    this.#console = new SerialConsole({
      output: (bytes) => this.control.output(bytes),
      doorbell: (which, stamp, byKernel) => {
        this.facts.doorbells = byKernel ? 'stamped by the kernel as the guest rings' : 'stamped by the reading thread';
        this.control.doorbell(which, stamp);
      },
      broken: (why) => this.control.fail(why),
    });
    const [program, ...args] = command(this.#console.port);
    this.#child = withHostCpus(config.hostCpus, () => startNative(program, args));
    this.#child.process.stdout?.resume();
    this.#console.attach(this.#child.process.pid ?? 0);
    void this.#child.exited.then((how) => this.control.fail(`ended: ${how}${quote(this.#child.stderr.tail())}`));
  }

  /** Resolves when the guest has printed its banner; rejects with MachineFailure, and leaves no process behind. */
  static async boot(options: QemuMachineOptions): Promise<QemuMachine> {
    const machine = new QemuMachine(options);
    const { vcpus, bootDeadlineMs } = options.config;
    try {
      await machine.booted(vcpus, bootDeadlineMs);
      return machine;
    } catch (error) {
      await machine.stop();
      throw error;
    }
  }

  protected send(text: string): void {
    if (this.#closed === undefined) this.#console.send(text);
  }

  stop(): Promise<void> {
    this.#closed ??= this.#end();
    return this.#closed;
  }

  async #end(): Promise<void> {
    this.control.fail('was stopped');
    await this.#child.stop();
    await this.#console.close();
  }
}

function quote(lines: string[]): string {
  return lines.length === 0 ? '' : ` (${lines.join(' | ')})`;
}
