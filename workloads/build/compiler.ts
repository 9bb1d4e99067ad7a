import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** The one compiler of all images; its version stands in the manifest. */
export const COMPILER = process.env.VIRTAX_CLANG ?? 'clang-19';

/** A message for people: no stack trace helps whoever has a mistake in C, or no compiler. */
export class BuildError extends Error {
  override readonly name = 'BuildError';
}

export async function compile(args: string[], cwd: string): Promise<string> {
  try {
    const { stdout, stderr } = await run(COMPILER, args, { cwd, maxBuffer: 1 << 24 });
    return stdout + stderr;
  } catch (error) {
    const { code, stderr } = error as { code?: string | number; stderr?: string };
    if (code === 'ENOENT') {
      throw new BuildError(
        `${COMPILER} is not installed. On Debian: apt install clang-19 lld-19. (VIRTAX_CLANG names another.)`,
      );
    }
    throw new BuildError(`${COMPILER} ${args.join(' ')}\n${stderr ?? String(error)}`);
  }
}

/** First line of `--version`, without the folder that it is installed in. */
export async function compilerVersion(): Promise<string> {
  return (await compile(['--version'], '.')).split('\n')[0] ?? 'unknown';
}

/** Runs the jobs, at most `width` at once; results in order. */
export async function inParallel<T, R>(items: T[], width: number, job: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = new Array(items.length);
  let next = 0;
  const lane = async () => {
    for (let i = next++; i < items.length; i = next++) results[i] = await job(items[i] as T);
  };
  await Promise.all(Array.from({ length: width }, lane));
  return results;
}
