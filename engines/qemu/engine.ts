/**
 * QEMU as a peer: the same riscv64 image on the same machine, translated by TCG (qemu-system-riscv64). It is measured when
 * it is asked for and installed.
 */
import { riscvImage } from '../../workloads/images.js';
import { libcProblem } from '../backends/libc.js';
import { type Engine, type Machine, type MachineConfig, MachineFailure, type Probe } from '../engine.js';
import { AIO_METHODS, type Aio, blockFact, type DeviceSet, deviceModels, qemuArguments } from './command-line.js';
import { findInstallation, type Installation } from './installation.js';
import { QemuMachine } from './machine.js';

const NO_GUARD =
  'setpriv (Debian: util-linux) is not on the PATH: QEMU would outlive a harness that is killed by SIGKILL';
/** How QEMU says that this host or this build of it lacks a method (block/file-posix.c): all messages name it so. */
const AIO_REFUSED = /aio=|io_uring|AIO/;

export class QemuEngine implements Engine {
  readonly kind = 'full virtualization';
  readonly runsSystems = true;
  readonly name: string;
  readonly summary: string;
  /** The best method that has not been refused yet. */
  private aio = 0;

  /** virtio: PV drivers' devices instead of the 53C895A and the RTL8139. */
  constructor(private readonly devices: DeviceSet = 'emulated') {
    this.name = devices === 'virtio' ? 'qemu-virtio' : 'qemu';
    this.summary =
      devices === 'virtio'
        ? 'QEMU’s translator with virtio disk and network card'
        : 'QEMU’s translator (TCG) with the devices of `full`, as a peer';
  }

  async probe(): Promise<Probe> {
    try {
      riscvImage();
      const { guard } = await findInstallation();
      const problem = libcProblem();
      if (problem !== undefined) return { ok: false, reason: problem };
      return guard.length > 0 ? { ok: true } : { ok: true, notes: [NO_GUARD] };
    } catch (error) {
      return { ok: false, reason: (error as Error).message };
    }
  }

  async boot(config: MachineConfig): Promise<Machine> {
    const installation = await findInstallation().catch((error: Error) => {
      throw new MachineFailure(error.message);
    });
    for (;;) {
      const aio = AIO_METHODS[this.aio];
      try {
        return await this.bootWith(config, installation, aio);
      } catch (error) {
        if (!this.refused(config, error, aio)) throw error;
      }
    }
  }

  async close(): Promise<void> {}

  private bootWith(config: MachineConfig, { path, guard, version }: Installation, aio: Aio): Promise<Machine> {
    const image = riscvImage();
    const { guest } = config;
    return QemuMachine.boot({
      name: this.name,
      config,
      facts: {
        version: `QEMU ${version}`,
        accel: 'tcg, a thread a vCPU',
        devices: deviceModels(this.devices),
        ...(guest === undefined ? { image: `sha256:${image.sha256}` } : guest.facts),
        ...(config.disk === undefined ? {} : { block: blockFact(aio, config.disk.direct) }),
      },
      command: (consolePort) => [
        ...guard,
        path,
        ...qemuArguments(config, { image: image.path, consolePort, devices: this.devices, aio }),
      ],
    });
  }

  /** QEMU ended because it cannot do this kind of I/O here: the next one's turn. */
  private refused(config: MachineConfig, error: unknown, aio: Aio): boolean {
    const message = error instanceof MachineFailure ? error.message : '';
    const isLast = aio === AIO_METHODS[AIO_METHODS.length - 1];
    if (config.disk === undefined || isLast || !AIO_REFUSED.test(message)) return false;
    this.aio = Math.max(this.aio, AIO_METHODS.indexOf(aio) + 1);
    return true;
  }
}

export const qemu: Engine = new QemuEngine();
export const qemuVirtio: Engine = new QemuEngine('virtio');
