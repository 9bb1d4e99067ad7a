/** The command line of `virtax run`, and what it asks for. */
import { Command, Option } from 'commander';
import { type Forward, parseForward } from '../../engines/backends/nat/forward.js';
import {
  type NicMode,
  type NicModel,
  type RunDisk,
  type RunNic,
  type RunRequest,
  TRACES,
  type TraceKind,
} from '../../engines/run.js';
import { MAX_COUNT, parseInteger, parseSize, parseWords, UsageError, unknownName } from '../usage.js';

export interface RunFlags {
  engine: string;
  name?: string;
  bios?: string;
  kernel?: string;
  initrd?: string;
  append: string;
  memory: string;
  vcpus: string;
  maxMemory?: string;
  maxVcpus?: string;
  disk: string[];
  net?: string;
  policy?: string;
  hypervisor?: string;
  detach: boolean;
  reboot: boolean;
  trace?: string;
  counters: boolean;
}

const INTERFACES = ['scsi', 'virtio', 'virtio-mmio'] as const;
const MEDIA = ['disk', 'cdrom'] as const;
const NIC_MODES: readonly NicMode[] = ['user', 'switch'];
const NIC_MODELS: readonly NicModel[] = ['rtl8139', 'rtl8169', 'e1000', 'virtio'];
const EXAMPLES = `
Examples:
  virtax run --kernel tests/rv64ui-p-add
  virtax run --bios fw_dynamic.bin --kernel vmlinux --initrd initrd.img --append "console=ttyS0"
  virtax run --bios fw_dynamic.bin --kernel vmlinux --append "console=ttyS0 root=/dev/vda" \\
             --disk root.img,if=virtio --net user,model=e1000 --vcpus 4 --memory 2G

  virtax run --engine para --kernel guest.wasm --disk disk.img --vcpus 2 --max-vcpus 4
  virtax run --engine para --hypervisor auto --kernel other.wasm --name other

The console is on this terminal: Ctrl-A x ends the machine, Ctrl-A twice sends one Ctrl-A.
A domain of --hypervisor ends with its command, unless that has left it with --detach; virtax domains destroy ends it then.
The command that started the hypervisor stays until the last domain in it has ended.
Without --bios a kernel starts in M-mode at 0x80000000, as with QEMU's \`-M virt -bios none\`.

Exit status: the guest's own; 0 for a power-off, 1 when the engine failed, 2 for bad usage or input.`;

const collect = (value: string, before: string[]): string[] => [...before, value];

export function runCommand(): Command {
  return new Command('run')
    .summary('run an operating system, its console on this terminal')
    .description('Runs firmware, a kernel or a whole operating system on an engine, with the console on this terminal.')
    .addOption(new Option('--engine <name>', 'the engine').default('full'))
    .option('--bios <file>', 'M-mode firmware (OpenSBI: fw_dynamic.bin or fw_jump.bin), ELF or raw')
    .option('--kernel <file>', 'kernel, ELF or raw')
    .option('--initrd <file>', 'initial RAM disk')
    .option('--name <name>', 'what virtax domains calls it (para); else the kernel’s file name')
    .option('--append <text>', 'kernel command line', '')
    .option('--memory <size>', 'RAM of the machine', '512M')
    .option('--vcpus <n>', `harts or vCPUs, 1 to ${MAX_COUNT}`, '1')
    .option('--max-memory <size>', 'the most that the guest may be given while it runs (para)')
    .option('--max-vcpus <n>', 'the most that the guest may be given while it runs (para)')
    .option(
      '--disk <file[,option…]>',
      'a disk: if=scsi (full’s default)|virtio|virtio-mmio, readonly, media=disk|cdrom; may be repeated; para: a file, mem:SIZE or null:SIZE',
      collect,
      [],
    )
    .option(
      '--net <mode[,model=name][,hostfwd=rule]>',
      `network: ${NIC_MODES.join(' or ')}; model: ${NIC_MODELS.join(', ')}; hostfwd, as often as wanted: tcp::2222-:22`,
    )
    .option('--policy <file>', 'I/O policy (para): order, caps, weights; see virtax domains policy')
    .option(
      '--hypervisor <id>',
      'start the domain in a hypervisor that runs (para): the number before the dot in virtax domains; auto: the only one',
    )
    .option('--detach', 'with --hypervisor: print the domain’s ID and leave; its console is not read', false)
    .option('--no-reboot', 'the machine ends where the guest resets it')
    .option('--trace <kinds>', `write to the standard error what happens: ${TRACES.join(',')}`)
    .option('--counters', 'write the counters to the standard error at the end', false)
    .addHelpText('after', EXAMPLES);
}

/** What the flags ask for. @throws UsageError */
export function runRequest(flags: RunFlags): RunRequest {
  const { bios, kernel, initrd } = flags;
  if (bios === undefined && kernel === undefined) {
    throw new UsageError('nothing to run: give a --kernel, or firmware with --bios');
  }
  if (initrd !== undefined && kernel === undefined)
    throw new UsageError('--initrd is for a kernel: give a --kernel too');
  const nic = flags.net === undefined ? undefined : parseNic(flags.net);
  return {
    ...(bios === undefined ? {} : { bios }),
    ...(kernel === undefined ? {} : { kernel }),
    ...(initrd === undefined ? {} : { initrd }),
    append: flags.append,
    ...sizes(flags),
    disks: flags.disk.map(parseDisk),
    ...(nic === undefined ? {} : { nic }),
    ...(flags.name === undefined ? {} : { name: domainName(flags.name) }),
    ...(flags.policy === undefined ? {} : { policy: flags.policy }),
    ...hypervisorOf(flags),
    noReboot: !flags.reboot,
    trace: parseTrace(flags.trace),
  };
}

function hypervisorOf({ hypervisor, detach, counters }: RunFlags): Pick<RunRequest, 'hypervisor' | 'detach'> {
  if (hypervisor !== undefined && !/^(auto|[1-9]\d{0,6})$/.test(hypervisor)) {
    throw new UsageError(`--hypervisor ${hypervisor}: write auto, or the number before the dot in virtax domains`);
  }
  if (detach && counters) throw new UsageError('--counters are those of a domain that has ended: leave out --detach');
  return { ...(hypervisor === undefined ? {} : { hypervisor }), ...(detach ? { detach } : {}) };
}

const NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$/;

function domainName(text: string): string {
  if (NAME.test(text)) return text;
  throw new UsageError(`--name: "${text}" is no name: up to 63 letters, digits, dots, hyphens and underscores`);
}

const PAGE = 4096;

function sizes(flags: RunFlags): Pick<RunRequest, 'memoryBytes' | 'vcpus' | 'maxMemoryBytes' | 'maxVcpus'> {
  const memory = memoryBytes(flags.memory, '--memory');
  const vcpus = parseInteger(flags.vcpus, '--vcpus', 1, MAX_COUNT);
  const { maxMemory, maxVcpus } = flags;
  const most = maxMemory === undefined ? undefined : memoryBytes(maxMemory, '--max-memory');
  if (most !== undefined && most < memory) throw new UsageError('--max-memory is less than --memory');
  return {
    memoryBytes: memory,
    vcpus,
    ...(most === undefined ? {} : { maxMemoryBytes: most }),
    ...(maxVcpus === undefined ? {} : { maxVcpus: parseInteger(maxVcpus, '--max-vcpus', vcpus, MAX_COUNT) }),
  };
}

function memoryBytes(text: string, flag: string): number {
  const bytes = parseSize(text, flag);
  if (bytes % PAGE !== 0) throw new UsageError(`${flag}: ${bytes} bytes are not a multiple of ${PAGE}`);
  return bytes;
}

/** `FILE,if=virtio,readonly`: as in QEMU, a comma in a file name is written twice. @throws UsageError */
export function parseDisk(text: string): RunDisk {
  const [path, ...options] = splitOptions(text);
  if (path === '') throw new UsageError(`--disk: "${text}" names no file; write FILE,if=scsi or FILE,if=virtio`);
  const disk: RunDisk = { path, readonly: false, media: 'disk' };
  for (const option of options) {
    const [name, value] = nameAndValue(option);
    if (name === 'if') disk.interface = oneOf(INTERFACES, value, '--disk: if=');
    else if (name === 'media') disk.media = oneOf(MEDIA, value, '--disk: media=');
    else if (name === 'readonly')
      disk.readonly = value === undefined || oneOf(['on', 'off'], value, '--disk: readonly=') === 'on';
    else
      throw unknownName('option of --disk', option, [
        ...INTERFACES.map((each) => `if=${each}`),
        ...['readonly', 'media=disk', 'media=cdrom'],
      ]);
  }
  if (disk.media === 'cdrom' && (disk.interface ?? 'scsi') !== 'scsi') {
    throw new UsageError(`--disk: "${text}": a CD-ROM is a SCSI device; write if=scsi`);
  }
  return disk;
}

/** `user,model=e1000,hostfwd=tcp::2222-:22`. @throws UsageError */
export function parseNic(text: string): RunNic {
  const [mode, ...options] = splitOptions(text);
  const nic: RunNic = { mode: oneOf(NIC_MODES, mode, '--net: ') };
  for (const option of options) {
    const [name, value] = nameAndValue(option);
    if (name === 'model') nic.model = oneOf(NIC_MODELS, value, '--net: model=');
    else if (name === 'hostfwd') nic.forwards = [...(nic.forwards ?? []), readForward(value ?? '')];
    else throw unknownName('option of --net', option, [...NIC_MODELS.map((model) => `model=${model}`), 'hostfwd=']);
  }
  if (nic.forwards !== undefined && nic.mode !== 'user') {
    throw new UsageError(`--net: "${text}": ports are forwarded by the user network; write user,hostfwd=…`);
  }
  return nic;
}

function readForward(text: string): Forward {
  try {
    return parseForward(text);
  } catch (error) {
    throw new UsageError(`--net: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function parseTrace(text: string | undefined): TraceKind[] {
  if (text === undefined) return [];
  return parseWords(text, '--trace').map((word) => oneOf(TRACES, word, '--trace: '));
}

const splitOptions = (text: string): string[] => text.split(/(?<!,),(?!,)/).map((part) => part.replaceAll(',,', ','));

function nameAndValue(option: string): [string, string | undefined] {
  const at = option.indexOf('=');
  return at < 0 ? [option, undefined] : [option.slice(0, at), option.slice(at + 1)];
}

function oneOf<T extends string>(known: readonly T[], value: string | undefined, where: string): T {
  const found = known.find((word) => word === value);
  if (found === undefined) throw new UsageError(`${where}${value ?? ''}: not one of ${known.join(', ')}`);
  return found;
}
