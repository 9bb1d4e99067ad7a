import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Rtl8169 } from '#engines/full/devices/net/rtl8169.js';
import { RAM_BASE, RAM_BYTES } from '../pci/pci-bench.js';
import { CardBench } from './card-bench.js';
import {
  BROADCAST,
  bytes,
  checksummed,
  checksumsRight,
  frame,
  L4,
  MAC,
  OTHER,
  tcpFrame,
  udpFrame,
  word,
} from './packets.js';

const TX_RING = 0x8000_1000;
const TX_HIGH_RING = 0x8000_1800;
const RX_RING = 0x8000_2000;
const TX_DATA = 0x8000_8000;
const RX_DATA = 0x8002_0000;
const R = {
  DTCCR: 0x10,
  TNPDS: 0x20,
  THPDS: 0x28,
  CR: 0x37,
  TPPOLL: 0x38,
  IMR: 0x3c,
  ISR: 0x3e,
  TCR: 0x40,
  RCR: 0x44,
  TCTR: 0x48,
  MPC: 0x4c,
  EECR: 0x50,
  TIMERINT: 0x58,
  PHYAR: 0x60,
  PHYSTATUS: 0x6c,
  RMS: 0xda,
  CPCR: 0xe0,
  RDSAR: 0xe4,
};
const OWN = 0x8000_0000;
const EOR = 0x4000_0000;
const FS = 0x2000_0000;
const LS = 0x1000_0000;
const ROK = 1;
const TOK = 4;
const TER = 8;
const RDU = 0x10;
const LINK = 0x20;
const TDU = 0x80;
const SERR = 0x8000;
const NPQ = 0x40;
const HPQ = 0x80;
const RX_DESCRIPTORS = 4;

class Bench extends CardBench<Rtl8169> {
  #tx = 0;

  constructor() {
    super(Rtl8169, 1);
  }
  /** In the order of Linux's r8169: reset, command register, rings, receiver and transmitter, filter, interrupts. */
  start({ rcr = 0x0a, cpcr = 0, buffer = 0x3fff } = {}): this {
    this.set(R.CR, 0x10, 1);
    this.set(R.EECR, 0xc0, 1);
    this.set(R.CPCR, cpcr, 2);
    this.set(R.RMS, 0x3fff, 2);
    this.set(R.TNPDS + 4, 0, 4);
    this.set(R.TNPDS, TX_RING, 4);
    this.set(R.THPDS, TX_HIGH_RING, 4);
    this.set(R.RDSAR, RX_RING, 4);
    this.set(R.EECR, 0, 1);
    this.set(R.CR, 0x0c, 1);
    this.set(R.RCR, 0xe700 | rcr, 4);
    for (let i = 0; i < RX_DESCRIPTORS; i++) this.giveRx(i, buffer);
    this.set(R.IMR, 0xffff, 2);
    return this;
  }
  giveRx(i: number, buffer = 0x3fff): void {
    const end = i === RX_DESCRIPTORS - 1 ? EOR : 0;
    this.poke32(RX_RING + 16 * i, OWN | end | buffer, 0, RX_DATA + 0x4000 * i, 0);
  }
  rx(i: number): number {
    return this.word(RX_RING + 16 * i);
  }
  /** Fragments into the normal ring, doorbell. */
  send(fragments: number[][], { command = 0, vlan = 0, ring = TX_RING, poll = NPQ, end = false } = {}): void {
    fragments.forEach((fragment, i) => {
      const at = TX_DATA + (this.#tx + i) * 4096;
      this.poke(at, ...fragment);
      const ends = (i === 0 ? FS : 0) | (i === fragments.length - 1 ? LS : 0) | (end ? EOR : 0);
      this.poke32(ring + 16 * (this.#tx + i), OWN | ends | command | fragment.length, vlan, at, 0);
    });
    this.#tx += fragments.length;
    this.set(R.TPPOLL, poll, 1);
  }
  ack(): number {
    const isr = this.get(R.ISR, 2);
    this.set(R.ISR, isr, 2);
    return isr;
  }
  phy(register: number): number {
    this.set(R.PHYAR, register << 16, 4);
    const value = this.get(R.PHYAR, 4);
    expect(value >>> 31).toBe(1);
    return value & 0xffff;
  }
  setPhy(register: number, value: number): void {
    this.set(R.PHYAR, OWN | (register << 16) | value, 4);
    expect(this.get(R.PHYAR, 4) >>> 31).toBe(0);
  }
}

describe('RTL8169 registers', () => {
  it('show an RTL8169SB with its address', () => {
    const b = new Bench();
    expect(b.get(0, 4)).toBe(0x1200_5452);
    expect(b.get(4, 2)).toBe(0x5634);
    expect((b.get(R.TCR, 4) >>> 20) & 0xfcf).toBe(0x100); // what drivers call its XID
  });

  it('CR.RST ends by itself; the rings start anew', () => {
    const b = new Bench().start();
    b.set(R.CR, 0x10, 1);
    expect(b.get(R.CR, 1)).toBe(0);
    expect([b.get(R.IMR, 2), b.get(R.TNPDS, 4)]).toEqual([0, 0]);
  });

  it('the station address is locked', () => {
    const b = new Bench();
    b.set(0, 0, 4);
    expect(b.get(0, 4)).toBe(0x1200_5452);
    b.set(R.EECR, 0xc0, 1);
    b.set(0, 0x4433_2211, 4);
    expect(b.get(0, 4)).toBe(0x4433_2211);
  });

  it('the transceiver has negotiated 1000 Mbit/s, full duplex', () => {
    const b = new Bench();
    expect(b.phy(2) * 65_536 + b.phy(3)).toBe(0x001c_c910);
    expect(b.phy(1) & 0x24).toBe(0x24);
    expect(b.phy(10) & 0x0800).toBe(0x0800);
    expect(b.get(R.PHYSTATUS, 1) & 0x13).toBe(0x13);
  });

  it('power-down takes the link away, and interrupts', () => {
    const b = new Bench().start();
    b.setPhy(0, 0x1800);
    expect([b.get(R.PHYSTATUS, 1), b.phy(1) & 4, b.ack(), b.arrive(frame(MAC, 60))]).toEqual([0, 0, LINK, false]);
    b.setPhy(0, 0x1340);
    expect([b.get(R.PHYSTATUS, 1) & 2, b.ack()]).toEqual([2, LINK]);
  });

  it('pages of the transceiver other than 0 do not shine through', () => {
    const b = new Bench();
    b.setPhy(31, 2);
    b.setPhy(0, 0x0800);
    expect([b.phy(31), b.phy(1)]).toEqual([2, 0]);
    b.setPhy(31, 0);
    expect(b.phy(0)).toBe(0x1140);
  });

  it('the timer counts 33 MHz from a write to TCTR on, and tells once when it is over', () => {
    const b = new Bench().start();
    b.set(R.TIMERINT, 1, 4);
    b.set(R.TCTR, 0, 4);
    while (b.get(R.TCTR, 4) < 2);
    expect(b.ack()).toBe(0x4000);
    expect(b.ack()).toBe(0);
  });

  it('the tally counters are dumped to memory', () => {
    const b = new Bench().start();
    b.send([frame(OTHER, 60)]);
    b.arrive(frame(BROADCAST, 60));
    b.arrive(frame(MAC, 60));
    b.set(R.DTCCR + 4, 0, 4);
    b.set(R.DTCCR, 0x8000_3000 | 8, 4);
    expect(b.get(R.DTCCR, 4)).toBe(0x8000_3000);
    expect([0, 8, 16, 40, 48].map((at) => b.word(0x8000_3000 + at))).toEqual([1, 2, 0, 1, 1]);
    b.set(R.DTCCR, 8, 4);
    expect(b.ack() & SERR).toBe(SERR);
  });
});

describe('RTL8169 transmitter', () => {
  it('sends, gives the descriptor back, interrupts', () => {
    const b = new Bench().start();
    b.send([frame(OTHER, 100)]);
    expect(b.port.sent).toEqual([frame(OTHER, 100)]);
    expect(b.word(TX_RING)).toBe(FS | LS | 100);
    expect(b.interrupt).toBe(true);
    expect(b.ack()).toBe(TOK | TDU);
    expect([b.interrupt, b.port.flushes]).toEqual([false, 1]);
  });

  it('joins fragments; the ring ends at EOR', () => {
    const b = new Bench().start();
    const f = frame(OTHER, 90);
    b.send([f.slice(0, 20), f.slice(20, 21), f.slice(21)]);
    b.send([frame(OTHER, 61)], { end: true });
    b.poke32(TX_RING, OWN | FS | LS | 62);
    b.set(R.TPPOLL, NPQ, 1);
    expect(b.port.sent.map((s) => s.length)).toEqual([90, 61, 62]);
    expect(b.port.sent[0]).toEqual(f);
  });

  it('waits for a packet whose last descriptors are still the driver’s', () => {
    const b = new Bench().start();
    b.poke32(TX_RING, OWN | FS | 30, 0, TX_DATA, 0, LS | 40, 0, TX_DATA + 30, 0);
    b.set(R.TPPOLL, NPQ, 1);
    expect(b.port.sent).toEqual([]);
    expect(b.word(TX_RING)).toBe((OWN | FS | 30) >>> 0);
    b.poke32(TX_RING + 16, OWN | LS | 40);
    b.set(R.TPPOLL, NPQ, 1);
    expect(b.port.sent.map((s) => s.length)).toEqual([70]);
  });

  it('serves the high-priority ring too', () => {
    const b = new Bench().start();
    b.send([frame(OTHER, 77)], { ring: TX_HIGH_RING, poll: HPQ });
    expect(b.port.sent.map((s) => s.length)).toEqual([77]);
    expect(b.word(TX_HIGH_RING) & OWN).toBe(0);
  });

  it('inserts the checksums that it is asked for', () => {
    const b = new Bench().start();
    const tcp = tcpFrame({ payload: bytes(100) });
    const udp = udpFrame({ payload: bytes(33) });
    tcp[L4 + 16] = 0x12; // drivers leave the pseudo header's sum here
    b.send([tcp], { command: (1 << 18) | (1 << 16) });
    b.send([udp], { command: (1 << 18) | (1 << 17) });
    b.send([udp], { command: 1 << 18 });
    expect(b.port.sent.slice(0, 2).every(checksumsRight)).toBe(true);
    expect(word(b.port.sent[2], L4 + 6)).toBe(0);
  });

  it('segments a large send', () => {
    const b = new Bench().start();
    const payload = bytes(4000);
    const f = tcpFrame({ payload });
    b.send([f.slice(0, 54), f.slice(54)], { command: (1 << 27) | (1448 << 16) });
    expect(b.port.sent.map((s) => s.length)).toEqual([1502, 1502, 1158]);
    expect(b.port.sent.every(checksumsRight)).toBe(true);
    expect(b.port.sent.flatMap((s) => s.slice(54))).toEqual(payload);
    expect(b.ack() & (TOK | TER)).toBe(TOK);
  });

  it('inserts a VLAN tag, into every segment', () => {
    const b = new Bench().start();
    const tagged = [0x81, 0x00, 0x20, 0x05, 0x08, 0x00];
    b.send([frame(OTHER, 60)], { vlan: (1 << 17) | 0x0520 });
    b.send([tcpFrame({ payload: bytes(2000) })], { command: (1 << 27) | (1000 << 16), vlan: (1 << 17) | 0x0520 });
    expect(b.port.sent.map((s) => s.length)).toEqual([64, 1058, 1058]);
    for (const sent of b.port.sent) expect(sent.slice(12, 18)).toEqual(tagged);
    expect(b.port.sent[2].slice(0, 12)).toEqual([...MAC, ...OTHER]);
    expect(checksumsRight([...b.port.sent[2].slice(0, 12), ...b.port.sent[2].slice(16)])).toBe(true);
  });

  it('cuts its work into bursts', () => {
    const b = new Bench().start();
    for (let i = 0; i < 20; i++) b.poke32(TX_RING + 16 * i, OWN | FS | LS | 60, 0, TX_DATA, 0);
    b.set(R.TPPOLL, NPQ, 1);
    expect(b.port.sent).toHaveLength(16);
    for (const task of b.deferred.splice(0)) task();
    expect(b.port.sent).toHaveLength(20);
    expect(b.deferred).toHaveLength(0);
  });

  it('large sends count by their frames', () => {
    const b = new Bench().start();
    b.poke(TX_DATA, ...tcpFrame({ payload: bytes(4000) }));
    const command = (OWN | FS | LS | (1 << 27) | (100 << 16) | 4054) >>> 0;
    for (let i = 0; i < 3; i++) b.poke32(TX_RING + 16 * i, command, 0, TX_DATA, 0);
    b.set(R.TPPOLL, NPQ, 1);
    expect(b.port.sent).toHaveLength(80);
    for (const task of b.deferred.splice(0)) task();
    expect(b.port.sent).toHaveLength(120);
  });

  it('addresses outside RAM are errors', () => {
    const b = new Bench().start();
    b.poke32(TX_RING, OWN | FS | LS | 60, 0, RAM_BASE + RAM_BYTES - 10, 0, OWN | FS | LS | 60, 0, TX_DATA, 1);
    b.set(R.TPPOLL, NPQ, 1);
    expect([b.port.sent, b.ack() & (TOK | TER)]).toEqual([[], TER]);
    b.set(R.TNPDS, 0, 4);
    b.set(R.TPPOLL, NPQ, 1);
    expect(b.ack() & SERR).toBe(SERR);
  });

  it('a reset while a frame is on its way leaves the old ring alone', () => {
    const b = new Bench().start();
    b.port.meanwhile = () => b.set(R.CR, 0x10, 1);
    b.send([frame(OTHER, 60)]);
    expect([b.port.sent.length, b.word(TX_RING) >>> 31, b.get(R.ISR, 2)]).toEqual([1, 1, 0]);
    b.port.meanwhile = () => {};
    b.start().send([frame(OTHER, 61)], { ring: TX_RING - 16 });
    expect(b.port.sent.map((f) => f.length)).toEqual([60, 61]);
  });

  it('a doorbell while a frame is on its way is not lost', () => {
    const b = new Bench().start();
    b.port.meanwhile = () => {
      b.port.meanwhile = () => {};
      b.send([frame(OTHER, 61)]);
    };
    b.send([frame(OTHER, 60)]);
    expect(b.port.sent.map((f) => f.length)).toEqual([60, 61]);
  });

  it('a switch may answer from within the call, and the card loops back', () => {
    const b = new Bench().start();
    b.port.answer = Uint8Array.from(frame(MAC, 64));
    b.send([frame(OTHER, 60)]);
    expect(b.ack() & (ROK | TOK)).toBe(ROK | TOK);
    b.set(R.TCR, 1 << 17, 4);
    b.send([frame(MAC, 70)]);
    expect(b.port.sent).toHaveLength(1);
    expect(b.rx(1) & 0x3fff).toBe(74);
  });
});

describe('RTL8169 receiver', () => {
  it('puts frame and FCS into the buffer, status into the descriptor', () => {
    const b = new Bench().start();
    expect(b.arrive(frame(MAC, 101))).toBe(true);
    expect(b.rx(0)).toBe((FS | LS | (1 << 26) | 105) >>> 0);
    const fcs = crc32(Uint8Array.from(frame(MAC, 101)));
    const ending = [fcs & 255, (fcs >>> 8) & 255, (fcs >>> 16) & 255, fcs >>> 24];
    expect(b.peek(RX_DATA, 105)).toEqual([...frame(MAC, 101), ...ending]);
    expect([b.ack(), b.interrupt]).toEqual([ROK, false]);
  });

  it('pads short frames to 60 bytes, goes round its ring, refuses what has no descriptor', () => {
    const b = new Bench().start();
    for (let i = 0; i < RX_DESCRIPTORS; i++) expect(b.arrive(frame(BROADCAST, 42, i))).toBe(true);
    expect(b.rx(3)).toBe((EOR | FS | LS | (1 << 25) | 64) >>> 0);
    expect(b.ack()).toBe(ROK);
    expect(b.arrive(frame(MAC, 60))).toBe(false);
    expect([b.ack(), b.get(R.MPC, 4)]).toEqual([RDU, 1]);
    b.giveRx(0);
    expect(b.arrive(frame(MAC, 60))).toBe(true);
  });

  it('spreads a frame over small buffers, or takes none of it', () => {
    const b = new Bench().start({ buffer: 64 });
    expect(b.arrive(frame(MAC, 150))).toBe(true); // 154 with FCS
    expect([0, 1, 2].map((i) => b.rx(i))).toEqual([
      (FS | 64 | (1 << 26)) >>> 0,
      64 | (1 << 26),
      (LS | 154 | (1 << 26)) >>> 0,
    ]);
    expect([...b.peek(RX_DATA, 64), ...b.peek(RX_DATA + 0x4000, 64)]).toEqual(frame(MAC, 150).slice(0, 128));
    expect(b.arrive(frame(MAC, 150))).toBe(false);
    expect(b.rx(3) >>> 31).toBe(1);
  });

  it.each([
    ['to us', MAC, 0x02, true],
    ['to another', OTHER, 0x0e, false],
    ['to another, promiscuous', OTHER, 0x01, true],
    ['broadcast, not asked for', BROADCAST, 0x06, false],
  ])('filter: %s', (_name, to, rcr, taken) => {
    expect(new Bench().start({ rcr }).arrive(frame(to, 60))).toBe(taken);
  });

  it.each([
    ['TCP', checksummed(tcpFrame({ payload: bytes(30) })), 1 << 17],
    ['UDP', checksummed(udpFrame({ payload: bytes(30) })), 1 << 18],
    ['UDP, wrong', [...checksummed(udpFrame({ payload: bytes(30) })).slice(0, -1), 0], (1 << 18) | (1 << 15)],
    ['neither', frame(MAC, 60), 0],
  ])('checks checksums: %s', (_name, f, bits) => {
    const b = new Bench().start({ cpcr: 1 << 5 });
    b.arrive(f);
    expect(b.rx(0) & 0x7c000).toBe(bits);
  });

  it('strips the VLAN tag', () => {
    const b = new Bench().start({ cpcr: 1 << 6 });
    const f = frame(MAC, 100);
    b.arrive([...f.slice(0, 12), 0x81, 0, 0x20, 0x05, ...f.slice(12)]);
    expect(b.rx(0) & 0x3fff).toBe(104);
    expect(b.peek(RX_DATA, 100)).toEqual(f);
    expect(b.word(RX_RING + 4)).toBe((1 << 16) | 0x0520);
  });
});

describe('RTL8169 against a hostile guest', () => {
  const value = fc.oneof(
    fc.integer({ min: 0, max: 0xffff_ffff }),
    fc.constantFrom(TX_RING, RX_RING, RAM_BASE + RAM_BYTES - 256, RAM_BASE + RAM_BYTES - 8, 0x0c, 0xff),
  );
  const size = fc.constantFrom(1 as const, 2 as const, 4 as const);
  const action = fc.record({ register: fc.nat(63), size, value, frame: fc.integer({ min: 0, max: 1600 }) });
  const descriptor = fc.record({
    command: fc.oneof(value, fc.constantFrom(OWN | FS | LS | 200, OWN | FS | LS | (1 << 27) | (1 << 16) | 0xffff)),
    address: fc.oneof(value, fc.constantFrom(TX_DATA, RX_DATA, TX_RING)),
    vlan: value,
  });
  it('random registers and descriptors never throw, never reach outside RAM, never keep the thread', () => {
    const rings = fc.array(descriptor, { minLength: 8, maxLength: 64 });
    fc.assert(
      fc.property(rings, fc.array(action, { maxLength: 40 }), (descriptors, actions) => {
        const b = new Bench().start({ rcr: 0x0f, cpcr: 0x60 });
        b.poke(TX_DATA, ...tcpFrame({ payload: bytes(400) }));
        descriptors.forEach((d, i) => {
          b.poke32((i & 1 ? RX_RING : TX_RING) + 16 * (i >> 1), d.command, d.vlan, d.address, 0);
        });
        b.set(R.TPPOLL, NPQ | HPQ, 1);
        for (const a of actions) {
          b.set(a.register * 4, a.size === 4 ? a.value : a.value % 2 ** (8 * a.size), a.size);
          b.get(a.register * 4, a.size);
          b.port.handler(new Uint8Array(a.frame).fill(0xff));
          b.set(R.TPPOLL, NPQ, 1);
          for (const task of b.deferred.splice(0)) task();
        }
        expect(b.after.every((byte) => byte === 0)).toBe(true);
      }),
      { numRuns: 150 },
    );
  });
});
