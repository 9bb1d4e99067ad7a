/** A guest's WebAssembly module: what it may import, what it must export (para-abi.h, "The module"). */

export interface GuestEntry {
  /** vCPU 0, on the linker's stack. */
  start(): void;
  startSecondary(stackPointer: number, tls: number, arg: number): void;
}

type Hypercall = (number: number, cmd: number, arg1: number, arg2: number) => number;

const REQUIRED = [
  ['para_start', 'function'],
  ['para_vcpu_start', 'function'],
  ['__stack_pointer', 'global'],
] as const;

/** Why the module is no guest of this hypervisor, as one sentence; undefined when it is one. */
export function guestProblem(module: WebAssembly.Module): string | undefined {
  for (const { module: from, name } of WebAssembly.Module.imports(module)) {
    const known = (from === 'env' && name === 'memory') || (from === 'virtax' && name === 'hypercall');
    if (!known) return `it imports ${from}.${name}; a guest may import env.memory and virtax.hypercall only`;
  }
  const exports = WebAssembly.Module.exports(module);
  for (const [name, kind] of REQUIRED) {
    if (!exports.some((one) => one.name === name && one.kind === kind)) return `it does not export the ${kind} ${name}`;
  }
  return undefined;
}

/** Runs guest code: the module's start function. */
export function instantiateGuest(
  module: WebAssembly.Module,
  memory: WebAssembly.Memory,
  hypercall: Hypercall,
): GuestEntry {
  const { exports } = new WebAssembly.Instance(module, { env: { memory }, virtax: { hypercall } });
  const call = (name: string, ...args: number[]): void => {
    const fn = exports[name];
    if (typeof fn === 'function') fn(...args);
  };
  return {
    start: () => call('para_start'),
    startSecondary: (stackPointer, tls, arg) => {
      (exports.__stack_pointer as WebAssembly.Global).value = stackPointer;
      if (tls !== 0) call('__wasm_init_tls', tls);
      call('para_vcpu_start', arg);
    },
  };
}
