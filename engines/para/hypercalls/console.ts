/** console_io: bytes out, bytes in, and the doorbells that time a sample. */
import {
  CONSOLEIO_doorbell,
  CONSOLEIO_read,
  CONSOLEIO_write,
  DOORBELL_start,
  DOORBELL_stop,
  PARA_CONSOLE_WRITE_MAX,
  PARA_EAGAIN,
  PARA_EINVAL,
  PARA_EIO,
  PARA_ENOSYS,
} from '../abi.js';
import { clockNs } from '../clock.js';
import { consoleAppend, consoleNeedsNotice, consoleTake, RECORD_DOORBELL, RECORD_TEXT } from '../console.js';
import { COUNTER_COUNT, sumCounters } from '../counters.js';
import { domainCpuSeconds } from '../cpu-clock.js';
import { DOM } from '../hypervisor-memory.js';
import type { Vcpu } from '../vcpu.js';

export function consoleIo(vcpu: Vcpu, cmd: number, arg1: number, arg2: number): number {
  switch (cmd) {
    case CONSOLEIO_write:
      return write(vcpu, arg1 >>> 0, arg2);
    case CONSOLEIO_read:
      return read(vcpu, arg1 >>> 0, arg2);
    case CONSOLEIO_doorbell:
      return doorbell(vcpu, arg1);
    default:
      return -PARA_ENOSYS;
  }
}

function append(vcpu: Vcpu, kind: number, payload: Uint8Array): boolean {
  const taken = consoleAppend(vcpu.hv, vcpu.domain, kind, payload);
  if (consoleNeedsNotice(vcpu.hv, vcpu.domain)) vcpu.parts.notifyMain();
  return taken;
}

function write(vcpu: Vcpu, bytes: number, address: number): number {
  if (bytes > PARA_CONSOLE_WRITE_MAX) return -PARA_EINVAL;
  const at = vcpu.memory.buffer(address, bytes);
  if (at < 0) return at;
  const taken = bytes === 0 || append(vcpu, RECORD_TEXT, vcpu.memory.u8.subarray(at, at + bytes));
  return taken ? bytes : -PARA_EAGAIN;
}

function read(vcpu: Vcpu, most: number, address: number): number {
  if (most > PARA_CONSOLE_WRITE_MAX) return -PARA_EINVAL;
  const at = vcpu.memory.buffer(address, most);
  if (at < 0) return at;
  // Looked at first: bytes that came before the end are still read after it.
  const ended = Atomics.load(vcpu.hv.i32, vcpu.domainWord + DOM.inputEnded) !== 0;
  const bytes = consoleTake(vcpu.hv, vcpu.domain, most);
  vcpu.memory.u8.set(bytes, at);
  return bytes.length === 0 && most > 0 && ended ? -PARA_EIO : bytes.length;
}

/** Everything that costs time is read outside of the interval: before the start's stamp, after the stop's. */
function doorbell(vcpu: Vcpu, which: number): number {
  if (which !== DOORBELL_start && which !== DOORBELL_stop) return -PARA_EINVAL;
  const record = new Float64Array(3 + COUNTER_COUNT);
  record[0] = which;
  const fill = () => {
    vcpu.publishIoCounters();
    sumCounters(vcpu.hv, vcpu.domain, vcpu.vcpus, record.subarray(3));
    record[2] = domainCpuSeconds(vcpu.hv, vcpu.domain, vcpu.vcpus);
  };
  if (which === DOORBELL_stop) record[1] = clockNs();
  fill();
  if (which === DOORBELL_start) record[1] = clockNs();
  return append(vcpu, RECORD_DOORBELL, new Uint8Array(record.buffer)) ? 0 : -PARA_EAGAIN;
}
