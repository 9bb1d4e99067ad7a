/**
 * Which images there are and how each is built: the one place for sources, targets and flags.
 * Paths are relative to workloads/. An image is one or more links; a later one may embed the output of an earlier one.
 */

export interface Link {
  /** File of the link's output within the build folder; the last link's is the image. */
  output: string;
  /** Glob patterns. */
  sources: string[];
  /** Patterns of which each must match something, else the port is not there yet and the image is left out. */
  required: string[];
  /** Further flags of the compiler. */
  compile: string[];
  /** Flags of the linker, by way of the compiler driver. */
  link: string[];
  /** Files that the linker reads (scripts). */
  linkInputs?: string[];
  /** Passes the path of an earlier link's output to the compiler as this macro, for .incbin. */
  embeds?: { macro: string; output: string };
}

export interface Image {
  /** Path below workloads/images. */
  name: string;
  target: string;
  links: Link[];
}

/**
 * Every image: same compiler, same optimization. Contraction to fused multiply-add would change the checksums; a square
 * root that sets errno would call a library. Functions begin on a cache line: cpu/sieve was up to 12 % slower or faster by
 * where the linker happened to put its loop.
 */
export const COMMON_FLAGS = [
  '-std=c17',
  '-O2',
  '-ffp-contract=off',
  '-ffreestanding',
  '-fno-ident',
  '-fno-stack-protector',
  '-fno-asynchronous-unwind-tables',
  '-fno-unwind-tables',
  '-Wall',
  '-Wextra',
  '-Werror',
  '-fno-math-errno',
  '-falign-functions=64',
  '-Iguest',
  '-Iguest/include',
  '-I.',
];

export const WORKLOAD_SOURCES = ['registry.c', '{cpu,memory,os,block,net,mixed,policy}/*.c'];
const PROGRAM = ['guest/lib/*.c', 'guest/init/*.c', ...WORKLOAD_SOURCES];
const NO_VECTORS = ['-fno-vectorize', '-fno-slp-vectorize'];
const LLD = ['-nostdlib', '-fuse-ld=lld', '-Wl,--build-id=none', '-Wl,--strip-all', '-Wl,-z,noexecstack'];

function host(name: string, target: string, compile: string[]): Image {
  return {
    name,
    target,
    links: [
      {
        output: 'virtax-guest',
        sources: [...PROGRAM, 'guest/port/host/*.c'],
        required: ['guest/port/host/*.c'],
        compile: ['-fno-pic', ...compile],
        link: [...LLD, '-static'],
      },
    ],
  };
}

const RISCV = ['-march=rv64gc', '-mabi=lp64d', '-mcmodel=medany', '-mno-relax', '-fno-pic'];
/** The kernel never saves floating-point registers: they belong to the program, so the compiler must not use them here. */
const RISCV_KERNEL = ['-march=rv64imac_zicsr_zifencei', '-mabi=lp64', ...RISCV.slice(2)];

const riscv64: Image = {
  name: 'riscv64/virtax-kernel.elf',
  target: 'riscv64-unknown-elf',
  links: [
    {
      output: 'user.elf',
      sources: [...PROGRAM, 'guest/port/riscv64/user/*.{c,S}'],
      required: ['guest/port/riscv64/user/*.{c,S}', 'guest/port/riscv64/user.ld'],
      compile: RISCV,
      link: [...LLD, '-static'],
      linkInputs: ['guest/port/riscv64/user.ld'],
    },
    {
      output: 'virtax-kernel.elf',
      sources: ['guest/lib/*.c', 'guest/kernel/**/*.c', 'guest/drivers/*.c', 'guest/port/riscv64/*.{c,S}'],
      required: ['guest/port/riscv64/*.S', 'guest/port/riscv64/kernel.ld'],
      compile: RISCV_KERNEL,
      link: [...LLD, '-static'],
      linkInputs: ['guest/port/riscv64/kernel.ld'],
      embeds: { macro: 'USER_ELF_PATH', output: 'user.elf' },
    },
  ],
};

/** Memory of a para guest is imported and shared; its size is the domain's, up to the maximum given here (1 GiB). */
function para(name: string, output: string, sources: string[], required: string[]): Image {
  return {
    name,
    target: 'wasm32-unknown-unknown',
    links: [
      {
        output,
        sources,
        required,
        compile: [
          '-matomics',
          '-mbulk-memory',
          '-mmutable-globals',
          '-msign-ext',
          '-mnontrapping-fptoint',
          '-msimd128',
          '-ftls-model=local-exec',
        ],
        link: [
          '-nostdlib',
          '-fuse-ld=lld',
          '-Wl,--no-entry',
          '-Wl,--import-memory',
          '-Wl,--shared-memory',
          '-Wl,--max-memory=1073741824',
          // The stack of vCPU 0 lies below everything else: an overflow leaves memory and traps.
          '-Wl,--stack-first',
          '-Wl,-z,stack-size=262144',
          '-Wl,--export=__stack_pointer',
          '-Wl,--export=__wasm_init_tls',
          '-Wl,--strip-all',
        ],
      },
    ],
  };
}

const paraKernel = para(
  'wasm32/virtax-para.wasm',
  'virtax-para.wasm',
  [...PROGRAM, 'guest/kernel/**/*.c', 'guest/port/para/**/*.c'],
  ['guest/port/para/*.c'],
);

/** A second guest, written from the documentation alone: shows what a guest needs at least. */
const minimal = para('wasm32/minimal.wasm', 'minimal.wasm', ['guest/minimal/minimal.c'], ['guest/minimal/minimal.c']);

/** Not part of the package: the native program for qemu-riscv64, with which tests compare checksums and count instructions. */
export const TEST_IMAGE: Image = host('test/virtax-guest', 'riscv64-linux-gnu', RISCV);

export const IMAGES: Image[] = [
  host('linux-x64/virtax-guest', 'x86_64-linux-gnu', []),
  host('linux-x64/virtax-guest-novec', 'x86_64-linux-gnu', NO_VECTORS),
  // Without -mno-outline-atomics the compiler calls functions of its run-time library, which is not here.
  host('linux-arm64/virtax-guest', 'aarch64-linux-gnu', ['-mno-outline-atomics']),
  host('linux-arm64/virtax-guest-novec', 'aarch64-linux-gnu', ['-mno-outline-atomics', ...NO_VECTORS]),
  riscv64,
  paraKernel,
  minimal,
];
