import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { E1000 } from '#engines/full/devices/net/e1000.js';
import { RAM_BASE, RAM_BYTES } from '../pci/pci-bench.js';
import { CardBench } from './card-bench.js';
import {
  BROADCAST,
  bytes,
  checksummed,
  checksumsRight,
  frame,
  L3,
  L4,
  MAC,
  OTHER,
  onesComplementSum,
  tcpFrame,
  udpFrame,
} from './packets.js';

const TX_RING = 0x8000_1000;
const RX_RING = 0x8000_2000;
const TX_DATA = 0x8000_8000;
const RX_DATA = 0x8002_0000;
const TX_SIZE = 32;
const RX_SIZE = 8;
const R = {
  CTRL: 0x0000,
  STATUS: 0x0008,
  EECD: 0x0010,
  EERD: 0x0014,
  MDIC: 0x0020,
  VET: 0x0038,
  ICR: 0x00c0,
  ICS: 0x00c8,
  IMS: 0x00d0,
  IMC: 0x00d8,
  RCTL: 0x0100,
  TCTL: 0x0400,
  RDBAL: 0x2800,
  RDLEN: 0x2808,
  RDH: 0x2810,
  RDT: 0x2818,
  TDBAL: 0x3800,
  TDBAH: 0x3804,
  TDLEN: 0x3808,
  TDH: 0x3810,
  TDT: 0x3818,
  MPC: 0x4010,
  GPRC: 0x4074,
  GPTC: 0x4080,
  GORCL: 0x4088,
  GORCH: 0x408c,
  TSCTC: 0x40f8,
  RXCSUM: 0x5000,
  MTA: 0x5200,
  RAL: 0x5400,
  VFTA: 0x5600,
};
const EOP = 1 << 24;
const IFCS = 1 << 25;
const IC = 1 << 26;
const TSE = 1 << 26;
const RS = 1 << 27;
const DEXT = 1 << 29;
const VLE = 1 << 30;
const DATA = DEXT | (1 << 20);
const TXDW = 1;
const TXQE = 2;
const LSC = 4;
const RXDMT0 = 0x10;
const RXO = 0x40;
const RXT0 = 0x80;
const EN_BAM = 0x8002;
const IXSM = 4;

class Bench extends CardBench<E1000> {
  #tail = 0;
  #data = TX_DATA;

  constructor() {
    super(E1000, 0);
  }
  start({ rctl = EN_BAM, rxcsum = 0 } = {}): this {
    this.set(R.CTRL, 1 << 26);
    this.set(R.TDBAL, TX_RING);
    this.set(R.TDLEN, TX_SIZE * 16);
    this.set(R.TCTL, 0x0004_010a);
    this.set(R.RDBAL, RX_RING);
    this.set(R.RDLEN, RX_SIZE * 16);
    for (let i = 0; i < RX_SIZE; i++) this.poke32(RX_RING + 16 * i, RX_DATA + 0x1000 * i, 0, 0, 0);
    this.set(R.RXCSUM, rxcsum);
    this.set(R.RCTL, rctl);
    this.set(R.RDT, RX_SIZE - 1);
    this.set(R.IMS, 0xffff);
    this.port.flushes = 0;
    return this;
  }
  /** Fourth word of an Rx descriptor, and its length. */
  rx(i: number): { status: number; length: number } {
    return { status: this.word(RX_RING + 16 * i + 12), length: this.word(RX_RING + 16 * i + 8) };
  }
  descriptor(command: number, status = 0, content: number[] = [], fields?: [number, number]): void {
    this.poke(this.#data, ...content);
    const first = fields ?? [this.#data, 0];
    this.poke32(TX_RING + 16 * this.#tail, ...first, command | (fields ? 0 : content.length), status);
    this.#data += content.length;
    this.#tail = (this.#tail + 1) % TX_SIZE;
  }
  doorbell(): void {
    this.set(R.TDT, this.#tail);
  }
  send(content: number[], command = EOP | IFCS | RS, status = 0): void {
    this.descriptor(command, status, content);
    this.doorbell();
  }
  /** IPv4 with 20 bytes of header behind Ethernet's. */
  contextFor(protocol: 'tcp' | 'udp', large?: { payload: number; header: number; mss: number }): void {
    const ip = L3 | ((L3 + 10) << 8) | ((L4 - 1) << 16);
    const transport = L4 | ((L4 + (protocol === 'tcp' ? 16 : 6)) << 8);
    const command = DEXT | (protocol === 'tcp' ? 3 << 24 : 2 << 24) | (large ? TSE : 0) | (large?.payload ?? 0);
    this.descriptor(command, large ? (large.header << 8) | (large.mss << 16) : 0, [], [ip, transport]);
  }
  phy(register: number): number {
    this.set(R.MDIC, (2 << 26) | (1 << 21) | (register << 16));
    const value = this.get(R.MDIC);
    expect((value >>> 28) & 5).toBe(1); // ready, no error
    return value & 0xffff;
  }
}

/** As a driver leaves a packet to the card: the sum of the pseudo header, with or without length, in the checksum's place. */
function seeded(f: number[], withLength: boolean): number[] {
  const out = [...f];
  const length = withLength ? f.length - L4 : 0;
  const sum = onesComplementSum([...f.slice(L3 + 12, L4), 0, f[L3 + 9], length >> 8, length & 255]);
  out.splice(L4 + (f[L3 + 9] === 6 ? 16 : 6), 2, sum >> 8, sum & 255);
  return out;
}

describe('82540EM registers', () => {
  it('show the station address, link and speed', () => {
    const b = new Bench();
    expect([b.get(R.RAL), b.get(R.RAL + 4)]).toEqual([0x1200_5452, 0x8000_5634]);
    expect(b.get(R.STATUS) & 0xc3).toBe(0x83); // 1000 Mbit/s, link up, full duplex
  });

  it('the EEPROM by EERD: address, identity, and all words add up to BABA', () => {
    const b = new Bench();
    const read = (address: number): number => {
      b.set(R.EERD, (address << 8) | 1);
      const value = b.get(R.EERD);
      expect(value & 0x10).toBe(0x10);
      return value >>> 16;
    };
    expect([read(0), read(1), read(2), read(13)]).toEqual([0x5452, 0x1200, 0x5634, 0x100e]);
    expect(Array.from({ length: 64 }, (_, i) => read(i)).reduce((a, w) => (a + w) & 0xffff)).toBe(0xbaba);
  });

  it('the EEPROM by EECD, wire by wire, after access was granted', () => {
    const b = new Bench();
    b.set(R.EECD, 0x40);
    expect(b.get(R.EECD) & 0x1c0).toBe(0x1c0);
    const clock = (di: number): number => {
      b.set(R.EECD, 0x42 | di);
      b.set(R.EECD, 0x43 | di);
      return (b.get(R.EECD) >> 3) & 1;
    };
    for (let bit = 8; bit >= 0; bit--) clock((((6 << 6) | 13) >> bit) & 1 ? 4 : 0);
    let value = 0;
    for (let bit = 0; bit < 16; bit++) value = (value << 1) | clock(0);
    expect(value).toBe(0x100e);
  });

  it('the semaphore of drivers for the whole family can be taken and given back', () => {
    const SWSM = 0x5b50; // 82571 and later; U-Boot takes it on every member before it reads the EEPROM
    const b = new Bench();
    b.set(SWSM, b.get(SWSM) | 2);
    expect(b.get(SWSM) & 2).toBe(2);
    b.set(SWSM, 0);
    expect(b.get(SWSM)).toBe(0);
  });

  it('the transceiver is an M88E1011 that has negotiated', () => {
    const b = new Bench().start();
    expect([b.phy(2), b.phy(3) & 0xfff0]).toEqual([0x0141, 0x0c20]);
    expect(b.phy(1) & 0x24).toBe(0x24);
    expect(b.phy(17) & 0xcc00).toBe(0x8c00);
    b.set(R.MDIC, (2 << 26) | (2 << 21));
    expect(b.get(R.MDIC) & (1 << 30)).not.toBe(0); // nobody at address 2
    expect(b.get(R.ICR)).toBe(0);
    b.set(R.MDIC, (1 << 26) | (1 << 21) | 0x1340);
    expect(b.get(R.ICR)).toBe(LSC);
  });

  it('causes are set by ICS, masked by IMS and IMC, cleared by reading ICR or writing ones', () => {
    const b = new Bench().start();
    b.set(R.IMC, 0xffff);
    b.set(R.ICS, LSC | RXT0);
    expect(b.interrupt).toBe(false);
    b.set(R.IMS, LSC);
    expect([b.interrupt, b.get(R.IMS)]).toEqual([true, LSC]);
    b.set(R.ICR, LSC);
    expect(b.interrupt).toBe(false);
    expect([b.get(R.ICR), b.get(R.ICR)]).toEqual([RXT0, 0]);
  });

  it('CTRL.RST ends by itself; the multicast table stays, the address comes back', () => {
    const b = new Bench().start();
    b.set(R.MTA + 8, 0x55);
    b.set(R.RAL, 1);
    b.set(R.CTRL, 1 << 26);
    expect([b.get(R.CTRL) & (1 << 26), b.get(R.RCTL), b.get(R.IMS)]).toEqual([0, 0, 0]);
    expect([b.get(R.MTA + 8), b.get(R.RAL)]).toEqual([0x55, 0x1200_5452]);
  });

  it('registers can be reached through the I/O window', () => {
    const b = new Bench();
    b.config(0x14, 0x1000);
    b.config(0x04, 7);
    const io = (offset: number, value?: number): number => {
      if (value !== undefined) b.host.pio.write(0x1000 + offset, 4, value);
      return b.host.pio.read(0x1000 + offset, 4);
    };
    io(0, R.MTA);
    io(4, 0x1234);
    expect([io(0), io(4), b.get(R.MTA)]).toEqual([R.MTA, 0x1234, 0x1234]);
    io(0, 0xffff_fffc);
    expect(io(4, 1)).toBe(0);
  });

  it('counters clear when they are read', () => {
    const b = new Bench().start();
    b.send(frame(OTHER, 60));
    b.arrive(frame(MAC, 100));
    expect([b.get(R.GPTC), b.get(R.GPTC), b.get(R.GPRC)]).toEqual([1, 0, 1]);
    expect([b.get(R.GORCL), b.get(R.GORCL), b.get(R.GORCH), b.get(R.GORCL)]).toEqual([104, 104, 0, 0]);
    expect([0x405c, 0x4060, 0x40d8].map((at) => b.get(at))).toEqual([0, 1, 1]);
  });
});

describe('82540EM transmitter', () => {
  it('sends legacy descriptors, reports those that ask for it, moves the head', () => {
    const b = new Bench().start();
    const f = frame(OTHER, 100);
    b.descriptor(IFCS, 0, f.slice(0, 30));
    b.send(f.slice(30));
    expect(b.port.sent).toEqual([f]);
    expect([b.word(TX_RING + 12) & 1, b.word(TX_RING + 28) & 1]).toEqual([0, 1]);
    expect([b.get(R.TDH), b.interrupt, b.port.flushes]).toEqual([2, true, 1]);
    expect(b.get(R.ICR)).toBe(TXDW | TXQE);
  });

  it('waits for the end of a packet', () => {
    const b = new Bench().start();
    const f = frame(OTHER, 100);
    b.send(f.slice(0, 30), IFCS);
    expect([b.port.sent, b.get(R.TDH)]).toEqual([[], 0]);
    b.send(f.slice(30));
    expect([b.port.sent, b.get(R.TDH)]).toEqual([[f], 2]);
  });

  it('inserts the checksum of a legacy descriptor: from CSS to the end, at CSO', () => {
    const b = new Bench().start();
    const sent = seeded(checksummed(tcpFrame({ payload: bytes(101) })), true);
    b.send(sent, EOP | IFCS | IC | RS | ((L4 + 16) << 16), L4 << 8);
    expect(checksumsRight(b.port.sent[0])).toBe(true);
  });

  it.each(['tcp', 'udp'] as const)('inserts both checksums of %s by its context', (protocol) => {
    const b = new Bench().start();
    const make = protocol === 'tcp' ? tcpFrame : udpFrame;
    b.contextFor(protocol);
    for (const n of [40, 41]) b.send(seeded(make({ payload: bytes(n) }), true), DATA | EOP | IFCS | RS, 3 << 8);
    expect(b.port.sent.map((f) => f.length - make({ payload: [] }).length)).toEqual([40, 41]);
    expect(b.port.sent.every(checksumsRight)).toBe(true);
    expect(b.get(R.TDH)).toBe(3);
  });

  it('segments a large send; the two contexts do not disturb each other', () => {
    const b = new Bench().start();
    const payload = bytes(4000);
    const large = seeded(tcpFrame({ payload }), false);
    b.contextFor('tcp', { payload: 4000, header: 54, mss: 1448 });
    b.contextFor('udp');
    b.descriptor(DATA | TSE | IFCS, 3 << 8, large.slice(0, 54));
    b.send(large.slice(54), DATA | TSE | EOP | IFCS | RS);
    b.send(seeded(udpFrame({ payload: bytes(9) }), true), DATA | EOP | IFCS, 3 << 8);
    expect(b.port.sent.map((f) => f.length)).toEqual([1502, 1502, 1158, 51]);
    expect(b.port.sent.every(checksumsRight)).toBe(true);
    expect(b.port.sent.slice(0, 3).flatMap((f) => f.slice(54))).toEqual(payload);
    expect(b.get(R.TSCTC)).toBe(1);
  });

  it('inserts a VLAN tag when both VLE and CTRL.VME ask for it', () => {
    const b = new Bench().start();
    b.send(frame(OTHER, 60), EOP | IFCS | VLE, 0x2005_0000);
    b.set(R.CTRL, 1 << 30);
    b.send(frame(OTHER, 60), EOP | IFCS | VLE, 0x2005_0000);
    expect(b.port.sent.map((f) => f.length)).toEqual([60, 64]);
    expect(b.port.sent[1].slice(0, 18)).toEqual([...OTHER, ...OTHER, 0x81, 0, 0x20, 0x05, 8, 0]);
  });

  it('cuts its work into bursts', () => {
    const b = new Bench().start();
    for (let i = 0; i < 20; i++) b.descriptor(EOP | IFCS, 0, frame(OTHER, 60));
    b.doorbell();
    expect(b.port.sent).toHaveLength(16);
    for (const task of b.deferred.splice(0)) task();
    expect([b.port.sent.length, b.deferred.length]).toEqual([20, 0]);
  });

  it('goes round its ring', () => {
    const b = new Bench().start();
    for (let i = 0; i < TX_SIZE + 3; i++) b.send(frame(OTHER, 60));
    expect([b.port.sent.length, b.get(R.TDH)]).toEqual([TX_SIZE + 3, 3]);
  });

  it('addresses outside RAM lose the packet, not more', () => {
    const b = new Bench().start();
    b.descriptor(EOP | IFCS | RS | 60, 0, [], [RAM_BASE + RAM_BYTES - 10, 0]);
    b.send(frame(OTHER, 61));
    expect(b.port.sent.map((f) => f.length)).toEqual([61]);
    expect(b.word(TX_RING + 12) & 1).toBe(1);
    b.set(R.TDBAH, 1);
    b.send(frame(OTHER, 62));
    expect([b.port.sent.length, b.get(R.TDH)]).toEqual([1, 3]);
  });

  it('a reset while a frame is on its way leaves the old ring alone', () => {
    const b = new Bench().start();
    b.port.meanwhile = () => b.set(R.CTRL, 1 << 26);
    b.send(frame(OTHER, 60));
    expect([b.port.sent.length, b.word(TX_RING + 12), b.get(R.TDH), b.get(R.ICR)]).toEqual([1, 0, 0, 0]);
  });

  it('a doorbell while a frame is on its way is not lost', () => {
    const b = new Bench().start();
    b.port.meanwhile = () => {
      b.port.meanwhile = () => {};
      b.send(frame(OTHER, 61));
    };
    b.send(frame(OTHER, 60));
    expect(b.port.sent.map((f) => f.length)).toEqual([60, 61]);
  });

  it('a switch may answer from within the call', () => {
    const b = new Bench().start();
    b.port.answer = Uint8Array.from(frame(MAC, 64));
    b.send(frame(OTHER, 60));
    expect(b.get(R.ICR) & (RXT0 | TXDW)).toBe(RXT0 | TXDW);
  });
});

describe('82540EM receiver', () => {
  it('puts frame and FCS into the buffer, length and status into the descriptor', () => {
    const b = new Bench().start();
    expect(b.arrive(frame(MAC, 101))).toBe(true);
    expect(b.rx(0)).toEqual({ status: 3 | IXSM, length: 105 });
    const fcs = crc32(Uint8Array.from(frame(MAC, 101)));
    const ending = [fcs & 255, (fcs >>> 8) & 255, (fcs >>> 16) & 255, fcs >>> 24];
    expect(b.peek(RX_DATA, 105)).toEqual([...frame(MAC, 101), ...ending]);
    expect([b.get(R.RDH), b.get(R.ICR), b.interrupt]).toEqual([1, RXT0, false]);
  });

  it('strips the FCS when told to, and pads', () => {
    const b = new Bench().start({ rctl: EN_BAM | (1 << 26) });
    b.arrive(frame(BROADCAST, 42));
    expect(b.rx(0).length).toBe(60);
  });

  it('spreads a frame over buffers of 256 bytes, or takes none of it', () => {
    const b = new Bench().start({ rctl: EN_BAM | (3 << 16) });
    expect(b.arrive(frame(MAC, 600))).toBe(true);
    expect([0, 1, 2].map((i) => b.rx(i))).toEqual([
      { status: 1, length: 256 },
      { status: 1, length: 256 },
      { status: 3 | IXSM, length: 92 },
    ]);
    expect(b.arrive(frame(MAC, 1500))).toBe(false);
    expect([b.get(R.RDH), b.get(R.ICR) & RXO, b.get(R.MPC)]).toEqual([3, RXO, 1]);
  });

  it('says when half of the descriptors are used, and refuses when all are', () => {
    const b = new Bench().start();
    const causes: number[] = [];
    while (b.arrive(frame(MAC, 60))) causes.push(b.get(R.ICR));
    expect(causes.map((c) => c & RXDMT0)).toEqual([0, 0, RXDMT0, 0, 0, 0, 0]); // 7 are free, 4 is half of 8
    b.set(R.RDT, 3);
    expect(b.arrive(frame(MAC, 60))).toBe(true);
  });

  const GROUP = [0x01, 0x00, 0x5e, 0x00, 0x12, 0x34];
  it.each([
    ['to us', MAC, EN_BAM, true],
    ['to another', OTHER, EN_BAM, false],
    ['to another, promiscuous', OTHER, EN_BAM | 8, true],
    ['broadcast, not asked for', BROADCAST, 2, false],
    ['a group', GROUP, EN_BAM, false],
    ['all groups', GROUP, EN_BAM | 16, true],
    ['receiver off', MAC, 0x8000, false],
  ])('filter: %s', (_name, to, rctl, taken) => {
    expect(new Bench().start({ rctl }).arrive(frame(to, 60))).toBe(taken);
  });

  it('the multicast table’s bit is chosen by address bits 47:36 (manual, 3.2.1 and 13.5.1)', () => {
    const b = new Bench().start();
    // Last bytes 12 34: bits 47:36 are 0x341, so word 26, bit 1
    b.set(R.MTA + 4 * 26, 1 << 1);
    expect(b.arrive(frame(GROUP, 60))).toBe(true);
    expect(b.rx(0).status & 0x80).toBe(0x80);
    expect(b.arrive(frame([...GROUP.slice(0, 5), 0x35], 60))).toBe(false);
  });

  it.each([
    ['TCP', checksummed(tcpFrame({ payload: bytes(30) })), 0x63],
    ['UDP, wrong', [...checksummed(udpFrame({ payload: bytes(30) })).slice(0, -1), 0], 0x63 | 0x2000],
    ['no IP', [...MAC, ...OTHER, 8, 6, ...bytes(46)], 3 | IXSM],
  ])('checks checksums: %s', (_name, f, status) => {
    const b = new Bench().start({ rxcsum: 0x300 });
    b.arrive(f);
    expect(b.rx(0).status).toBe(status);
  });

  it('strips VLAN tags and filters by them', () => {
    const b = new Bench().start({ rctl: EN_BAM | (1 << 18) });
    b.set(R.CTRL, 1 << 30);
    const f = frame(MAC, 100);
    const tagged = [...f.slice(0, 12), 0x81, 0, 0x20, 0x05, ...f.slice(12)];
    expect(b.arrive(tagged)).toBe(false);
    b.set(R.VFTA, 1 << 5);
    expect(b.arrive(tagged)).toBe(true);
    expect(b.rx(0)).toEqual({ status: (0x2005_0000 | 8 | 3 | IXSM) >>> 0, length: 104 });
    expect(b.peek(RX_DATA, 100)).toEqual(f);
  });
});

describe('82540EM against a hostile guest', () => {
  const value = fc.oneof(
    fc.integer({ min: 0, max: 0xffff_ffff }),
    fc.constantFrom(TX_RING, RX_RING, RAM_BASE + RAM_BYTES - 128, RAM_BASE + RAM_BYTES - 8, 0xff, 5, 512),
  );
  const register = fc.oneof(
    fc.constantFrom(...Object.values(R)),
    fc.integer({ min: 0, max: 0x7fff }).map((n) => n * 4),
  );
  const action = fc.record({ register, value, frame: fc.integer({ min: 0, max: 1600 }) });
  const command = fc.constantFrom(DEXT, DEXT | TSE, DATA | TSE | EOP | RS, DATA | EOP, EOP | IC | RS, DATA, IFCS);
  const descriptor = fc.record({
    command: fc.oneof(
      value,
      fc.tuple(command, fc.integer({ min: 0, max: 0xf_ffff })).map(([c, n]) => (c | n) >>> 0),
    ),
    address: fc.oneof(value, fc.constantFrom(TX_DATA, RX_DATA, 0x0022_180e, 0x0000_3222)),
    high: fc.constantFrom(0, 0, 0x0000_3222, 1),
    status: fc.oneof(value, fc.constantFrom(0x0001_3600, 0x05a8_3600, 0x300)),
  });
  it('random registers and descriptors never throw, never reach outside RAM, never keep the thread', () => {
    const ring = fc.array(descriptor, { minLength: 8, maxLength: TX_SIZE + RX_SIZE });
    fc.assert(
      fc.property(ring, fc.array(action, { maxLength: 40 }), (descriptors, actions) => {
        const b = new Bench().start({ rctl: EN_BAM | 0x18, rxcsum: 0x300 });
        b.poke(TX_DATA, ...tcpFrame({ payload: bytes(400) }));
        descriptors.forEach((d, i) => {
          const at = i < TX_SIZE ? TX_RING + 16 * i : RX_RING + 16 * (i - TX_SIZE);
          b.poke32(at, d.address, d.high, d.command, d.status);
        });
        b.set(R.TDT, TX_SIZE - 1);
        for (const a of actions) {
          b.set(a.register, a.value);
          b.get(a.register);
          b.port.handler(new Uint8Array(a.frame).fill(0xff));
          for (const task of b.deferred.splice(0)) task();
        }
        expect(b.after.every((byte) => byte === 0)).toBe(true);
      }),
      { numRuns: 150 },
    );
  });
});
