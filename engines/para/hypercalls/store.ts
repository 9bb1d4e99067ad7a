/** store_op: the guest's way to the store. The work is in store.ts; here the arguments are checked and copied. */
import {
  PARA_EINVAL,
  PARA_ENOENT,
  PARA_ENOSYS,
  PARA_STORE_DIRECTORY_MAX,
  PARA_STORE_PATH_MAX,
  PARA_STORE_VALUE_MAX,
  STORE_STATE_CONNECTED,
  STOREOP_directory,
  STOREOP_get_perms,
  STOREOP_read,
  STOREOP_rm,
  STOREOP_set_perms,
  STOREOP_transaction_end,
  STOREOP_transaction_start,
  STOREOP_unwatch,
  STOREOP_watch,
  STOREOP_watch_event,
  STOREOP_write,
  store_request,
} from '../abi.js';
import type { GuestAddress } from '../guest-memory.js';
import { DOM, DomainState, MAX_DOMAINS } from '../hypervisor-memory.js';
import { isStorePath, Store } from '../store.js';
import type { Vcpu } from '../vcpu.js';

const STATE = /^device\/(vbd|vif)\/0\/queue-(\d{1,2})\/state$/;
const ABSOLUTE = /^\/local\/domain\/(\d{1,3})(?:\/(.*))?$/s;
const TOKEN_MAX = 0x7fffffff;

/** A request as it was read, once. */
interface Request {
  vcpu: Vcpu;
  domain: number;
  /** In that domain's part; "": its root. */
  path: string;
  valueAt: GuestAddress;
  valueBytes: number;
  tx: number;
  token: number;
}

type Operation = (request: Request) => number;

const OPERATIONS: Record<number, Operation> = {
  [STOREOP_directory]: (r) => answer(r, storeOf(r).directory(r.vcpu.domain, r.path, r.tx)),
  [STOREOP_read]: (r) => answer(r, storeOf(r).read(r.vcpu.domain, r.path, r.tx)),
  [STOREOP_get_perms]: (r) => answer(r, storeOf(r).getPermissions(r.vcpu.domain, r.path)),
  [STOREOP_watch]: (r) => ownStore(r.vcpu).watch(r.domain, r.path, r.token),
  [STOREOP_unwatch]: (r) => ownStore(r.vcpu).unwatch(r.domain, r.path, r.token),
  [STOREOP_transaction_start]: (r) => ownStore(r.vcpu).start(),
  [STOREOP_transaction_end]: endTransaction,
  [STOREOP_write]: write,
  [STOREOP_rm]: (r) => storeOf(r).remove(r.vcpu.domain, r.path, r.tx),
  [STOREOP_set_perms]: (r) => storeOf(r).setPermissions(r.vcpu.domain, r.path, textOf(r)),
};
const WITHOUT_PATH = new Set<number>([STOREOP_transaction_start, STOREOP_transaction_end]);
const ROOT_ALLOWED = new Set<number>([STOREOP_directory, STOREOP_watch, STOREOP_unwatch]);
const IN_TRANSACTION = new Set<number>([
  STOREOP_directory,
  STOREOP_read,
  STOREOP_write,
  STOREOP_rm,
  STOREOP_transaction_end,
]);

export function storeOp(vcpu: Vcpu, cmd: number, arg1: number): number {
  if (cmd === STOREOP_watch_event) return ownStore(vcpu).takeEvent();
  const operation = Object.hasOwn(OPERATIONS, cmd) ? OPERATIONS[cmd] : undefined;
  if (operation === undefined) return -PARA_ENOSYS;
  const request = readRequest(vcpu, cmd, arg1);
  return typeof request === 'number' ? request : operation(request);
}

/** The request, or an error. */
function readRequest(vcpu: Vcpu, cmd: number, address: number): Request | number {
  const { memory } = vcpu;
  const at = memory.struct(address, store_request.SIZE);
  if (at < 0) return at;
  const tx = memory.u32(at, store_request.tx_id);
  const token = memory.u32(at, store_request.token);
  const valueBytes = memory.u32(at, store_request.value_bytes);
  const most = cmd === STOREOP_directory ? PARA_STORE_DIRECTORY_MAX : PARA_STORE_VALUE_MAX;
  if (valueBytes > most || token > TOKEN_MAX || (tx !== 0 && !IN_TRANSACTION.has(cmd))) return -PARA_EINVAL;
  const valueAt = memory.buffer(memory.u32(at, store_request.value), valueBytes);
  const place = WITHOUT_PATH.has(cmd) ? { domain: vcpu.domain, path: '' } : readPath(vcpu, cmd, at);
  if (typeof place === 'number') return place;
  if (valueAt < 0) return valueAt;
  if (tx !== 0 && place.domain !== vcpu.domain) return -PARA_EINVAL;
  return { vcpu, ...place, valueAt, valueBytes, tx, token };
}

function readPath(vcpu: Vcpu, cmd: number, at: GuestAddress): { domain: number; path: string } | number {
  const { memory } = vcpu;
  const bytes = memory.u32(at, store_request.path_bytes);
  if (bytes > PARA_STORE_PATH_MAX) return -PARA_EINVAL;
  const from = memory.buffer(memory.u32(at, store_request.path), bytes);
  if (from < 0) return from;
  const text = textAt(vcpu, from, bytes);
  const absolute = ABSOLUTE.exec(text);
  const domain = absolute === null ? vcpu.domain : Number(absolute[1]);
  const path = absolute === null ? text : (absolute[2] ?? '');
  const valid = path === '' ? ROOT_ALLOWED.has(cmd) : isStorePath(path);
  if (!valid) return -PARA_EINVAL;
  return isRunning(vcpu, domain) ? { domain, path } : -PARA_ENOENT;
}

function isRunning({ hv }: Vcpu, domain: number): boolean {
  if (domain < 1 || domain >= MAX_DOMAINS) return false;
  return Atomics.load(hv.i32, hv.domainWord(domain) + DOM.state) === DomainState.running;
}

const ownStore = (vcpu: Vcpu): Store => new Store(vcpu.hv, vcpu.domain, vcpu.events);
const storeOf = ({ vcpu, domain }: Request): Store => new Store(vcpu.hv, domain, vcpu.events);

const textAt = (vcpu: Vcpu, at: number, bytes: number): string =>
  Buffer.from(vcpu.memory.u8.slice(at, at + bytes)).toString('latin1');
const textOf = ({ vcpu, valueAt, valueBytes }: Request): string => textAt(vcpu, valueAt, valueBytes);

/** As much of the value as there is room for, and how long it is. */
function answer({ vcpu, valueAt, valueBytes }: Request, value: string | number): number {
  if (typeof value === 'number') return value;
  vcpu.memory.u8.set(Buffer.from(value.slice(0, valueBytes), 'latin1'), valueAt);
  return value.length;
}

function endTransaction(request: Request): number {
  const how = textOf(request);
  if (how !== 'T' && how !== 'F') return -PARA_EINVAL;
  return ownStore(request.vcpu).end(request.tx, how === 'T');
}

/** The write of a queue's state connects it, and says so if that fails. */
function write(request: Request): number {
  const { vcpu, domain, path, tx } = request;
  const value = textOf(request);
  const queue = domain === vcpu.domain ? STATE.exec(path) : null;
  if (queue !== null && tx !== 0) return -PARA_EINVAL;
  if (queue !== null && value === String(STORE_STATE_CONNECTED)) {
    const error = vcpu.coreOs.connect(queue[1] as 'vbd' | 'vif', Number(queue[2]));
    if (error < 0) return error;
  }
  return storeOf(request).write(vcpu.domain, path, value, tx);
}
