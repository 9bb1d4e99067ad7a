/** store_op: reads of configuration, and the writes by which a front end connects its queues. */
import {
  PARA_EACCES,
  PARA_EINVAL,
  PARA_ENOENT,
  PARA_ENOSYS,
  PARA_STORE_PATH_MAX,
  PARA_STORE_VALUE_MAX,
  STORE_STATE_CONNECTED,
  STOREOP_read,
  STOREOP_write,
  store_request,
} from '../abi.js';
import { Store } from '../store.js';
import type { Vcpu } from '../vcpu.js';

const DEVICE = 'device/';
const STATE = /^device\/(vbd|vif)\/0\/queue-(\d{1,2})\/state$/;

export function storeOp(vcpu: Vcpu, cmd: number, arg1: number): number {
  if (cmd !== STOREOP_read && cmd !== STOREOP_write) return -PARA_ENOSYS;
  const { memory } = vcpu;
  const at = memory.struct(arg1, store_request.SIZE);
  if (at < 0) return at;
  const pathBytes = memory.u32(at, store_request.path_bytes);
  const valueBytes = memory.u32(at, store_request.value_bytes);
  if (pathBytes < 1 || pathBytes > PARA_STORE_PATH_MAX || valueBytes > PARA_STORE_VALUE_MAX) return -PARA_EINVAL;
  const pathAt = memory.buffer(memory.u32(at, store_request.path), pathBytes);
  const valueAt = memory.buffer(memory.u32(at, store_request.value), valueBytes);
  if (pathAt < 0) return pathAt;
  if (valueAt < 0) return valueAt;
  const path = memory.u8.slice(pathAt, pathAt + pathBytes);
  if (cmd === STOREOP_write) return write(vcpu, path, memory.u8.slice(valueAt, valueAt + valueBytes));
  const value = new Store(vcpu.hv, vcpu.domain).read(path);
  if (value === undefined) return -PARA_ENOENT;
  memory.u8.set(value.subarray(0, valueBytes), valueAt);
  return value.length;
}

function write(vcpu: Vcpu, path: Uint8Array, value: Uint8Array): number {
  const text = Buffer.from(path).toString('latin1');
  if (!text.startsWith(DEVICE)) return -PARA_EACCES;
  const queue = STATE.exec(text);
  if (queue !== null && Buffer.from(value).toString('latin1') === String(STORE_STATE_CONNECTED)) {
    const error = vcpu.coreOs.connect(queue[1] as 'vbd' | 'vif', Number(queue[2]));
    if (error < 0) return error;
  }
  return new Store(vcpu.hv, vcpu.domain).setByGuest(path, value);
}
