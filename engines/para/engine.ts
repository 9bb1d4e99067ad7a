/** The engine `para`: paravirtualization, domains on a thin hypervisor. One hypervisor process for all machines. */
import { paraImage } from '../../workloads/images.js';
import { type Engine, type Machine, type MachineConfig, MachineFailure, type Probe } from '../engine.js';
import { type Child, startNode } from '../process/child.js';
import { DomainMachine, macOf } from './machine.js';
import { removeSocket } from './management/folder.js';
import type { DomainConfig, FromHypervisor, ToHypervisor } from './messages.js';
import { run } from './run.js';

const MIB = 2 ** 20;
/** The guest's image says what it can use at most (workloads/build/ports.ts). */
const MAX_MEMORY = 1024 * MIB;
const MIN_MEMORY = 8 * MIB;
const STOP_GRACE_MS = 2000;
/** Key of messages that are about the hypervisor as a whole. */
const NO_MACHINE = -1;

/** The hypervisor's process, as long as it lives. */
class HypervisorProcess {
  private readonly child: Child;
  private readonly machines = new Map<number, DomainMachine>();
  private nextKey = 0;

  constructor() {
    this.child = startNode(new URL('./hypervisor-main.js', import.meta.url));
    this.child.process.on('message', (message) => this.hear(message as FromHypervisor));
    void this.child.exited.then((phrase) => this.lost(phrase));
  }

  get alive(): boolean {
    return this.child.ended === undefined;
  }

  machine(config: MachineConfig, facts: Record<string, string>): { machine: DomainMachine; key: number } {
    const key = this.nextKey++;
    const machine = new DomainMachine({
      key,
      id: config.id,
      vcpus: config.vcpus,
      facts,
      tell: (message) => this.tell(message),
      ...(config.peer === undefined ? {} : { peerPort: config.peer.port }),
    });
    this.machines.set(key, machine);
    return { machine, key };
  }

  tell(message: ToHypervisor): void {
    const machine = this.machines.get(message.key);
    if (!this.child.send(message)) machine?.ended('lost its hypervisor');
  }

  private hear(message: FromHypervisor): void {
    this.machines.get(message.key)?.hear(message);
    if (message.type === 'ended' || message.type === 'refused') this.machines.delete(message.key);
  }

  private lost(phrase: string): void {
    const lines = this.child.stderr.tail();
    const said = lines.length > 0 ? `: ${lines.join(' | ')}` : '';
    for (const machine of this.machines.values()) machine.ended(`lost its hypervisor (${phrase})${said}`);
    this.machines.clear();
  }

  async close(): Promise<void> {
    const stopping = Promise.all([...this.machines.values()].map((machine) => machine.stop()));
    await Promise.race([stopping, this.child.endsWithin(STOP_GRACE_MS)]);
    await this.child.stop();
    removeSocket(this.child.process.pid ?? 0);
  }
}

let hypervisor: HypervisorProcess | undefined;

export const para: Engine = {
  name: 'para',
  kind: 'paravirtualization',
  summary:
    'a guest OS that knows the hypervisor: hypercalls, event channels, grants and shared rings, run directly as WebAssembly',
  probe,
  boot,
  run,
  applyPolicy(policy) {
    current().tell({ type: 'policy', key: NO_MACHINE, policy });
  },
  async close() {
    const closing = hypervisor;
    hypervisor = undefined;
    await closing?.close();
  },
};

function current(): HypervisorProcess {
  if (hypervisor === undefined || !hypervisor.alive) hypervisor = new HypervisorProcess();
  return hypervisor;
}

async function probe(): Promise<Probe> {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major < 20 || (major === 20 && minor < 19)) {
    return { ok: false, reason: `Node ${process.versions.node} is too old: install Node 20.19 or later` };
  }
  try {
    new WebAssembly.Memory({ initial: 1, maximum: 1024, shared: true });
    paraImage();
  } catch (error) {
    return { ok: false, reason: error instanceof Error ? error.message : String(error) };
  }
  return { ok: true };
}

async function boot(config: MachineConfig): Promise<Machine> {
  if (config.memoryBytes < MIN_MEMORY || config.memoryBytes > MAX_MEMORY) {
    const asked = `${config.memoryBytes / MIB} MiB of memory asked for`;
    throw new MachineFailure(`para domain ${config.id}: ${asked}; give it 8 to 1024 MiB (--memory)`);
  }
  const image = paraImage();
  const process = current();
  const facts = {
    image: `sha256:${image.sha256}`,
    cpuSeconds: 'threads of the domain’s vCPUs, guest and hypervisor together',
  };
  const { machine, key } = process.machine(config, facts);
  const booted = machine.booted(config.vcpus, config.bootDeadlineMs);
  process.tell({ type: 'create', key, config: domainConfig(config, image.path) });
  try {
    await booted;
    return machine;
  } catch (error) {
    await machine.stop();
    throw error;
  }
}

function domainConfig(config: MachineConfig, image: string): DomainConfig {
  return {
    name: `domain-${config.id}`,
    vcpus: config.vcpus,
    memoryBytes: config.memoryBytes,
    image,
    bootargs: '',
    pollUs: config.waiting.pollUs,
    ...(config.disk === undefined ? {} : { disk: config.disk }),
    ...(config.peer === undefined ? {} : { mac: macOf(config.id) }),
    ...(config.hostCpus === undefined ? {} : { hostCpus: config.hostCpus }),
  };
}
