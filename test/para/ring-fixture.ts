/** The front end's side of block and network rings, laid out by hand in a FakeGuest's memory. */
import * as abi from '#engines/para/abi.js';
import type { FakeGuest, FakeVcpu } from './guest-fixture.js';

/** Where things lie in the fake guest's memory. */
export const AT = { info: 0x1000, table: 0x4000, ring: 0x8000, rx: 0xa000, data: 0x10000 } as const;
const HEADER = abi.ring_header.SIZE;

export interface Request {
  operation?: number;
  segments?: [gref: number, offset: number, bytes: number][];
  sector?: number;
  id?: number;
  handle?: number;
  nrSegments?: number;
}

/** Grants 1.. are one frame of data each; grant 0 is the block ring, 60 and 61 the network's. */
export function connectBlock(guest: FakeGuest, cpu: FakeVcpu = guest.cpu): number {
  setupGrants(guest);
  if (cpu.vcpu.info === 0) cpu.withInfo(AT.info);
  guest.grant(AT.table, 0, AT.ring / 4096, 2);
  guest.put(AT.ring + abi.ring_header.rsp_event, 1);
  const port = cpu.event(abi.EVTCHNOP_alloc_unbound, abi.DOMID_CORE_OS);
  const base = `device/vbd/0/queue-${cpu.id}`;
  cpu.storeWrite(`${base}/ring-ref`, '0');
  cpu.storeWrite(`${base}/event-channel`, String(port));
  const error = cpu.storeWrite(`${base}/state`, '4');
  if (error !== 0) throw new Error(`connect: ${error}`);
  return port;
}

export function connectNet(guest: FakeGuest, cpu: FakeVcpu = guest.cpu): number {
  setupGrants(guest);
  if (cpu.vcpu.info === 0) cpu.withInfo(AT.info);
  guest.grant(AT.table, 60, AT.ring / 4096, 1);
  guest.grant(AT.table, 61, AT.rx / 4096, 1);
  for (const ring of [AT.ring, AT.rx]) guest.put(ring + abi.ring_header.rsp_event, 1);
  const port = cpu.event(abi.EVTCHNOP_alloc_unbound, abi.DOMID_CORE_OS);
  const base = `device/vif/0/queue-${cpu.id}`;
  cpu.storeWrite(`${base}/tx-ring-ref`, '60');
  cpu.storeWrite(`${base}/rx-ring-ref`, '61');
  cpu.storeWrite(`${base}/event-channel`, String(port));
  const error = cpu.storeWrite(`${base}/state`, '4');
  if (error !== 0) throw new Error(`connect: ${error}`);
  return port;
}

function setupGrants(guest: FakeGuest): void {
  guest.cpu.call(abi.HYPERVISOR_grant_table_op, abi.GNTTABOP_setup_table, AT.table, 64);
  for (let ref = 1; ref < 60; ref++) guest.grant(AT.table, ref, AT.data / 4096 + ref, 1);
}

/** Address of the frame that grant `ref` (1..59) covers. */
export const dataOf = (ref: number): number => AT.data + ref * 4096;

export function putRequest(guest: FakeGuest, counter: number, request: Request): void {
  const { operation = abi.BLKIF_OP_READ, segments = [], sector = 0, id = counter, handle = 0 } = request;
  const nr = request.nrSegments ?? segments.length;
  const at = AT.ring + HEADER + (counter % abi.BLKIF_RING_SIZE) * abi.BLKIF_SLOT_BYTES;
  const low = sector % 2 ** 32;
  guest.put(at, operation | (nr << 8) | (handle << 16), 0, id, 0, low, Math.floor(sector / 2 ** 32));
  guest.put(at + abi.blkif_request.seg, ...segments.flat());
}

/** A discard of whole sectors. */
export function putDiscard(guest: FakeGuest, counter: number, sector: number, sectors: number, flags = 0): void {
  const at = AT.ring + HEADER + (counter % abi.BLKIF_RING_SIZE) * abi.BLKIF_SLOT_BYTES;
  const words = (value: number): [number, number] => [value % 2 ** 32, Math.floor(value / 2 ** 32)];
  guest.put(at, abi.BLKIF_OP_DISCARD | flags, 0, counter, 0, ...words(sector), ...words(sectors));
}

/** An indirect request whose descriptors the test has put where grant `gref` and `offset` say. */
export function putIndirect(
  guest: FakeGuest,
  counter: number,
  request: { operation: number; nr: number; sector?: number; gref: number; offset?: number; reserved?: number },
): void {
  const { operation, nr, sector = 0, gref, offset = 0, reserved = 0 } = request;
  const at = AT.ring + HEADER + (counter % abi.BLKIF_RING_SIZE) * abi.BLKIF_SLOT_BYTES;
  guest.put(at, abi.BLKIF_OP_INDIRECT | (operation << 8) | (nr << 16), reserved, counter, 0, sector, 0, gref, offset);
}

/** Shows requests up to `prod` (not included); true if the back end wants to be told. */
export function push(guest: FakeGuest, prod: number, ring: number = AT.ring): boolean {
  const old = guest.u32(ring);
  guest.put(ring + abi.ring_header.req_prod, prod);
  return (prod - guest.u32(ring + abi.ring_header.req_event)) >>> 0 < (prod - old) >>> 0;
}

export const rspProd = (guest: FakeGuest, ring: number = AT.ring): number => guest.u32(ring + abi.ring_header.rsp_prod);

export function response(guest: FakeGuest, counter: number): { id: number; operation: number; status: number } {
  const at = AT.ring + HEADER + (counter % abi.BLKIF_RING_SIZE) * abi.BLKIF_SLOT_BYTES;
  return { id: guest.u32(at), operation: guest.u32(at + 8), status: guest.u32(at + 12) | 0 };
}

/** Puts one request, notifies, reaps: its status. */
export function roundTrip(guest: FakeGuest, port: number, request: Request): number {
  const counter = guest.u32(AT.ring);
  putRequest(guest, counter, request);
  if (push(guest, counter + 1)) guest.cpu.event(abi.EVTCHNOP_send, port);
  guest.cpu.poll();
  guest.put(AT.ring + abi.ring_header.rsp_event, counter + 2);
  return response(guest, counter).status;
}
