/** The tool modes of the native image: `mkdisk` makes a pristine disk file, `peer` answers the network workloads. */
import { withHostCpus } from '../engines/process/affinity.js';
import { type Child, startNative } from '../engines/process/child.js';
import { nativeImage } from '../workloads/images.js';

const PEER_START_MS = 10_000;
const MKDISK_MS = 10 * 60_000;

/** Makes the file of a disk. @throws Error with the tool's own words */
export async function makeDisk(path: string, bytes: number): Promise<void> {
  const child = startNative(nativeImage().path, ['mkdisk', path, String(bytes)]);
  child.process.stdout?.resume();
  if (!(await child.endsWithin(MKDISK_MS))) await child.stop();
  const end = await child.exited;
  if (end !== 'exit status 0') throw new Error(child.stderr.tail().join(' | ') || `mkdisk ended with ${end}`);
}

/** The UDP peer of the network workloads, one process for the whole run and all engines. */
export class Peer {
  private child: Child | undefined;
  private portNumber = 0;

  /** @param cpu the host's CPU that it runs on; undefined: any */
  constructor(private readonly cpu?: number) {}

  /** Its port on 127.0.0.1. Starts it at the first call, and again, on the same port, should it have died. */
  async port(): Promise<number> {
    if (this.child !== undefined && this.child.ended === undefined) return this.portNumber;
    const known = this.portNumber === 0 ? [] : [String(this.portNumber)];
    const cpus = this.cpu === undefined ? undefined : [this.cpu];
    this.child = withHostCpus(cpus, () => startNative(nativeImage().path, ['peer', ...known]));
    this.portNumber = await announcedPort(this.child);
    return this.portNumber;
  }

  /** Never rejects. */
  async stop(): Promise<void> {
    await this.child?.stop();
  }
}

/** Reads `peer port=N` from the child's first line. */
async function announcedPort(child: Child): Promise<number> {
  const announced = new Promise<number>((resolve) => {
    let text = '';
    child.process.stdout?.on('data', (chunk: Buffer) => {
      text = (text + chunk.toString('latin1')).slice(0, 200);
      const port = /^peer port=(\d+)\n/.exec(text)?.[1];
      if (port !== undefined) resolve(Number(port));
    });
  });
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new Error(`the network peer did not start within ${PEER_START_MS} ms`)),
      PEER_START_MS,
    );
    child.exited.then((end) =>
      reject(new Error(`the network peer ended: ${end} ${child.stderr.tail().join(' | ')}`.trim())),
    );
  });
  late.catch(() => {});
  try {
    return await Promise.race([announced, late]);
  } catch (error) {
    await child.stop();
    throw error;
  } finally {
    clearTimeout(timer);
  }
}
