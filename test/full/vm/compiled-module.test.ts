/** V8's code for a module, kept and taken back: in processes of their own, since V8 may end them. */
import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { vmMain } from '#engines/full/vm/vm-program.js';

const MODULE = import.meta.resolve('#engines/full/vm/compiled-module.js');
/** (func (export "answer") (result i32) i32.const 42) */
const ANSWER = '0061736d010000000105016000017f0302010007 0a0106616e737765720000 0a06010400412a0b'.replaceAll(' ', '');

function run(script: string, flags: string[] = []): string {
  const text = `
    import { compiledCode, restoredModule } from ${JSON.stringify(MODULE)};
    const bytes = new Uint8Array(Buffer.from('${ANSWER}', 'hex'));
    const answer = (module) => new WebAssembly.Instance(module).exports.answer();
    ${script}`;
  return execFileSync(process.execPath, [...flags, '--input-type=module', '-e', text], { encoding: 'utf8' }).trim();
}

const code = () => run(`console.log(Buffer.from(compiledCode(bytes)).toString('base64'))`);
const restore = (kept: string, flags: string[] = []) =>
  run(
    `const module = restoredModule(bytes, new Uint8Array(Buffer.from('${kept}', 'base64')));
     console.log(module === undefined ? 'refused' : answer(module));`,
    flags,
  );

describe('the code of a module', () => {
  it('is taken by another process, which need not compile', () => {
    expect(restore(code())).toBe('42');
  });

  it('is that of the CPU in each VM’s process', () => {
    const [program] = vmMain().arguments;
    const cache = (name: string) => {
      const file = readdirSync(dirname(program)).find((other) =>
        new RegExp(`^${basename(program)}\\.[-\\d.]+\\.${name}\\.cache$`).test(other),
      );
      return `new Uint8Array(readFileSync(${JSON.stringify(join(dirname(program), file ?? 'none'))}))`;
    };
    const exported = run(`
      import { readFileSync } from 'node:fs';
      const module = restoredModule(${cache('interpreter')}, ${cache('interpreter-code')});
      console.log(WebAssembly.Module.exports(module).map(({ name }) => name));`);
    expect(exported).toMatch(/run/);
  });

  it('is refused where it is damaged, or made under other flags', () => {
    const kept = code();
    const damaged = Buffer.from(kept, 'base64');
    damaged[damaged.length >> 1] ^= 1;
    expect(restore(damaged.toString('base64'))).toBe('refused');
    expect(restore(Buffer.from(kept, 'base64').subarray(0, 3).toString('base64'))).toBe('refused');
    expect(restore(kept, ['--no-opt'])).toBe('refused');
  });

  it('leaves no flag behind: V8 would refuse what Node has compiled', () => {
    const toggled = run(`
      import { setFlagsFromString } from 'node:v8';
      import { Script } from 'node:vm';
      const before = new Script('1 + 1').createCachedData();
      const module = restoredModule(bytes, new Uint8Array(8));
      console.log(module, new Script('1 + 1', { cachedData: before }).cachedDataRejected);`);
    expect(toggled).toBe('undefined false');
  });
});
