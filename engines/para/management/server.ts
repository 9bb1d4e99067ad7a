/** The hypervisor's socket: its user's other processes see its domains there, and drive them (virtax domains). */
import { chmodSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import type { Hypervisor } from '../hypervisor.js';
import { Attachment } from './attachment.js';
import { hypervisorPids, openSocketFolder, socketPath } from './folder.js';

const OWNER_ONLY = 0o600;
const NOT_OTHERS = 0o177;
const MAX_LINE = 65536;

export interface ManagementOptions {
  /** Processes that connect may start domains. */
  open?: boolean;
}

/** Rejects with a sentence when there can be no socket. What dead hypervisors left is removed. */
export async function serveManagement(
  hypervisor: Hypervisor,
  { open = false }: ManagementOptions = {},
): Promise<Server> {
  openSocketFolder();
  hypervisorPids();
  const path = socketPath(process.pid);
  const server = createServer((socket) => converse(socket, hypervisor, open));
  await new Promise<void>((resolve, reject) => {
    server.on('error', reject);
    const before = process.umask(NOT_OTHERS); // bound in listen() itself: nobody else can connect at any time
    server.listen(path, resolve);
    process.umask(before);
  });
  chmodSync(path, OWNER_ONLY);
  return server.unref();
}

function converse(socket: Socket, hypervisor: Hypervisor, open: boolean): void {
  const say = (line: object): void => {
    if (socket.writable) socket.write(`${JSON.stringify(line)}\n`);
  };
  const attachment = new Attachment(hypervisor, open, say);
  socket.on('close', () => attachment.close());
  socket.on('error', () => socket.destroy());
  let unbroken = 0;
  socket.on('data', (chunk: Buffer) => {
    const end = chunk.lastIndexOf('\n');
    unbroken = end < 0 ? unbroken + chunk.length : chunk.length - end;
    if (unbroken > MAX_LINE) socket.destroy();
  });
  createInterface({ input: socket }).on('line', async (line) => {
    const { answerLine } = await import('./commands.js'); // zod takes long to load, and most processes are never asked
    const answer = await answerLine(line, hypervisor, attachment);
    if (answer !== undefined) say(answer);
  });
}
