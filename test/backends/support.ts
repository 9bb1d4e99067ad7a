import { createIoContext } from '#engines/backends/io-context.js';
import { createKickArea } from '#engines/backends/kick.js';

/** Why io_uring cannot be tested on this host; undefined when it can. */
export function uringProblem(): string | undefined {
  process.env.VIRTAX_IO = 'io_uring';
  try {
    createIoContext(createKickArea(1), 0, { waiting: { pollUs: 0 } }).dispose();
    return undefined;
  } catch (error) {
    return String(error);
  } finally {
    delete process.env.VIRTAX_IO;
  }
}
