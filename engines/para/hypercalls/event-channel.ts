/** event_channel_op. The work is in event-channels.ts; here the arguments are checked. */
import {
  DOMID_CORE_OS,
  EVTCHNOP_alloc_unbound,
  EVTCHNOP_bind_interdomain,
  EVTCHNOP_bind_ipi,
  EVTCHNOP_bind_vcpu,
  EVTCHNOP_bind_virq,
  EVTCHNOP_close,
  EVTCHNOP_send,
  EVTCHNOP_set_priority,
  EVTCHNOP_status,
  EVTCHNOP_unmask,
  EVTCHNSTAT_interdomain,
  EVTCHNSTAT_ipi,
  EVTCHNSTAT_unbound,
  PARA_EINVAL,
  PARA_ENOSYS,
  PARA_MAX_PORTS,
  VIRQ_TIMER,
} from '../abi.js';
import { counterIndex } from '../counters.js';
import { channelRemoteDomain, channelRemotePort, channelState } from '../event-channels.js';
import type { Vcpu } from '../vcpu.js';

const EVENTS_SENT = counterIndex('events_sent');

export function eventChannelOp(vcpu: Vcpu, cmd: number, signed1: number, signed2: number): number {
  if (cmd === EVTCHNOP_send) return send(vcpu, signed1);
  const { events, domain } = vcpu;
  const arg1 = signed1 >>> 0;
  const arg2 = signed2 >>> 0;
  switch (cmd) {
    case EVTCHNOP_bind_interdomain:
      return events.bindInterdomain(domain, arg1, arg2);
    case EVTCHNOP_bind_virq:
      return arg2 < vcpu.vcpus && (arg1 !== VIRQ_TIMER || arg2 === vcpu.id)
        ? events.bindVirq(domain, arg2, arg1)
        : -PARA_EINVAL;
    case EVTCHNOP_close:
      return events.close(domain, arg1);
    case EVTCHNOP_status:
      return isPort(arg1) ? channelState(events.read(domain, arg1)) : -PARA_EINVAL;
    case EVTCHNOP_alloc_unbound:
      return events.allocUnbound(domain, vcpu.id, arg1);
    case EVTCHNOP_bind_ipi:
      return arg1 < vcpu.vcpus ? events.bindIpi(domain, arg1) : -PARA_EINVAL;
    case EVTCHNOP_bind_vcpu:
      return arg2 < vcpu.vcpus ? events.bindVcpu(domain, arg1, arg2) : -PARA_EINVAL;
    case EVTCHNOP_unmask:
      return unmask(vcpu, arg1);
    case EVTCHNOP_set_priority:
      return events.setPriority(domain, arg1, arg2);
    default:
      return -PARA_ENOSYS;
  }
}

const isPort = (port: number): boolean => port >= 1 && port < PARA_MAX_PORTS;

function send(vcpu: Vcpu, port: number): number {
  const word = vcpu.events.read(vcpu.domain, port);
  const state = channelState(word);
  if (state === EVTCHNSTAT_interdomain) {
    const remote = channelRemoteDomain(word);
    if (remote === DOMID_CORE_OS) vcpu.coreOs.notify(channelRemotePort(word));
    else vcpu.events.setPending(remote, channelRemotePort(word));
  } else if (state === EVTCHNSTAT_ipi) vcpu.events.setPending(vcpu.domain, port);
  else if (state !== EVTCHNSTAT_unbound) return -PARA_EINVAL;
  vcpu.count(EVENTS_SENT);
  return 0;
}

function unmask(vcpu: Vcpu, port: number): number {
  const error = vcpu.events.unmask(vcpu.domain, port, vcpu.memory);
  if (error === 0) vcpu.takeEvents();
  return error;
}
