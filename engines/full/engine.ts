/** The engine `full`: full virtualization, a completely emulated RV64GC machine in a process of its own for each VM. */

import { riscvImage } from '../../workloads/images.js';
import { libcProblem } from '../backends/libc.js';
import { type Engine, guestAppend, type Machine, type MachineConfig, type Probe } from '../engine.js';
import type { VmConfig } from './config.js';
import { run } from './run.js';
import { VmProcess } from './vm/vm-process.js';

const PAGE = 4096;

export class FullEngine implements Engine {
  readonly kind = 'full virtualization';
  readonly runsSystems = true;
  readonly name: string;
  readonly summary: string;
  readonly probe = probe;
  /** Devices are chosen one by one there: `full` alone offers it. */
  readonly run?: typeof run;

  /** virtio: devices for PV drivers instead of the 53C895A and the RTL8139. */
  constructor(private readonly devices: 'emulated' | 'virtio' = 'emulated') {
    this.name = devices === 'virtio' ? 'full-virtio' : 'full';
    if (devices === 'emulated') this.run = run;
    this.summary =
      devices === 'virtio'
        ? '`full` with PV drivers: a virtio disk and network card in an otherwise unmodified guest'
        : 'an unmodified guest OS on an emulated RISC-V machine (QEMU virt’s memory map, RTL8139, 53C895A)';
  }

  boot(config: MachineConfig): Promise<Machine> {
    const { guest } = config;
    const image = guest === undefined ? riscvImage() : undefined;
    return VmProcess.boot({
      name: this.name,
      config: this.vmConfig(config, image?.path),
      bootDeadlineMs: config.bootDeadlineMs,
      ...(config.hostCpus === undefined ? {} : { hostCpus: config.hostCpus }),
      ...(config.peer === undefined ? {} : { peerPort: config.peer.port }),
      facts: { ...(image === undefined ? guest?.facts : { image: `sha256:${image.sha256}` }) },
    });
  }

  async close(): Promise<void> {}

  private vmConfig({ id, vcpus, memoryBytes, disk, peer, waiting, guest }: MachineConfig, image = ''): VmConfig {
    const virtio = this.devices === 'virtio';
    return {
      id,
      harts: vcpus,
      memoryBytes: Math.ceil(memoryBytes / PAGE) * PAGE,
      ...(guest === undefined
        ? { kernel: image, append: '' }
        : {
            bios: guest.bios,
            kernel: guest.kernel,
            initrd: guest.initrd,
            append: guestAppend(guest, disk !== undefined),
          }),
      disks:
        disk === undefined ? [] : [{ ...disk, interface: virtio ? 'virtio' : 'scsi', readonly: false, media: 'disk' }],
      ...(peer === undefined ? {} : { nic: { mode: 'switch', model: virtio ? 'virtio' : 'rtl8139' } }),
      noReboot: true,
      pollUs: waiting.pollUs,
    };
  }
}

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

export const full: Engine = new FullEngine();
export const fullVirtio: Engine = new FullEngine('virtio');
