/** The engine `full`: full virtualization, a completely emulated RV64GC machine in a process of its own for each VM. */

import { riscvImage } from '../../workloads/images.js';
import { libcProblem } from '../backends/libc.js';
import type { Engine, Machine, MachineConfig, Probe } from '../engine.js';
import type { VmConfig } from './config.js';
import { run } from './run.js';
import { VmProcess } from './vm-process.js';

const PAGE = 4096;

export const full: Engine = {
  name: 'full',
  kind: 'full virtualization',
  summary: 'an unmodified guest OS on an emulated RISC-V machine (QEMU virt’s memory map, RTL8139, 53C895A)',
  probe,
  boot,
  run,
  async close() {},
};

async function probe(): Promise<Probe> {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major < 20 || (major === 20 && minor < 19)) {
    return { ok: false, reason: `Node ${process.versions.node} is too old: install Node 20.19 or later` };
  }
  try {
    new WebAssembly.Memory({ initial: 1, maximum: 65_536, shared: true });
  } catch {
    return { ok: false, reason: 'no address space for a shared WebAssembly memory of 4 GiB: raise `ulimit -v`' };
  }
  try {
    riscvImage();
  } catch (error) {
    return { ok: false, reason: error instanceof Error ? error.message : String(error) };
  }
  const problem = libcProblem();
  return problem === undefined ? { ok: true } : { ok: true, notes: [problem] };
}

function boot(config: MachineConfig): Promise<Machine> {
  const guest = riscvImage();
  const vm: VmConfig = {
    id: config.id,
    harts: config.vcpus,
    memoryBytes: Math.ceil(config.memoryBytes / PAGE) * PAGE,
    kernel: guest.path,
    append: '',
    disks: config.disk === undefined ? [] : [{ ...config.disk, interface: 'scsi', readonly: false, media: 'disk' }],
    ...(config.peer === undefined ? {} : { nic: { mode: 'switch', model: 'rtl8139' } }),
    noReboot: true,
    pollUs: config.waiting.pollUs,
  };
  return VmProcess.boot({
    config: vm,
    bootDeadlineMs: config.bootDeadlineMs,
    ...(config.hostCpus === undefined ? {} : { hostCpus: config.hostCpus }),
    ...(config.peer === undefined ? {} : { peerPort: config.peer.port }),
    facts: { image: `sha256:${guest.sha256}`, cpu: 'interpreter' },
  });
}
