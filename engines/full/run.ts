/** `virtax run` on `full`: a VM's process, whose console is the user's terminal. */
import { diskFile } from '../disk-file.js';
import type { Child } from '../process/child.js';
import {
  type ConsoleOutput,
  type RunDisk,
  type RunEnd,
  type RunningMachine,
  RunRefused,
  type RunRequest,
} from '../run.js';
import type { VmConfig, VmDisk, VmEnd } from './config.js';
import type { FromVm, ToVm } from './vm/messages.js';
import { startVm } from './vm/vm-program.js';

/** What most guests bring a driver for. */
const DEFAULT_NIC = 'e1000';

/** Where most guests look for their disk. */
const DEFAULT_BUS = 'scsi';

/** Harts that do not listen are ended by force within a second. */
const STOP_MS = 3000;

/** Rejects with RunRefused when the machine cannot be had. */
export async function run(request: RunRequest, output: ConsoleOutput): Promise<RunningMachine> {
  let machine: UserMachine | undefined;
  try {
    const config = vmConfig(request);
    machine = new UserMachine(config.harts, output);
    await machine.boot(config);
    return machine;
  } catch (error) {
    await machine?.stop();
    throw new RunRefused(error instanceof Error ? error.message : String(error));
  }
}

/** A VM's process, as its user sees it. What goes wrong inside of it is on this process's own stderr. */
class UserMachine implements RunningMachine {
  readonly ended: Promise<RunEnd>;
  readonly #child: Child;
  #end: (end: RunEnd) => void = () => {};
  #running: () => void = () => {};
  #refused: (error: Error) => void = () => {};
  #stopped: () => void = () => {};
  #counters: Record<string, number> = {};

  constructor(
    harts: number,
    private readonly output: ConsoleOutput,
  ) {
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
    this.#child = startVm(harts, { stderr: 'inherited' });
    this.#child.process.on('message', (message) => this.#hear(message as FromVm));
    void this.#child.exited.then((phrase) => this.#lost(phrase));
  }

  /** Resolves when the harts run. */
  boot(config: VmConfig): Promise<void> {
    this.#child.send({ type: 'boot', config } satisfies ToVm);
    return new Promise((resolve, reject) => {
      this.#running = resolve;
      this.#refused = reject;
    });
  }

  input(bytes: Uint8Array): void {
    this.#child.send({ type: 'input', text: Buffer.from(bytes).toString('latin1') } satisfies ToVm);
  }

  counters(): Record<string, number> {
    return this.#counters;
  }

  async stop(): Promise<void> {
    const stopped = new Promise<void>((resolve) => {
      this.#stopped = resolve;
    });
    if (this.#child.send({ type: 'stop' } satisfies ToVm)) {
      await Promise.race([stopped, this.#child.endsWithin(STOP_MS)]);
    }
    await this.#child.stop();
  }

  #hear(message: FromVm): void {
    if (message.type === 'output') {
      const { bytes } = message;
      this.output(bytes, () => void this.#child.send({ type: 'taken', bytes: bytes.length } satisfies ToVm));
    } else if (message.type === 'running') this.#running();
    else if (message.type === 'refused') this.#refused(new Error(message.message));
    else if (message.type === 'ended') this.#ends(runEnd(message.how));
    else if (message.type === 'stopped') {
      this.#counters = message.counters;
      this.#stopped();
    }
  }

  /** A machine may end before its harts run, by a disk that cannot be opened. */
  #ends(end: RunEnd): void {
    this.#running();
    this.#end(end);
  }

  #lost(phrase: string): void {
    this.#ends({ status: 1, problem: `its process was lost (${phrase})` });
    this.#stopped();
  }
}

function vmConfig(request: RunRequest): VmConfig {
  const { vcpus, nic, disks, maxVcpus, maxMemoryBytes, policy, name, hypervisor, detach, ...same } = request;
  if (policy !== undefined) {
    throw new Error(
      'the engine full has no queue of requests to put in order: leave out --policy, or take --engine para',
    );
  }
  if (name !== undefined) throw new Error('a machine of the engine full is in no list of domains: leave out --name');
  if (hypervisor !== undefined || detach) {
    throw new Error('a machine of the engine full is a process of its own: leave out --hypervisor and --detach');
  }
  if (maxVcpus !== undefined || maxMemoryBytes !== undefined) {
    throw new Error('the engine full has no hot plug: leave out --max-vcpus and --max-memory');
  }
  return {
    ...same,
    id: 0,
    harts: vcpus,
    disks: disks.map(vmDisk),
    ...(nic === undefined ? {} : { nic: { ...nic, model: nic.model ?? DEFAULT_NIC } }),
    pollUs: 0,
  };
}

function vmDisk(disk: RunDisk): VmDisk {
  const { path, interface: bus = DEFAULT_BUS } = disk;
  if (disk.media === 'cdrom' && bus !== 'scsi') {
    throw new Error(`the disk ${path}: a CD-ROM is a SCSI device; write if=scsi`);
  }
  const readonly = disk.readonly || disk.media === 'cdrom';
  const { bytes } = diskFile(path, {
    readonly,
    wholeSectors: disk.media === 'disk',
    ...(readonly ? {} : { mend: '",readonly" behind it opens it for reading alone' }),
  });
  return { ...disk, interface: bus, readonly, bytes, direct: false };
}

function runEnd(how: VmEnd): RunEnd {
  if (how.kind === 'fault') return { status: 1, problem: how.message };
  return { status: how.kind === 'poweroff' ? how.code : 0 };
}
