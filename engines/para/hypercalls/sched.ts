/** sched_op: where a vCPU gives its thread away, and where its events reach it. */
import { yieldProcessor } from '../../process/libc.js';
import {
  EVTCHN_FIFO_PRIORITY_MAX,
  EVTCHN_FIFO_PRIORITY_MIN,
  PARA_EINVAL,
  PARA_ENOSYS,
  PARA_MAX_POLL_PORTS,
  PARA_MAX_PORTS,
  SCHEDOP_block,
  SCHEDOP_poll,
  SCHEDOP_shutdown,
  SCHEDOP_yield,
  SHUTDOWN_crash,
  SHUTDOWN_poweroff,
  SHUTDOWN_reboot,
  sched_poll,
  vcpu_info,
} from '../abi.js';
import { clockNs } from '../clock.js';
import { shutDown } from '../domain-state.js';
import type { GuestAddress } from '../guest-memory.js';
import { VCPU, VcpuState } from '../hypervisor-memory.js';
import { holdWhilePaused, isPaused } from '../pause.js';
import { type Vcpu, VcpuStop } from '../vcpu.js';

export function schedOp(vcpu: Vcpu, cmd: number, arg1: number): number {
  switch (cmd) {
    case SCHEDOP_poll:
      if (arg1 !== 0) return poll(vcpu, arg1);
      vcpu.takeEvents();
      return 0;
    case SCHEDOP_block:
      return block(vcpu);
    case SCHEDOP_yield:
      vcpu.takeEvents();
      yieldProcessor();
      vcpu.publishRunstate();
      return 0;
    case SCHEDOP_shutdown:
      return shutdown(vcpu, arg1);
    default:
      return -PARA_ENOSYS;
  }
}

function block(vcpu: Vcpu): number {
  if (vcpu.info === 0) return -PARA_EINVAL;
  while (!vcpu.takeEvents()) sleep(vcpu, vcpu.timerInNs());
  return 0;
}

/** One sleep of the vCPU's thread: until a completion, a kick, or the time. Not begun if an event is pending already. */
function sleep(vcpu: Vcpu, timeoutNs: number): void {
  const { i32 } = vcpu.hv;
  // Order matters: first "I sleep", then the look; a sender sets its bit first and looks at the state then.
  Atomics.store(i32, vcpu.word + VCPU.state, VcpuState.blocked);
  const quiet =
    Atomics.load(i32, vcpu.word + VCPU.pendingSelector) === 0 && Atomics.load(i32, vcpu.word + VCPU.attention) === 0;
  try {
    vcpu.stopIfDying();
    if (quiet) {
      vcpu.blocks();
      vcpu.io.wait(Math.min(timeoutNs, vcpu.coreOs.dueInNs()));
    }
  } finally {
    Atomics.store(i32, vcpu.word + VCPU.state, VcpuState.running);
    if (quiet) vcpu.unblocks();
    vcpu.publishIoCounters();
  }
  if (isPaused(vcpu.hv, vcpu.domainWord)) holdWhilePaused(vcpu);
  vcpu.stopIfDying();
}

/** Xen's SCHEDOP_poll: sleeps until one of the given ports is pending, whether masked or not, or the timeout. */
function poll(vcpu: Vcpu, address: number): number {
  const { memory } = vcpu;
  const at = memory.struct(address, sched_poll.SIZE);
  if (at < 0) return at;
  const info = vcpu.info;
  const count = memory.u32(at, sched_poll.nr_ports);
  if (info === 0 || count < 1 || count > PARA_MAX_POLL_PORTS) return -PARA_EINVAL;
  const list = memory.struct(memory.u32(at, sched_poll.ports), 4 * count);
  if (list < 0) return list;
  const ports = Array.from({ length: count }, (_, i) => memory.u32(list, 4 * i));
  if (ports.some((port) => port < 1 || port >= PARA_MAX_PORTS)) return -PARA_EINVAL;
  const deadline = memory.u64(at, sched_poll.timeout_ns) || Number.POSITIVE_INFINITY;
  for (;;) {
    vcpu.takeEvents();
    const left = deadline - clockNs();
    if (left <= 0) return 0;
    if (ports.some((port) => isPending(vcpu, info, port))) {
      vcpu.takeEvents(); // it may have come since: the guest finds it where it looks
      return 0;
    }
    sleep(vcpu, Math.min(left, vcpu.timerInNs()));
  }
}

/** Delivered and not yet taken by the guest, or held back by its mask. */
function isPending(vcpu: Vcpu, info: GuestAddress, port: number): boolean {
  const w = port >>> 5;
  const bit = 1 << (port & 31);
  if (Atomics.load(vcpu.hv.i32, vcpu.word + VCPU.pending + w) & bit) return true;
  for (let q = EVTCHN_FIFO_PRIORITY_MAX; q <= EVTCHN_FIFO_PRIORITY_MIN; q++) {
    if (vcpu.memory.u32(info, vcpu_info.evtchn_pending + 128 * q + 4 * w) & bit) return true;
  }
  return false;
}

function shutdown(vcpu: Vcpu, reason: number): number {
  if (reason !== SHUTDOWN_poweroff && reason !== SHUTDOWN_reboot && reason !== SHUTDOWN_crash) return -PARA_EINVAL;
  shutDown(vcpu.hv, vcpu.events, vcpu.domain, reason);
  throw new VcpuStop();
}
