import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { KernelBuild, type KernelPart } from './support/kernel-wasm.js';

const build = new KernelBuild([
  ...['eth', 'arp', 'ipv4', 'icmp', 'udp'].map((name) => `kernel/net/${name}.c`),
  'lib/mem.c',
  'test/net_harness.c',
]);

const EAGAIN = -11;
const ETIMEDOUT = -110;
const GUEST = '525400123456';
const HOST = '52550a000202';
const HOST_IP = 0x0a000202;

const hex = (text: string) => Uint8Array.from(Buffer.from(text.replaceAll(' ', ''), 'hex'));
const text = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
const word = (value: number) => value.toString(16).padStart(4, '0');

/** RFC 1071, in the plainest form: its own truth, apart from the kernel's. */
function checksum(bytes: Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < bytes.length; i += 2) sum += bytes[i] * 256 + (bytes[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum % 0x10000) + Math.floor(sum / 0x10000);
  return 0xffff - sum;
}

interface IpFields {
  protocol: number;
  from?: string;
  to?: string;
  flags?: string;
  options?: string;
  total?: number;
}

/** An Ethernet frame from the host to the guest with a correct IPv4 header, but for the fields given. */
function ipFrame(payload: Uint8Array, fields: IpFields): Uint8Array {
  const { protocol, from = '0a000202', to = '0a00020f', flags = '4000', options = '' } = fields;
  const words = 5 + options.length / 8;
  const total = fields.total ?? words * 4 + payload.length;
  const head = `4${words}00${word(total)}0000${flags}40${protocol.toString(16).padStart(2, '0')}`;
  const sum = word(checksum(hex(`${head}0000${from}${to}${options}`)));
  return hex(`${GUEST}${HOST}0800${head}${sum}${from}${to}${options}${text(payload)}`);
}

interface UdpFields extends Partial<IpFields> {
  port?: number;
  length?: number;
  sum?: number;
}

function udpFrame(data: Uint8Array, fields: UdpFields = {}): Uint8Array {
  const length = word(fields.length ?? data.length + 8);
  const head = `2328${word(fields.port ?? 7000)}${length}`;
  const pseudo = hex(`0a0002020a00020f0011${word(data.length + 8)}${head}0000${text(data)}`);
  const sum = word(fields.sum ?? (checksum(pseudo) || 0xffff));
  return ipFrame(hex(`${head}${sum}${text(data)}`), { protocol: 17, ...fields });
}

const ARP_REQUEST = hex(
  `ffffffffffff ${HOST} 0806 0001 0800 06 04 0001 ${HOST} 0a000202 000000000000 0a00020f ${'00'.repeat(18)}`,
);
const ARP_REPLY = hex(`${GUEST} ${HOST} 0806 0001 0800 06 04 0002 ${HOST} 0a000202 ${GUEST} 0a00020f`);

let part: KernelPart;
let sent: Uint8Array[];
let woken: number[];
let now: bigint;
/** What the world does while the CPU sleeps. */
let asleep: () => void;
let cardIsFull: boolean;

beforeEach(() => {
  sent = [];
  woken = [];
  now = 0n;
  cardIsFull = false;
  asleep = () => undefined;
  part = build.instantiate({
    test_transmit: (address, bytes) => {
      if (cardIsFull) return EAGAIN;
      sent.push(part.memory.slice(address, address + bytes));
      return 0;
    },
    clock_ns: () => now,
    cpu_wake: (cpu) => {
      woken.push(cpu);
      return undefined;
    },
    cpu_sleep: (deadline) => {
      asleep();
      // A sleep that nothing ends but its deadline (u64 arrives as a signed BigInt).
      const until = BigInt.asUintN(64, BigInt(deadline));
      if (until !== 0xffff_ffff_ffff_ffffn && until > now) now = until;
      return undefined;
    },
  });
  part.call('harness_start');
});

function receive(frame: Uint8Array): void {
  part.memory.set(frame, part.call('harness_incoming'));
  part.call('harness_receive', frame.length);
}

function udpReceived(port = 7000, max = 1500): Uint8Array | number {
  const user = part.call('harness_user');
  const n = part.call('udp_recv', port, user, max, 0n);
  return n < 0 ? n : part.memory.slice(user, user + n);
}

function udpSend(data: Uint8Array, ip = HOST_IP): number {
  const user = part.call('harness_user');
  part.memory.set(data, user);
  return part.call('udp_send', 7000, ip, 9000, user, data.length);
}

describe('the Internet checksum', () => {
  it.each([
    ['RFC 1071, section 3', '0001f203f4f5f6f7', 0x220d],
    ['an IPv4 header with its checksum', '45000073000040004011b861c0a80001c0a800c7', 0],
    ['the same header without it', '450000730000400040110000c0a80001c0a800c7', 0xb861],
    ['an odd number of bytes', '0102 03', 0xfbfd],
  ])('%s', (_name, bytes, expected) => {
    part.memory.set(hex(bytes), part.call('harness_incoming'));
    expect(part.call('harness_checksum', hex(bytes).length)).toBe(expected);
  });
});

describe('ARP', () => {
  it('answers a request for our address', () => {
    receive(ARP_REQUEST);
    expect(sent.map(text)).toEqual([
      text(hex(`${HOST} ${GUEST} 0806 0001 0800 06 04 0002 ${GUEST} 0a00020f ${HOST} 0a000202 ${'00'.repeat(18)}`)),
    ]);
  });

  it('does not answer for others, nor a request that is cut off, nor one of another network', () => {
    const forAnother = ARP_REQUEST.slice();
    forAnother[41] = 0x10;
    const fromElsewhere = ARP_REQUEST.slice();
    fromElsewhere[28] = 0xc0;
    for (const frame of [forAnother, fromElsewhere, ARP_REQUEST.slice(0, 41)]) receive(frame);
    expect(sent).toEqual([]);
  });

  it('asks before the first datagram, and uses the answer for the next', () => {
    part.call('udp_open', 7000);
    asleep = () => receive(ARP_REPLY);
    expect(udpSend(hex('01'))).toBe(1);
    expect(udpSend(hex('02'))).toBe(1);
    expect(sent.map((frame) => text(frame.slice(12, 14)))).toEqual(['0806', '0800', '0800']);
    expect(text(sent[0].slice(0, 42))).toBe(
      text(hex(`ffffffffffff ${GUEST} 0806 0001 0800 06 04 0001 ${GUEST} 0a00020f 000000000000 0a000202`)),
    );
    expect(woken).toEqual([0]);
  });

  it('asks for the gateway when the address is not of our network', () => {
    part.call('udp_open', 7000);
    asleep = () => receive(ARP_REPLY);
    expect(udpSend(hex('01'), 0x08080808)).toBe(1);
    expect(text(sent[0].slice(38, 42))).toBe('0a000202');
    expect(text(sent[1].slice(30, 34))).toBe('08080808');
  });

  it('gives up after five questions without an answer', () => {
    part.call('udp_open', 7000);
    expect(udpSend(hex('01'))).toBe(ETIMEDOUT);
    expect(sent.length).toBe(5);
    expect(now).toBe(1_000_000_000n);
  });
});

describe('ICMP', () => {
  const echo = (data: string) => {
    const sum = checksum(hex(`0800 0000 1234 0001 ${data}`));
    return hex(`0800 ${word(sum)} 1234 0001 ${data}`);
  };

  it('answers an echo request with its data', () => {
    receive(ipFrame(echo('616263'), { protocol: 1 }));
    const [frame] = sent;
    expect(text(frame.slice(0, 14))).toBe(`${HOST}${GUEST}0800`);
    expect(checksum(frame.slice(14, 34))).toBe(0);
    expect(text(frame.slice(26, 34))).toBe('0a00020f0a000202');
    expect(text(frame.slice(34, 36))).toBe('0000');
    expect(text(frame.slice(38, 45))).toBe('12340001616263');
    expect(checksum(frame.slice(34, 45))).toBe(0);
  });

  it('ignores a wrong checksum and what is not an echo request', () => {
    const broken = echo('616263');
    broken[9] ^= 1;
    receive(ipFrame(broken, { protocol: 1 }));
    receive(ipFrame(hex('0000 edc9 1234 0001'), { protocol: 1 }));
    expect(sent).toEqual([]);
  });
});

describe('UDP', () => {
  it('delivers datagrams of a bound port in order, and wakes the owner', () => {
    part.call('udp_open', 7000);
    receive(udpFrame(hex('010203')));
    receive(udpFrame(hex('04'), { port: 7001 }));
    receive(udpFrame(hex('')));
    expect(woken).toEqual([0, 0]);
    expect([udpReceived(), udpReceived(), udpReceived()]).toEqual([hex('010203'), hex(''), ETIMEDOUT]);
  });

  it('takes what comes without a checksum, and with IP options', () => {
    part.call('udp_open', 7000);
    receive(udpFrame(hex('0a'), { sum: 0 }));
    receive(udpFrame(hex('0b'), { options: '01010101' }));
    expect([udpReceived(), udpReceived()]).toEqual([hex('0a'), hex('0b')]);
  });

  it.each<[string, UdpFields]>([
    ['a wrong checksum', { sum: 0x1234 }],
    ['a length beyond the packet', { length: 12, sum: 0 }],
    ['a length below the header', { length: 7, sum: 0 }],
    ['another address', { to: '0a000210' }],
    ['a first fragment', { flags: '2000' }],
    ['a later fragment', { flags: '0001' }],
    ['a total length beyond the frame', { total: 40 }],
  ])('drops %s', (_name, fields) => {
    part.call('udp_open', 7000);
    receive(udpFrame(hex('010203'), fields));
    expect(udpReceived()).toBe(ETIMEDOUT);
  });

  it('drops a damaged IP header and frames to other cards', () => {
    part.call('udp_open', 7000);
    const damaged = udpFrame(hex('01'));
    damaged[22] ^= 1;
    const toAnother = udpFrame(hex('01'));
    toAnother[5] ^= 1;
    for (const frame of [damaged, toAnother]) receive(frame);
    expect(udpReceived()).toBe(ETIMEDOUT);
  });

  it('keeps at most 64 datagrams for a port', () => {
    part.call('udp_open', 7000);
    for (let i = 0; i < 70; i++) receive(udpFrame(Uint8Array.of(i)));
    const got = Array.from({ length: 65 }, () => udpReceived());
    expect(got).toEqual([...Array.from({ length: 64 }, (_, i) => Uint8Array.of(i)), ETIMEDOUT]);
  });

  it('sends a frame that is right to the last bit', () => {
    part.call('udp_open', 7000);
    receive(ARP_REQUEST);
    sent = [];
    const data = Uint8Array.from({ length: 101 }, (_, i) => i * 7);
    expect(udpSend(data)).toBe(101);
    const [frame] = sent;
    expect(text(frame.slice(0, 24))).toBe(`${HOST}${GUEST}0800${'4500008100004000' + '4011'}`);
    expect(checksum(frame.slice(14, 34))).toBe(0);
    expect(text(frame.slice(26, 40))).toBe(`0a00020f0a000202${word(7000)}${word(9000)}006d`);
    expect(checksum(hex(`0a00020f0a0002020011006d${text(frame.slice(34))}`))).toBe(0);
    expect(frame.slice(42)).toEqual(data);
  });

  it('sends 0xffff for a checksum that comes out as zero', () => {
    part.call('udp_open', 7000);
    receive(ARP_REQUEST);
    sent = [];
    const head = hex(`0a00020f0a0002020011000a${word(7000)}${word(9000)}000a0000`);
    expect(udpSend(hex(word(checksum(head))))).toBe(2);
    expect(text(sent[0].slice(40, 42))).toBe('ffff');
  });

  it('waits for room in a full card', () => {
    part.call('udp_open', 7000);
    receive(ARP_REQUEST);
    sent = [];
    cardIsFull = true;
    asleep = () => {
      expect(sent).toEqual([]);
      cardIsFull = false;
      part.call('harness_room');
    };
    expect(udpSend(hex('01'))).toBe(1);
    expect(woken).toEqual([0]);
    expect(sent.length).toBe(1);
  });

  it('refuses a bound port, an unbound one, and more than fits in a frame', () => {
    expect(part.call('udp_open', 7000)).toBe(0);
    expect(part.call('udp_open', 7000)).toBe(-98);
    expect(part.call('udp_send', 7001, HOST_IP, 1, part.call('harness_user'), 1)).toBe(-22);
    expect(udpSend(new Uint8Array(1473))).toBe(-90);
    part.call('udp_close', 7000);
    expect(udpReceived()).toBe(-22);
    expect(part.call('udp_open', 7000)).toBe(0);
  });

  it('waits for a datagram no longer than asked', () => {
    part.call('udp_open', 7000);
    now = 5n;
    expect(part.call('udp_recv', 7000, part.call('harness_user'), 10, 300n)).toBe(ETIMEDOUT);
    expect(now).toBe(305n);
    asleep = () => receive(udpFrame(hex('0102030405')));
    expect(part.call('udp_recv', 7000, part.call('harness_user'), 3, 300n)).toBe(3);
  });
});

describe('any frame', () => {
  it('is survived: whatever bytes are changed in good frames, and however they are cut', () => {
    part.call('udp_open', 7000);
    const good = [ARP_REQUEST, ARP_REPLY, udpFrame(hex('0102')), ipFrame(hex('0800f7ff00000000'), { protocol: 1 })];
    const change = fc.tuple(fc.nat(59), fc.nat(255));
    fc.assert(
      fc.property(fc.constantFrom(...good), fc.array(change, { maxLength: 4 }), fc.nat(60), (frame, changes, cut) => {
        const bad = frame.slice();
        for (const [at, value] of changes) if (at < bad.length) bad[at] = value;
        sent = [];
        receive(bad.slice(0, Math.max(1, bad.length - cut)));
        udpReceived();
        for (const answer of sent) expect(answer.length).toBeLessThanOrEqual(1514);
      }),
      { seed: 1, numRuns: 3000 },
    );
    while (udpReceived() !== ETIMEDOUT);
    receive(udpFrame(hex('0708')));
    expect(udpReceived()).toEqual(hex('0708'));
  });
});
