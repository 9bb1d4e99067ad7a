/** The hypervisor: its memory, the domains in it, and the modules that it has compiled. One in a process. */
import { readFile, stat } from 'node:fs/promises';
import type { IoPolicy } from '../io-policy.js';
import { PARA_FRAME_BYTES, PARA_MAX_VCPUS } from './abi.js';
import { collectGarbage } from './collect-garbage.js';
import { CoreOs, type CoreOsOptions } from './core-os/core-os.js';
import { Domain, type DomainListener } from './domain.js';
import { EventChannels } from './event-channels.js';
import { guestProblem } from './guest-module.js';
import { createHostIo, kickerOf } from './host-io.js';
import { HypervisorMemory, MAX_DOMAINS, POOL } from './hypervisor-memory.js';
import { applyToDomain, DEFAULT_POLICY } from './io-queue/policy.js';
import { IoQueue } from './io-queue.js';
import type { DomainConfig } from './messages.js';
import { Residents } from './residents.js';
import { ThreadPool } from './thread-pool.js';

const TICK_MS = 100;
/** So many domains' memories may wait for garbage collection. */
const UNCOLLECTED = 64;

export interface HypervisorOptions {
  /** Memory that its domains may have in all; absent: as much as the host gives. */
  poolBytes?: number;
  /** Threads that wait for vCPUs (thread-pool.ts); absent: none beyond those that vCPUs had. */
  warmThreads?: number;
  /** How long the others stay when they are idle, milliseconds; absent: 2000. */
  idleThreadMs?: number;
  coreOs?: CoreOsOptions;
}

export class Hypervisor {
  /** Who keeps its process when its owner has left. */
  readonly residents = new Residents();
  private readonly hv = HypervisorMemory.create();
  private readonly io = createHostIo(MAX_DOMAINS * PARA_MAX_VCPUS);
  private readonly kicker = kickerOf(this.io);
  private readonly coreOs: CoreOs;
  /** By domain id; 0 is the core OS. */
  private readonly domains: (Domain | undefined)[] = new Array(MAX_DOMAINS).fill(undefined);
  private readonly modules = new Map<string, CompiledImage>();
  private policy = DEFAULT_POLICY;
  private uncollected = 0;
  private readonly ticker = setInterval(() => {
    for (const domain of this.domains) domain?.tick();
  }, TICK_MS).unref();

  private readonly pool: ThreadPool;

  constructor({ poolBytes, warmThreads = 0, idleThreadMs, coreOs = {} }: HypervisorOptions = {}) {
    this.pool = new ThreadPool(warmThreads, idleThreadMs);
    this.coreOs = new CoreOs(this.hv, this.io, this.kicker, coreOs, (id, reason) => this.domains[id]?.crash(reason));
    if (poolBytes !== undefined) this.hv.i32[POOL.total] = Math.floor(poolBytes / PARA_FRAME_BYTES);
  }

  /** Starts a domain. Rejects with a sentence for the user when the image or the configuration will not do. */
  async create(config: DomainConfig, listener: DomainListener): Promise<Domain> {
    const module = await this.module(config.image);
    const id = this.domains.indexOf(undefined, 1);
    if (id < 0) throw new Error(`there are ${MAX_DOMAINS - 1} domains already, the most that the hypervisor holds`);
    const domain = new Domain(
      id,
      config,
      {
        hv: this.hv,
        io: this.io,
        kicker: this.kicker,
        coreOs: this.coreOs,
        pool: this.pool,
        module,
        memoryOf: (other) => this.domains[other]?.sharedMemory(),
        firstSlot: id * PARA_MAX_VCPUS,
      },
      {
        ...listener,
        ended: (...end) => {
          this.domains[id] = undefined;
          this.collectLater();
          listener.ended(...end);
        },
      },
    );
    this.domains[id] = domain;
    applyToDomain(this.hv, this.policy, domain);
    try {
      domain.start();
    } catch (error) {
      this.domains[id] = undefined;
      throw error;
    }
    return domain;
  }

  /** Memories of domains that are gone hold on to addresses, of which V8 keeps no account. */
  private collectLater(): void {
    this.uncollected = (this.uncollected + 1) % UNCOLLECTED;
    if (this.uncollected === 0) setImmediate(collectGarbage);
  }

  /** Puts an I/O policy into force, for the domains that there are and those to come. */
  setPolicy(policy: IoPolicy): void {
    this.policy = policy;
    new IoQueue(this.hv, new EventChannels(this.hv, this.kicker)).apply(policy, this.running);
  }

  /**
   * Kills the core OS's block driver in the middle of what it does, all instances of it, and starts it anew. Fulfilled with the new
   * generation when others have taken over; rejected when a vCPU does not come out of its guest in time.
   */
  async restartDriver(): Promise<number> {
    const generation = this.coreOs.begin();
    await Promise.all([this.coreOs.restart(), ...this.running.map((domain) => domain.drivers.restart(generation))]);
    return generation;
  }

  /** Its domains, but for the core OS. */
  get running(): Domain[] {
    return this.domains.filter((domain) => domain !== undefined);
  }

  /** Each image is compiled once and shared by all vCPUs of all domains, until its file changes. */
  private async module(path: string): Promise<WebAssembly.Module> {
    const version = await versionOf(path);
    const known = this.modules.get(path);
    if (known?.version === version) return known.module;
    const module = compileGuest(path);
    const compiled = { version, module };
    this.modules.set(path, compiled);
    module.catch(() => {
      if (this.modules.get(path) === compiled) this.modules.delete(path);
    });
    return module;
  }

  close(): void {
    clearInterval(this.ticker);
    for (const domain of this.domains) domain?.destroy();
    void this.coreOs.close();
    this.pool.close();
  }
}

interface CompiledImage {
  version: string;
  module: Promise<WebAssembly.Module>;
}

/** Of a file that is not there: any, compiling it says so. */
async function versionOf(path: string): Promise<string> {
  try {
    const { ino, size, mtimeNs } = await stat(path, { bigint: true });
    return `${ino} ${size} ${mtimeNs}`;
  } catch {
    return '';
  }
}

async function compileGuest(path: string): Promise<WebAssembly.Module> {
  let module: WebAssembly.Module;
  try {
    module = await WebAssembly.compile(await readFile(path));
  } catch (error) {
    throw new Error(`the guest image ${path} cannot be loaded: ${error instanceof Error ? error.message : error}`);
  }
  const problem = guestProblem(module);
  if (problem !== undefined) throw new Error(`${path} is no guest of this hypervisor: ${problem}`);
  return module;
}
