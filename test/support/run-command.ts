import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

export const VIRTAX = fileURLToPath(new URL('../../virtax.mjs', import.meta.url));

/** `virtax run` to its end; `input` is typed when the guest has written `prompt`. */
export async function runCommand(args: readonly string[], { prompt, input = '' }: { prompt: string; input?: string }) {
  const child = spawn(process.execPath, [VIRTAX, 'run', ...args]);
  let [stdout, stderr] = ['', ''];
  let typed = input === '';
  child.stdout.on('data', (chunk: Buffer) => {
    stdout += chunk.toString();
    if (typed || !stdout.includes(prompt)) return;
    typed = true;
    child.stdin.write(input);
  });
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  const [status] = (await once(child, 'close')) as [number];
  return { status, stdout, stderr };
}
