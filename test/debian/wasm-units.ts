/** Runs units of the cpu and memory workloads as WebAssembly, with nothing around them: env.h is not called by these. */

export interface UnitRunner {
  /** Checksum of the last of so many units, 16 hexadecimal digits. */
  checksum(workload: string, units: number): string;
}

/** struct workload and struct ctx (workload.h) on wasm32: 4-byte pointers, 8-byte integers aligned to 8. */
const WORKLOAD = { name: 0, memory: 4, shared: 8, setup: 32, begin: 36, unit: 40 };
const CTX = { cpus: 4, seed: 8, mem: 16, unit: 24 };
const PAGE = 65536;

export async function wasmUnits(bytes: Uint8Array): Promise<UnitRunner> {
  const module = await WebAssembly.compile(bytes);
  const imports = Object.fromEntries(
    WebAssembly.Module.imports(module).map(({ name }) => [name, () => fail(`the workload called ${name}`)]),
  );
  const { exports } = await WebAssembly.instantiate(module, { env: imports });
  const memory = exports.memory as WebAssembly.Memory;
  const table = exports.__indirect_function_table as WebAssembly.Table;
  const list = (exports.workloads as WebAssembly.Global).value as number;
  return { checksum: (workload, units) => run(memory, table, find(memory, list, workload), units) };
}

function fail(what: string): never {
  throw new Error(what);
}

function find(memory: WebAssembly.Memory, list: number, name: string): number {
  const view = new DataView(memory.buffer);
  for (let at = list; view.getUint32(at, true) !== 0; at += 4) {
    const workload = view.getUint32(at, true);
    if (text(memory, view.getUint32(workload + WORKLOAD.name, true)) === name) return workload;
  }
  return fail(`no workload ${name}`);
}

function text(memory: WebAssembly.Memory, at: number): string {
  const bytes = new Uint8Array(memory.buffer, at);
  return Buffer.from(bytes.subarray(0, bytes.indexOf(0))).toString('latin1');
}

function run(memory: WebAssembly.Memory, table: WebAssembly.Table, workload: number, units: number): string {
  const field = (offset: number) => new DataView(memory.buffer).getUint32(workload + offset, true);
  const bytes = field(WORKLOAD.memory) + field(WORKLOAD.shared);
  const ctx = memory.grow(Math.ceil((bytes + 3 * PAGE) / PAGE)) * PAGE;
  const view = new DataView(memory.buffer);
  view.setUint32(ctx + CTX.cpus, 1, true);
  view.setBigUint64(ctx + CTX.seed, 1n, true);
  view.setUint32(ctx + CTX.mem, ctx + PAGE, true);
  const call = (offset: number) => (table.get(field(offset)) as ((ctx: number) => number | bigint) | null)?.(ctx);
  for (const phase of [WORKLOAD.setup, WORKLOAD.begin]) {
    if (field(phase) !== 0 && call(phase) !== 0) fail('set-up failed');
  }
  let last = 0n;
  for (let unit = 0; unit < units; unit++) {
    view.setBigUint64(ctx + CTX.unit, BigInt(unit), true);
    last = call(WORKLOAD.unit) as bigint;
  }
  return BigInt.asUintN(64, last).toString(16).padStart(16, '0');
}
