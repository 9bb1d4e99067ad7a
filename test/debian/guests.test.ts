import { execFile, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildImage } from '#workloads/build/build-image.js';
import { compile } from '#workloads/build/compiler.js';
import { glob } from '#workloads/build/glob.js';
import { COMMON_FLAGS, TEST_IMAGE, WORKLOAD_SOURCES } from '#workloads/build/ports.js';
import { nativeImage } from '#workloads/images.js';
import { matchWorkloads } from '#workloads/index.js';
import { packageRoot } from '#workloads/package-root.js';
import { answers, tool } from '../workloads/native.js';
import { type UnitRunner, wasmUnits } from './wasm-units.js';

const sources = join(packageRoot(), 'workloads');
const computing = [...matchWorkloads('cpu/*'), ...matchWorkloads('memory/*')].map(({ name }) => name);
const folder = mkdtempSync(join(tmpdir(), 'virtax-guests-'));
let riscv: string;
let wasm: UnitRunner;

/** Program, its sources and the workloads as a wasm module that wants env.h from outside. */
async function buildWasm(): Promise<string> {
  const output = join(folder, 'units.wasm');
  const target = ['--target=wasm32-unknown-unknown', '-matomics', '-mbulk-memory', '-mmutable-globals', '-msimd128'];
  const link = ['-nostdlib', '-Wl,--no-entry', '-Wl,--allow-undefined', '-Wl,--export-table', '-Wl,--export=workloads'];
  const files = glob(sources, ['guest/lib/*.c', ...WORKLOAD_SOURCES]);
  await compile([...COMMON_FLAGS, ...target, ...link, '-Wl,--export=__heap_base', ...files, '-o', output], sources);
  return output;
}

beforeAll(async () => {
  riscv = await buildImage(sources, TEST_IMAGE, folder);
  wasm = await wasmUnits(readFileSync(await buildWasm()));
}, 120_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const checksum = async (program: string[], workload: string) => {
  const { status, stdout } = await tool(['unit', workload, '2'], program);
  return status === 0 ? /checksum=([0-9a-f]{16})/.exec(stdout)?.[1] : `status ${status}`;
};

describe('the same answer on every processor', () => {
  it.each(computing)('%s', async (workload) => {
    const native = await checksum([nativeImage().path], workload);
    expect(native).toMatch(/^[0-9a-f]{16}$/);
    expect(await checksum([nativeImage({ vectorized: false }).path], workload)).toBe(native);
    expect(await checksum(['qemu-riscv64', riscv], workload)).toBe(native);
    expect(wasm.checksum(workload, 2)).toBe(native);
    if (process.arch === 'x64') {
      expect(await checksum(['qemu-aarch64', nativeImage({ arch: 'arm64' }).path], workload)).toBe(native);
    }
  });

  it('known answers too', async () => {
    const [here, there] = await Promise.all([tool(['selftest']), tool(['selftest'], ['qemu-riscv64', riscv])]);
    expect(answers(there.stdout).size).toBeGreaterThan(20);
    expect(there.stdout).toBe(here.stdout);
  });
});

/** QEMU writes one line for each instruction when translation blocks are that short. */
function instructions(workload: string, units: number): Promise<number> {
  const child = spawn('qemu-riscv64', ['-singlestep', '-d', 'nochain,exec', riscv, 'unit', workload, String(units)]);
  let lines = 0;
  createInterface({ input: child.stderr }).on('line', () => {
    lines++;
  });
  return new Promise((resolve) => child.on('close', () => resolve(lines)));
}

describe('a unit ends on an interpreter too: at most 2 million instructions', () => {
  // chase's and triad's set-up alone take minutes this way; their units are the smallest.
  it.each(computing.filter((name) => name.startsWith('cpu/')))('%s', async (workload) => {
    const [one, two] = [await instructions(workload, 1), await instructions(workload, 2)];
    expect(two - one).toBeGreaterThan(100_000);
    expect(two - one).toBeLessThanOrEqual(2_000_000);
  });
});

describe('npm run verify:guests', () => {
  it('finds the committed images to be what their sources give', async () => {
    const script = join(packageRoot(), 'dist/workloads/build/build-guests.js');
    const said = await new Promise<string>((resolve) => {
      execFile(process.execPath, [script, '--verify'], (error, stdout, stderr) => {
        resolve(`${stdout}${stderr}exit ${error ? error.code : 0}`);
      });
    });
    expect(said).toMatch(/exit 0$/);
  });
});
