/** `virtax run` on `para`: a domain of a hypervisor of its own, whose console is the user's terminal. */
import { parse } from 'node:path';
import { diskFile } from '../disk-file.js';
import type { IoPolicy } from '../io-policy.js';
import { type Child, startNode } from '../process/child.js';
import {
  type ConsoleOutput,
  type RunDisk,
  type RunEnd,
  type RunNic,
  type RunningMachine,
  RunRefused,
  type RunRequest,
} from '../run.js';
import { BLKIF_SECTOR_BYTES } from './abi.js';
import type { DiskChoice, SyntheticDisk } from './core-os/disk-source.js';
import { macOf } from './machine.js';
import { removeSocket } from './management/folder.js';
import type { DomainConfig, FromHypervisor, ToHypervisor } from './messages.js';

/** A domain ends within the hypervisor's grace of 250 ms, with what its disk has under way. */
const STOP_MS = 3000;
/** Key of messages that are about the hypervisor as a whole. */
const NO_DOMAIN = -1;
/** As much as the guest may write ahead of what has gone out. */
const OUTPUT_WINDOW = 65536;

/** Rejects with RunRefused when the domain cannot be had. */
export async function run(request: RunRequest, output: ConsoleOutput): Promise<RunningMachine> {
  let machine: UserDomain | undefined;
  try {
    const config = domainConfig(request);
    machine = new UserDomain(config, request.noReboot, output, await policyOf(request));
    await machine.created;
    return machine;
  } catch (error) {
    await machine?.stop();
    throw new RunRefused(error instanceof Error ? error.message : String(error));
  }
}

/** The hypervisor's process and the one domain in it. A guest that reboots is a new domain, as in Xen. */
class UserDomain implements RunningMachine {
  readonly created: Promise<void>;
  readonly ended: Promise<RunEnd>;
  readonly #child: Child;
  #key = 0;
  #created: () => void = () => {};
  #refused: (error: Error) => void = () => {};
  #end: (end: RunEnd) => void = () => {};
  #gone: () => void = () => {};
  readonly #over = new Promise<void>((resolve) => {
    this.#gone = resolve;
  });
  #counters: Record<string, number> = {};
  #stopping = false;

  constructor(
    private readonly config: DomainConfig,
    private readonly noReboot: boolean,
    private readonly output: ConsoleOutput,
    policy: IoPolicy | undefined,
  ) {
    this.created = new Promise((resolve, reject) => {
      this.#created = resolve;
      this.#refused = reject;
    });
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
    this.#child = startNode(new URL('./hypervisor-main.js', import.meta.url));
    this.#child.process.on('message', (message) => this.#hear(message as FromHypervisor));
    void this.#child.exited.then((phrase) => this.#lost(phrase));
    if (policy !== undefined) this.#send({ type: 'policy', key: NO_DOMAIN, policy });
    this.#create();
  }

  #create(): void {
    this.#send({ type: 'create', key: this.#key, config: this.config });
  }

  #send(message: ToHypervisor): boolean {
    return this.#child.send(message);
  }

  input(bytes: Uint8Array): void {
    this.#send({ type: 'input', key: this.#key, text: Buffer.from(bytes).toString('latin1') });
  }

  counters(): Record<string, number> {
    return this.#counters;
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    if (this.#send({ type: 'destroy', key: this.#key })) {
      await Promise.race([this.#over, this.#child.endsWithin(STOP_MS)]);
    }
    await this.#child.stop();
    removeSocket(this.#child.process.pid ?? 0);
  }

  #hear(message: FromHypervisor): void {
    const { key } = message;
    if (message.type === 'output') {
      const { bytes } = message;
      this.output(bytes, () => void this.#send({ type: 'taken', key, bytes: bytes.length }));
    } else if (message.type === 'created') this.#created();
    else if (message.type === 'refused') this.#isRefused(message.message);
    else if (message.type === 'ended') this.#domainEnded(message);
  }

  #isRefused(problem: string): void {
    this.#refused(new Error(problem));
    this.#end({ status: 1, problem }); // of a domain that had rebooted
    this.#gone();
  }

  #domainEnded({ reason, how, counters }: Extract<FromHypervisor, { type: 'ended' }>): void {
    this.#created();
    for (const [name, value] of Object.entries(counters)) this.#counters[name] = (this.#counters[name] ?? 0) + value;
    if (how === 'reboot' && !this.noReboot && !this.#stopping) {
      this.#key++;
      this.#create();
      return;
    }
    this.#end(how === 'crash' ? { status: 1, problem: `the guest ${reason}` } : { status: 0 });
    this.#gone();
  }

  #lost(phrase: string): void {
    const lines = this.#child.stderr.tail();
    const problem = `its hypervisor was lost (${phrase})${lines.length > 0 ? `: ${lines.join(' | ')}` : ''}`;
    this.#refused(new Error(problem));
    this.#end({ status: 1, problem });
    this.#gone();
  }
}

async function policyOf({ policy }: RunRequest): Promise<IoPolicy | undefined> {
  if (policy === undefined) return undefined;
  const { readIoPolicy } = await import('../io-policy-file.js'); // zod takes long to load
  return readIoPolicy(policy);
}

/** @throws Error with a sentence for the user */
function domainConfig(request: RunRequest): DomainConfig {
  const { kernel, disks, nic, maxVcpus, maxMemoryBytes } = request;
  refuseForeign(request);
  if (kernel === undefined) throw new Error('a domain starts from a guest module: give it with --kernel');
  if (disks.length > 1) throw new Error(`a domain has one disk, and these are ${disks.length}; leave out all but one`);
  return {
    name: request.name ?? parse(kernel).name,
    vcpus: request.vcpus,
    memoryBytes: request.memoryBytes,
    image: kernel,
    bootargs: request.append,
    pollUs: 0,
    outputWindow: OUTPUT_WINDOW,
    ...(maxVcpus === undefined ? {} : { maxVcpus }),
    ...(maxMemoryBytes === undefined ? {} : { maxMemoryBytes }),
    ...(disks.length === 0 ? {} : { disk: paraDisk(disks[0]) }),
    ...(nic === undefined ? {} : { mac: paraNic(nic) }),
  };
}

function refuseForeign({ bios, initrd, trace }: RunRequest): void {
  if (bios !== undefined) throw new Error('a domain has no firmware: leave out --bios, give the guest with --kernel');
  if (initrd !== undefined) throw new Error('a domain has no initial RAM disk: leave out --initrd');
  if (trace.length > 0) throw new Error('the engine para has no --trace: leave it out; --counters shows totals');
}

function paraDisk(disk: RunDisk): DiskChoice {
  const { path } = disk;
  if (disk.interface !== undefined) {
    throw new Error(`the disk ${path}: a domain's disk is a vbd of the core OS: leave out if=${disk.interface}`);
  }
  if (disk.media === 'cdrom') throw new Error(`the disk ${path}: a domain has no CD-ROM: leave out media=cdrom`);
  if (disk.readonly) throw new Error(`the disk ${path}: the engine para opens disks for writing: leave out readonly`);
  const synthetic = SYNTHETIC.exec(path);
  if (synthetic !== null) return syntheticDisk(path, synthetic[1], synthetic[2]);
  const { bytes } = diskFile(path, { readonly: false, wholeSectors: true });
  return { path, bytes, direct: false };
}

/** `mem:64M`, `null:1G`. */
const SYNTHETIC = /^(mem|null):(.*)$/;
const UNITS: Record<string, number> = { '': 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30 };

function syntheticDisk(text: string, kind: string, size: string): SyntheticDisk {
  const parts = /^(\d{1,12})([KMG]?)$/i.exec(size);
  const bytes = parts === null ? 0 : Number(parts[1]) * UNITS[parts[2].toUpperCase()];
  if (bytes === 0 || bytes % BLKIF_SECTOR_BYTES !== 0) {
    throw new Error(
      `the disk ${text}: ${size || 'nothing'} is no size of whole sectors; write for example ${kind}:64M`,
    );
  }
  return { kind: kind === 'mem' ? 'memory' : 'null', bytes };
}

function paraNic(nic: RunNic): string {
  if (nic.mode !== 'switch') {
    throw new Error(`--net ${nic.mode}: a domain's network is the core OS's switch; write --net switch`);
  }
  if (nic.model !== undefined) throw new Error(`--net: a domain's card is a vif: leave out model=${nic.model}`);
  return macOf(0);
}
