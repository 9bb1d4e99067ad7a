/** What `virtax run` asks for, as a domain's configuration. */
import { parse, resolve } from 'node:path';
import { diskFile } from '../disk-file.js';
import type { RunDisk, RunNic, RunRequest } from '../run.js';
import { BLKIF_SECTOR_BYTES } from './abi.js';
import type { DiskChoice, SyntheticDisk } from './core-os/disk-source.js';
import { macOf } from './machine.js';
import { type DomainConfig, OUTPUT_WINDOW } from './messages.js';

/** @throws Error with a sentence for the user */
export function domainConfig(request: RunRequest): DomainConfig {
  const { kernel, disks, nic, maxVcpus, maxMemoryBytes, hypervisor } = request;
  const path = (file: string): string => (hypervisor === undefined ? file : resolve(file)); // it has another directory
  refuseForeign(request);
  if (kernel === undefined) throw new Error('a domain starts from a guest module: give it with --kernel');
  if (disks.length > 1) throw new Error(`a domain has one disk, and these are ${disks.length}; leave out all but one`);
  return {
    name: request.name ?? parse(kernel).name,
    vcpus: request.vcpus,
    memoryBytes: request.memoryBytes,
    image: path(kernel),
    bootargs: request.append,
    pollUs: 0,
    outputWindow: OUTPUT_WINDOW,
    ...(maxVcpus === undefined ? {} : { maxVcpus }),
    ...(maxMemoryBytes === undefined ? {} : { maxMemoryBytes }),
    ...(disks.length === 0 ? {} : { disk: paraDisk(disks[0], path) }),
    ...(nic === undefined ? {} : { mac: paraNic(nic, hypervisor === undefined ? 0 : process.pid) }),
  };
}

function refuseForeign({ bios, initrd, trace }: RunRequest): void {
  if (bios !== undefined) throw new Error('a domain has no firmware: leave out --bios, give the guest with --kernel');
  if (initrd !== undefined) throw new Error('a domain has no initial RAM disk: leave out --initrd');
  if (trace.length > 0) throw new Error('the engine para has no --trace: leave it out; --counters shows totals');
}

function paraDisk(disk: RunDisk, fileOf: (path: string) => string): DiskChoice {
  const { path } = disk;
  if (disk.interface !== undefined) {
    throw new Error(`the disk ${path}: a domain's disk is a vbd of the core OS: leave out if=${disk.interface}`);
  }
  if (disk.media === 'cdrom') throw new Error(`the disk ${path}: a domain has no CD-ROM: leave out media=cdrom`);
  if (disk.readonly) throw new Error(`the disk ${path}: the engine para opens disks for writing: leave out readonly`);
  const synthetic = SYNTHETIC.exec(path);
  if (synthetic !== null) return syntheticDisk(path, synthetic[1], synthetic[2]);
  const file = fileOf(path);
  const { bytes } = diskFile(file, { readonly: false, wholeSectors: true });
  return { path: file, bytes, direct: false };
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

/** number: no other domain's of the same hypervisor. */
function paraNic(nic: RunNic, number: number): string {
  if (nic.mode !== 'switch') {
    throw new Error(`--net ${nic.mode}: a domain's network is the core OS's switch; write --net switch`);
  }
  if (nic.model !== undefined) throw new Error(`--net: a domain's card is a vif: leave out model=${nic.model}`);
  return macOf(number);
}
