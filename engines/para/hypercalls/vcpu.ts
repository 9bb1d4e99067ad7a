/** vcpu_op: starting and ending vCPUs, their timer and their vcpu_info. */
import {
  PARA_EBUSY,
  PARA_EINVAL,
  PARA_ENOSYS,
  PARA_EOPNOTSUPP,
  PARA_EPERM,
  PARA_ETIME,
  PARA_PERIOD_MIN_NS,
  VCPU_SSHOTTMR_future,
  VCPUOP_down,
  VCPUOP_get_runstate_info,
  VCPUOP_get_time,
  VCPUOP_initialise,
  VCPUOP_is_up,
  VCPUOP_register_runstate_memory_area,
  VCPUOP_register_vcpu_info,
  VCPUOP_set_periodic_timer,
  VCPUOP_set_singleshot_timer,
  VCPUOP_stop_periodic_timer,
  VCPUOP_stop_singleshot_timer,
  VCPUOP_up,
  vcpu_guest_context,
  vcpu_info,
  vcpu_runstate_info,
  vcpu_set_periodic_timer,
  vcpu_set_singleshot_timer,
} from '../abi.js';
import { clockNs } from '../clock.js';
import { DOM, VCPU, VcpuState } from '../hypervisor-memory.js';
import { writeRunstate } from '../runstate.js';
import { type Vcpu, VcpuStop } from '../vcpu.js';

export function vcpuOp(vcpu: Vcpu, cmd: number, arg1: number, arg2: number): number {
  if (cmd === VCPUOP_get_time) return getTime(vcpu, arg2);
  const id = arg1 >>> 0;
  if (id >= vcpu.vcpus) return -PARA_EINVAL;
  switch (cmd) {
    case VCPUOP_initialise:
      return initialise(vcpu, id, arg2);
    case VCPUOP_up:
      return up(vcpu, id);
    case VCPUOP_is_up:
      return Atomics.load(vcpu.hv.i32, vcpu.hv.vcpuWord(vcpu.domain, id) + VCPU.state) === VcpuState.offline ? 0 : 1;
    case VCPUOP_get_runstate_info:
      return getRunstate(vcpu, id, arg2);
  }
  if (id !== vcpu.id) return -PARA_EINVAL; // the rest is for the calling vCPU alone
  switch (cmd) {
    case VCPUOP_down:
      if (id === 0) return -PARA_EPERM;
      throw new VcpuStop();
    case VCPUOP_set_singleshot_timer:
      return setTimer(vcpu, arg2);
    case VCPUOP_stop_singleshot_timer:
      vcpu.setSingleshot(0);
      return 0;
    case VCPUOP_set_periodic_timer:
      return setPeriodic(vcpu, arg2);
    case VCPUOP_stop_periodic_timer:
      vcpu.setPeriodic(0);
      return 0;
    case VCPUOP_register_runstate_memory_area:
      return registerArea(vcpu, arg2);
    case VCPUOP_register_vcpu_info:
      return registerInfo(vcpu, arg2);
    default:
      return -PARA_ENOSYS;
  }
}

function getTime(vcpu: Vcpu, address: number): number {
  const at = vcpu.memory.struct(address, 8);
  if (at < 0) return at;
  vcpu.memory.setU64(at, 0, clockNs());
  return 0;
}

function initialise(vcpu: Vcpu, id: number, address: number): number {
  const { memory, hv } = vcpu;
  const at = memory.struct(address, vcpu_guest_context.SIZE);
  if (at < 0) return at;
  const word = hv.vcpuWord(vcpu.domain, id);
  if (id === 0) return -PARA_EINVAL;
  if (Atomics.load(hv.i32, word + VCPU.state) !== VcpuState.offline) return -PARA_EBUSY;
  const stack = memory.u32(at, vcpu_guest_context.stack_pointer);
  const tls = memory.u32(at, vcpu_guest_context.tls);
  if (stack === 0 || stack % 16 !== 0 || memory.buffer(stack, 0) < 0 || memory.buffer(tls, 0) < 0) return -PARA_EINVAL;
  hv.i32[word + VCPU.stackPointer] = stack;
  hv.i32[word + VCPU.tls] = tls;
  hv.i32[word + VCPU.arg] = memory.u32(at, vcpu_guest_context.arg);
  Atomics.store(hv.i32, word + VCPU.initialised, 1);
  return 0;
}

function up(vcpu: Vcpu, id: number): number {
  const { i32 } = vcpu.hv;
  const word = vcpu.hv.vcpuWord(vcpu.domain, id);
  if (id !== 0 && Atomics.load(i32, word + VCPU.initialised) === 0) return -PARA_EINVAL;
  if (id >= Atomics.load(i32, vcpu.domainWord + DOM.available)) return -PARA_EPERM;
  const was = Atomics.compareExchange(i32, word + VCPU.state, VcpuState.offline, VcpuState.starting);
  if (was === VcpuState.offline) vcpu.events.wake(vcpu.domain, id); // its thread is parked (vcpu-thread.ts)
  return 0;
}

function setTimer(vcpu: Vcpu, address: number): number {
  const { memory } = vcpu;
  const at = memory.struct(address, vcpu_set_singleshot_timer.SIZE);
  if (at < 0) return at;
  const deadline = memory.u64(at, vcpu_set_singleshot_timer.timeout_abs_ns);
  const flags = memory.u32(at, vcpu_set_singleshot_timer.flags);
  if ((flags & ~VCPU_SSHOTTMR_future) !== 0) return -PARA_EINVAL;
  if (flags !== 0 && deadline <= clockNs()) return -PARA_ETIME;
  vcpu.setSingleshot(Math.max(1, deadline)); // 0 would mean "none": a time in the past fires at once, whatever it is
  return 0;
}

function setPeriodic(vcpu: Vcpu, address: number): number {
  const at = vcpu.memory.struct(address, vcpu_set_periodic_timer.SIZE);
  if (at < 0) return at;
  const period = vcpu.memory.u64(at, vcpu_set_periodic_timer.period_ns);
  if (period < PARA_PERIOD_MIN_NS) return -PARA_EINVAL;
  vcpu.setPeriodic(period);
  return 0;
}

function getRunstate(vcpu: Vcpu, id: number, address: number): number {
  const at = vcpu.memory.struct(address, vcpu_runstate_info.SIZE);
  if (at < 0) return at;
  const runstate = vcpu.runstateOf(id);
  if (runstate === undefined) return -PARA_EOPNOTSUPP;
  writeRunstate(vcpu.memory, at, runstate);
  return 0;
}

function registerArea(vcpu: Vcpu, address: number): number {
  const at = address === 0 ? 0 : vcpu.memory.struct(address, vcpu_runstate_info.SIZE);
  if (at < 0) return at;
  vcpu.hv.i32[vcpu.word + VCPU.runstateArea] = at;
  vcpu.publishRunstate();
  return 0;
}

function registerInfo(vcpu: Vcpu, address: number): number {
  if (vcpu.info !== 0) return -PARA_EBUSY;
  const at = vcpu.memory.struct(address, vcpu_info.SIZE);
  if (at < 0) return at;
  if (at === 0) return -PARA_EINVAL;
  vcpu.hv.i32[vcpu.word + VCPU.info] = at;
  return 0;
}
