/**
 * Bare metal: the guest program as a native process of the host, one process for a VM, one thread for a vCPU. It is the
 * reference of every percent, so nothing stands between the workload and the kernel.
 *
 * The process stamps its doorbells itself, by the host's CLOCK_MONOTONIC, as a vCPU's thread of the other engines does.
 * Stamped by the reader of the pipe they came up to 5 ms late when the guest's threads filled the cores, and always late
 * at the start, which made bare metal look up to 2 % faster than it is.
 */
import { type GuestImage, nativeImage } from '../../workloads/images.js';
import { ConsoleLog } from '../backends/console.js';
import type { Engine, Machine, MachineConfig, Probe } from '../engine.js';
import { withHostCpus } from '../process/affinity.js';
import { type Child, startNative } from '../process/child.js';
import { ControlledMachine } from '../process/controlled-machine.js';
import { DoorbellStream } from './doorbell-stream.js';
import { ScriptMachine } from './script-machine.js';

export class BareEngine implements Engine {
  readonly kind = 'bare metal';
  readonly name: string;
  readonly summary: string;
  readonly runsSystems: boolean;

  /** `vectorized: false`: the same sources built without automatic vectorization, as a narrower ISA has to run them. */
  constructor(private readonly options: { vectorized: boolean } = { vectorized: true }) {
    this.name = options.vectorized ? 'bare' : 'bare-novec';
    this.runsSystems = options.vectorized; // their programs are as Debian built them
    this.summary = options.vectorized
      ? 'bare metal: the workloads as native processes of the host'
      : 'bare metal built without vectorization: what the narrower ISA takes, apart from virtualization';
  }

  async probe(): Promise<Probe> {
    try {
      this.image();
      return { ok: true };
    } catch (error) {
      return { ok: false, reason: (error as Error).message };
    }
  }

  async boot(config: MachineConfig): Promise<Machine> {
    const machine =
      config.guest === undefined
        ? new BareMachine(this.name, this.image(), config)
        : new ScriptMachine(this.name, config.guest, config);
    try {
      await machine.booted(config.vcpus, config.bootDeadlineMs);
    } catch (error) {
      await machine.stop();
      throw error;
    }
    return machine;
  }

  async close(): Promise<void> {}

  private image(): GuestImage {
    return nativeImage({ vectorized: this.options.vectorized });
  }
}

/** Arguments of the native image for a machine. Memory is the host's: a process takes what its workload needs. */
function imageArguments({ vcpus, disk, peer, waiting }: MachineConfig): string[] {
  return [
    'guest',
    '--stamp',
    ...['--vcpus', String(vcpus)],
    ...['--poll-us', String(waiting.pollUs)],
    ...(disk === undefined ? [] : ['--disk', disk.path, ...(disk.direct ? ['--direct'] : [])]),
    ...(peer === undefined ? [] : ['--peer', String(peer.port)]),
  ];
}

class BareMachine extends ControlledMachine {
  private readonly child: Child;

  constructor(name: string, image: GuestImage, config: MachineConfig) {
    super({
      name: `${name} VM ${config.id}`,
      facts: { image: `sha256:${image.sha256}`, vCPU: 'a thread of a native process' },
      ...(config.peer === undefined ? {} : { peer: `127.0.0.1:${config.peer.port}` }),
    });
    this.child = withHostCpus(config.hostCpus, () => startNative(image.path, imageArguments(config)));
    const facts = new ConsoleLog({ lines: 0 }, (line) => this.learn(line));
    const stream = new DoorbellStream({
      output: (bytes) => {
        facts.write(bytes); // first: a fact comes before the banner that ends booted()
        this.control.output(bytes);
      },
      doorbell: (which, stamp) => this.control.doorbell(which, stamp),
      nonsense: (text) => this.control.fail(`stamped its doorbells with "${text}"`),
    });
    this.child.process.stdout?.on('data', (chunk: Buffer) => stream.push(chunk));
    this.child.exited.then((how) => this.control.fail(`ended: ${how}${quote(this.child.stderr.tail())}`));
  }

  /** `fact block io_uring, O_DIRECT`: what the guest found, before its banner. */
  private learn(line: string): void {
    const fact = /^fact ([a-z]+) ([ -~]{1,80})$/.exec(line);
    if (fact !== null) this.facts[fact[1]] = fact[2];
  }

  protected send(text: string): void {
    this.child.process.stdin?.write(text);
  }

  stop(): Promise<void> {
    return this.child.stop();
  }
}

function quote(lines: string[]): string {
  return lines.length === 0 ? '' : ` (${lines.join(' | ')})`;
}

export const bare: Engine = new BareEngine();
export const bareNovec: Engine = new BareEngine({ vectorized: false });
