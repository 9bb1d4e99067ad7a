import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseResults, type Results, readResults, resultsJsonSchema, writeResults } from '#harness/results.js';
import { sampleResults } from '../support/sample-results.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'virtax-results-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('results.json', () => {
  it('is read back as it was written, and leaves no temporary file', async () => {
    const path = join(folder, 'results.json');
    const results = sampleResults();
    await writeResults(path, results);
    expect(await readResults(path)).toEqual(results);
    expect(await readdir(folder)).toEqual(['results.json']);
  });

  it('is published as the JSON Schema that is committed', async () => {
    const committed = await readFile(new URL('../../harness/results.schema.json', import.meta.url), 'utf8');
    expect(JSON.parse(committed)).toEqual(JSON.parse(resultsJsonSchema()));
  });

  it('says that a truncated file is truncated, wherever it was cut', () => {
    const text = JSON.stringify(sampleResults());
    for (const at of [1, 20, Math.floor(text.length / 2), text.length - 1]) {
      expect(() => parseResults(text.slice(0, at), 'cut.json')).toThrow(/^cut\.json is not valid JSON/);
    }
    expect(() => parseResults(text.slice(0, 900), 'cut.json')).toThrow(/truncated/);
    expect(() => parseResults('', 'none.json')).toThrow('none.json is empty');
  });

  it.each(['null', '[]', '7', '"x"', '{}', '{"name":"virtax","version":"1"}', '{"schema":1,"tool":null}'])(
    'refuses a foreign file: %s',
    (text) => expect(() => parseResults(text, 'foreign.json')).toThrow('foreign.json is not a virtax results file'),
  );

  it('refuses another schema version and names the version that wrote it', () => {
    const other = { ...sampleResults(), schema: 99, tool: { name: 'virtax', version: '9.1' } };
    expect(() => parseResults(JSON.stringify(other), 'new.json')).toThrow(/schema 99, written by virtax 9\.1/);
  });

  it('names the place where a file was edited', () => {
    const edited = JSON.parse(JSON.stringify(sampleResults())) as Results;
    (edited.cells[0] as { median: unknown }).median = 'fast';
    expect(() => parseResults(JSON.stringify(edited), 'x.json')).toThrow(/cells\[0\]\.median/);
  });

  it('names a missing file and a folder', async () => {
    await expect(readResults(join(folder, 'none.json'))).rejects.toThrow(/there is no such file/);
    await expect(readResults(folder)).rejects.toThrow(/it is a folder/);
  });

  it('never writes what it could not read: infinity stays out, and the old file stays', async () => {
    const path = join(folder, 'keep.json');
    await writeResults(path, sampleResults());
    const broken = sampleResults();
    broken.cells[0].median = Number.POSITIVE_INFINITY;
    await expect(writeResults(path, broken)).rejects.toThrow();
    expect(await readResults(path)).toEqual(sampleResults());
  });
});
