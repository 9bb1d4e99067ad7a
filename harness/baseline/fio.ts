import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { BuildError } from '../../workloads/build/compiler.js';

const run = promisify(execFile);

export interface FioJob {
  operation: 'read' | 'write' | 'randread' | 'randwrite';
  blockBytes: number;
  depth: number;
  engine: string;
  direct: boolean;
  file: string;
  /** Part of the file, bytes. */
  offset: number;
  size: number;
}

/** One run of fio for so many seconds; requests and bytes a second as fio counts them. */
export async function fio(job: FioJob, seconds: number): Promise<{ iops: number; bytesPerSecond: number }> {
  const options = {
    name: 'baseline',
    rw: job.operation,
    bs: job.blockBytes,
    iodepth: job.depth,
    ioengine: job.engine,
    direct: job.direct ? 1 : 0,
    filename: job.file,
    offset: job.offset,
    size: job.size,
    runtime: seconds,
    time_based: 1,
    end_fsync: job.operation.endsWith('write') ? 1 : 0,
    randrepeat: 0,
    allow_file_create: 0,
    'output-format': 'json',
  };
  const args = Object.entries(options).map(([key, value]) => `--${key}=${value}`);
  try {
    const { stdout } = await run('fio', args, { timeout: 60_000, maxBuffer: 1 << 24 });
    const side = JSON.parse(stdout.slice(stdout.indexOf('{'))).jobs[0][
      job.operation.endsWith('write') ? 'write' : 'read'
    ];
    return { iops: side.iops, bytesPerSecond: side.bw_bytes };
  } catch (error) {
    const { code, stderr } = error as { code?: string; stderr?: string };
    if (code === 'ENOENT') throw new BuildError('fio is not installed. On Debian: apt install fio.');
    throw new BuildError(`fio failed: ${stderr ?? String(error)}`);
  }
}
