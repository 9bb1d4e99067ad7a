import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const GUEST = resolve(import.meta.dirname, '../../../workloads/guest');

/** Functions of port.h and of the harness that a test answers itself. */
export type Hooks = Record<string, (...args: number[]) => number | bigint | undefined>;

export interface KernelPart {
  memory: Uint8Array;
  /** Calls an exported function; 64-bit arguments as BigInt. */
  call(name: string, ...args: (number | bigint)[]): number;
}

/**
 * Compiles sources of the kernel (paths relative to workloads/guest) for wasm32, as the para port does, and instantiates
 * them afresh with the given hooks: parts of the kernel under test on any machine that has clang.
 */
export class KernelBuild {
  readonly #module: WebAssembly.Module;

  /** more: further flags of the compiler. */
  constructor(sources: string[], more: string[] = []) {
    const folder = mkdtempSync(join(tmpdir(), 'virtax-kernel-'));
    try {
      const output = join(folder, 'part.wasm');
      const flags = [
        '--target=wasm32',
        '-std=c17',
        '-O1',
        '-ffreestanding',
        '-fno-builtin',
        '-nostdlib',
        '-Wall',
        '-Wextra',
        '-Werror',
      ];
      const link = ['-fuse-ld=lld', '-Wl,--no-entry', '-Wl,--allow-undefined', '-Wl,--export-all'];
      execFileSync('clang-19', [...flags, ...link, '-I.', ...more, ...sources, '-o', output], { cwd: GUEST });
      this.#module = new WebAssembly.Module(readFileSync(output));
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }

  instantiate(hooks: Hooks): KernelPart {
    let memory: Uint8Array = new Uint8Array(0);
    const copy = (to: number, from: number, bytes: number) => {
      memory.copyWithin(to, from, from + bytes);
      return 0;
    };
    const quiet: Hooks = {
      cpu_id: () => 0,
      cpu_count: () => 32,
      cpu_wake: () => undefined,
      cpu_relax: () => undefined,
      user_read: copy,
      user_write: copy,
      user_io_buffer: (address) => address,
      kprintf: () => undefined,
      panic: () => {
        throw new Error('kernel panic');
      },
    };
    const needed = WebAssembly.Module.imports(this.#module).map(({ name }) => name);
    const imports: Hooks = {};
    for (const name of needed) {
      imports[name] =
        hooks[name] ??
        quiet[name] ??
        (() => {
          throw new Error(`${name}() was not expected`);
        });
    }
    const { exports } = new WebAssembly.Instance(this.#module, { env: imports });
    memory = new Uint8Array((exports.memory as WebAssembly.Memory).buffer);
    return {
      memory,
      call: (name, ...args) =>
        Number((exports[name] as (...values: (number | bigint)[]) => number | bigint | undefined)(...args) ?? 0),
    };
  }
}
