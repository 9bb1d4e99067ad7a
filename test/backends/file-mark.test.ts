import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { isMarked } from '#engines/backends/file-mark.js';
import { createIoContext, uringProblem } from '#engines/backends/io-context.js';
import { createKickArea } from '#engines/backends/kick.js';
import { libc } from '#engines/backends/libc.js';

const folder = mkdtempSync(join(tmpdir(), 'virtax-mark-'));
afterAll(() => rmSync(folder, { recursive: true }));
const c = libc();

it.skipIf(c === undefined)('a mark is there while the file is open, and for nobody else’s number', () => {
  const path = join(folder, 'disk');
  writeFileSync(path, Buffer.alloc(4096));
  const io = createIoContext(createKickArea(1), 0, { waiting: { pollUs: 0 } });
  const mark = 2 ** 40 + 5;
  const handle = io.openBlock(path, { direct: false, readonly: false, mark });
  expect(io.blockInfo(handle).marked).toBe(true);
  const other = io.openBlock(path, { direct: false, readonly: true, mark });
  const marks = () => [mark, mark + 1, 5].map((each) => c !== undefined && isMarked(c, path, each));
  expect(marks()).toEqual([true, false, false]);
  io.close(handle);
  expect(marks()).toEqual([true, false, false]);
  io.close(other);
  expect(marks()).toEqual([false, false, false]);
  io.dispose();
});

// A pipe that nobody writes to: a request that stays in flight.
it.skipIf(c === undefined || uringProblem() !== undefined)(
  'a mark outlives its descriptor while a request is in flight',
  () => {
    const path = join(folder, 'pipe');
    execFileSync('mkfifo', [path]);
    const io = createIoContext(createKickArea(1), 0, { waiting: { pollUs: 0 } });
    const memory = io.addMemory(new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true }));
    const handle = io.openBlock(path, { direct: false, readonly: false, mark: 7 });
    io.read(handle, memory, 0, 512, 0, () => {});
    io.submit();
    io.close(handle);
    const marked = () => c !== undefined && isMarked(c, path, 7);
    expect(marked()).toBe(true);
    io.poll();
    expect(marked()).toBe(true);
    io.dispose();
  },
);
