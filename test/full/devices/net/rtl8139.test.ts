import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { eepromWord } from '#engines/full/devices/net/realtek-eeprom.js';
import { Rtl8139 } from '#engines/full/devices/net/rtl8139.js';
import { RAM_BASE, RAM_BYTES } from '../pci/pci-bench.js';
import { CardBench } from './card-bench.js';
import { BROADCAST, frame, MAC, OTHER } from './packets.js';

const RING = 0x8000_4000;
const TX = 0x8000_1000;
const R = {
  MAR: 8,
  TSD: 0x10,
  TSAD: 0x20,
  RBSTART: 0x30,
  CR: 0x37,
  CAPR: 0x38,
  CBR: 0x3a,
  IMR: 0x3c,
  ISR: 0x3e,
  TCR: 0x40,
  RCR: 0x44,
  MPC: 0x4c,
  EECR: 0x50,
  TSALL: 0x60,
  BMSR: 0x64,
};
const ROK = 1;
const TOK = 4;
const RXOVW = 0x10;
const SERR = 0x8000;
const OWN = 1 << 13;
const APM_AB = 0x0a;
const WRAP = 0x80;

class Bench extends CardBench<Rtl8139> {
  constructor() {
    super(Rtl8139, 1);
  }
  /** As a driver starts it; rblen: 0 is a ring of 8 KiB. */
  start(rcr = APM_AB, rblen = 0): void {
    this.set(R.RBSTART, RING, 4);
    this.set(R.CR, 0x0c, 1);
    this.set(R.RCR, rcr | (rblen << 11), 4);
    this.set(R.IMR, 0xffff, 2);
  }
  ack(): number {
    const isr = this.get(R.ISR, 2);
    this.set(R.ISR, isr, 2);
    return isr;
  }
}

const started = (rcr?: number, rblen?: number): Bench => {
  const b = new Bench();
  b.start(rcr, rblen);
  return b;
};

describe('RTL8139 registers', () => {
  it('have their reset values (datasheet, chapter 5)', () => {
    const b = new Bench();
    expect([0, 1, 2, 3, 4, 5].map((i) => b.get(i, 1))).toEqual(MAC);
    for (let d = 0; d < 4; d++) expect(b.get(R.TSD + 4 * d, 4)).toBe(OWN);
    expect(b.get(R.CR, 1)).toBe(1); // ring empty, nothing enabled
    expect(b.get(R.CAPR, 2)).toBe(0xfff0);
    expect(b.get(R.TCR, 4) & 0x7cc0_0000).toBe(0x7400_0000); // RTL8139C
    expect(b.get(R.BMSR, 2) & 0x24).toBe(0x24); // link up, negotiated
  });

  it('CR.RST ends by itself and resets all but the address', () => {
    const b = started();
    b.set(R.CR, 0x10, 1);
    expect(b.get(R.CR, 1)).toBe(1);
    expect(b.get(R.IMR, 2)).toBe(0);
    expect(b.get(0, 4)).toBe(0x12005452);
  });

  it('the station address changes only while 9346CR unlocks it', () => {
    const b = new Bench();
    b.set(0, 0x11223344, 4);
    expect(b.get(0, 4)).toBe(0x12005452);
    b.set(R.EECR, 0xc0, 1);
    b.set(0, 0x11223344, 4);
    b.set(R.EECR, 0, 1);
    expect(b.get(0, 4)).toBe(0x11223344);
  });

  it('the EEPROM is read bit by bit (93C46)', () => {
    const b = new Bench();
    const word = (address: number): number => {
      const clock = (di: number) => {
        b.set(R.EECR, 0x88 | di, 1);
        b.set(R.EECR, 0x8c | di, 1);
        return b.get(R.EECR, 1) & 1;
      };
      b.set(R.EECR, 0x80, 1);
      for (let bit = 8; bit >= 0; bit--) clock((((6 << 6) | address) >> bit) & 1 ? 2 : 0);
      let value = 0;
      for (let bit = 0; bit < 16; bit++) value = (value << 1) | clock(0);
      b.set(R.EECR, 0x80, 1);
      return value;
    };
    expect(word(0)).toBe(0x8129);
    expect([word(7), word(8), word(9)]).toEqual([0x5452, 0x1200, 0x5634]);
    expect(eepromWord(1, Uint8Array.from(MAC))).toBe(0x10ec);
  });
});

describe('RTL8139 transmitter', () => {
  const send = (b: Bench, d: number, bytes: number[], address = TX + d * 2048) => {
    b.poke(address, ...bytes);
    b.set(R.TSAD + 4 * d, address, 4);
    b.set(R.TSD + 4 * d, bytes.length, 4);
  };

  it('sends the descriptor, tells by OWN and TOK, interrupts, and ends the burst', () => {
    const b = started();
    send(b, 0, frame(OTHER, 100));
    expect(b.port.sent).toEqual([frame(OTHER, 100)]);
    expect(b.get(R.TSD, 4)).toBe(0xa000 | 100);
    expect(b.port.flushes).toBe(1);
    expect(b.interrupt).toBe(true);
    expect(b.ack()).toBe(TOK);
    expect(b.interrupt).toBe(false);
  });

  it('takes the descriptors in their order, whatever order they are filled in', () => {
    const b = started();
    send(b, 1, frame(OTHER, 61));
    expect(b.port.sent).toHaveLength(0);
    expect(b.get(R.TSALL, 2)).toBe(0b1101); // 1 is the card's
    send(b, 0, frame(OTHER, 60));
    expect(b.port.sent.map((f) => f.length)).toEqual([60, 61]);
    expect(b.get(R.TSALL, 2)).toBe(0x300f);
  });

  it('does nothing without TE or bus mastering', () => {
    const b = new Bench();
    send(b, 0, frame(OTHER, 60));
    expect(b.port.sent).toHaveLength(0);
    b.config(4, 2);
    b.start();
    expect(b.port.sent).toHaveLength(0);
    expect(b.arrive(frame(MAC, 60))).toBe(false);
  });

  it('an address outside RAM and a frame that is too long are errors, not exceptions', () => {
    const b = started();
    b.set(R.TSAD, RAM_BASE + RAM_BYTES - 10, 4);
    b.set(R.TSD, 60, 4);
    expect(b.get(R.TSD, 4) & 0x4000_8000).toBe(0x4000_0000);
    expect(b.ack() & SERR).toBe(SERR);
    b.set(R.TSAD + 4, TX, 4);
    b.set(R.TSD + 4, 1793, 4);
    expect(b.ack()).toBe(8);
    expect(b.port.sent).toHaveLength(0);
  });

  it('a reset while a frame is on its way leaves the descriptors as the reset left them', () => {
    const b = started();
    send(b, 1, frame(OTHER, 62)); // would come next
    b.port.meanwhile = () => b.set(R.CR, 0x10, 1);
    send(b, 0, frame(OTHER, 60));
    expect(b.port.sent.map((f) => f.length)).toEqual([60]);
    expect([0, 4, 8, 12].map((at) => b.get(R.TSD + at, 4))).toEqual([OWN, OWN, OWN, OWN]);
    expect(b.get(R.ISR, 2)).toBe(0);
    b.port.meanwhile = () => {};
    b.start();
    send(b, 0, frame(OTHER, 61));
    expect(b.port.sent.map((f) => f.length)).toEqual([60, 61]);
    expect(b.get(R.TSD, 4)).toBe(0xa000 | 61);
  });

  it('a switch may answer from within the call', () => {
    const b = started();
    b.port.answer = Uint8Array.from(frame(MAC, 64));
    send(b, 0, frame(OTHER, 60));
    expect(b.ack()).toBe(ROK | TOK);
  });

  it('loops back', () => {
    const b = started();
    b.set(R.TCR, 3 << 17, 4);
    send(b, 0, frame(MAC, 70));
    expect(b.port.sent).toHaveLength(0);
    expect(b.ack()).toBe(ROK | TOK);
    expect(b.peek(RING + 4, 70)).toEqual(frame(MAC, 70));
  });
});

describe('RTL8139 receiver', () => {
  it('puts status, length with FCS, frame and FCS into the ring', () => {
    const b = started();
    expect(b.arrive(frame(MAC, 101))).toBe(true);
    const ring = b.peek(RING, 4 + 105);
    expect(ring[0] | (ring[1] << 8)).toBe(0x4001); // physical match, OK
    expect(ring[2] | (ring[3] << 8)).toBe(105);
    expect(ring.slice(4, 105)).toEqual(frame(MAC, 101));
    const fcs = crc32(Uint8Array.from(frame(MAC, 101)));
    expect(ring.slice(105)).toEqual([fcs & 255, (fcs >>> 8) & 255, (fcs >>> 16) & 255, fcs >>> 24]);
    expect(b.get(R.CBR, 2)).toBe(112); // rounded up to 4
    expect(b.get(R.CR, 1) & 1).toBe(0);
    expect(b.ack()).toBe(ROK);
    b.set(R.CAPR, 112 - 16, 2);
    expect(b.get(R.CR, 1) & 1).toBe(1);
  });

  it('pads short frames to 60 bytes', () => {
    const b = started();
    b.arrive(frame(MAC, 42));
    expect(b.peek(RING + 2, 2)).toEqual([64, 0]);
    expect(b.peek(RING + 4 + 42, 18)).toEqual(new Array(18).fill(0));
  });

  it.each([
    ['to us', MAC, 0x02, true],
    ['to us, not asked for', MAC, 0x08, false],
    ['to another', OTHER, 0x0e, false],
    ['to another, promiscuous', OTHER, 0x01, true],
    ['broadcast', BROADCAST, 0x08, true],
    ['broadcast, not asked for', BROADCAST, 0x06, false],
  ])('filter: %s', (_name, to, rcr, taken) => {
    expect(started(rcr).arrive(frame(to, 60))).toBe(taken);
  });

  it('multicast goes by the hash: 01:00:5e:00:00:01 is bit 31', () => {
    // CRC-32 (as Ethernet's) of the address, most significant six bits
    const b = started(0x04);
    const group = [0x01, 0x00, 0x5e, 0x00, 0x00, 0x01];
    expect(b.arrive(frame(group, 60))).toBe(false);
    b.set(R.MAR, 1 << 31, 4);
    expect(b.arrive(frame(group, 60))).toBe(true);
    b.set(R.MAR, ~(1 << 31), 4);
    b.set(R.MAR + 4, 0xffffffff, 4);
    expect(b.arrive(frame(group, 60))).toBe(false);
  });

  const fill = (b: Bench): number => {
    let frames = 0;
    while (b.arrive(frame(MAC, 1000, frames & 255))) frames++;
    return frames;
  };

  it('refuses what would not fit, counts it and says so', () => {
    const b = started();
    expect(fill(b)).toBe(8); // 8 * 1008 < 8192
    expect(b.ack()).toBe(ROK | RXOVW);
    expect(b.get(R.MPC, 4)).toBe(1);
    b.set(R.CAPR, 1008 - 16, 2);
    expect(b.arrive(frame(MAC, 1000))).toBe(true);
  });

  it('never fills the ring wholly, which would look empty', () => {
    const b = started();
    fill(b); // 128 bytes are left
    expect(b.arrive(frame(MAC, 120))).toBe(false);
    expect(b.arrive(frame(MAC, 116))).toBe(true);
    expect(b.get(R.CR, 1) & 1).toBe(0);
  });

  it('splits a frame at the end of the ring, or with WRAP goes on behind it', () => {
    for (const wrap of [0, WRAP]) {
      const b = started(APM_AB | wrap);
      fill(b);
      b.set(R.CAPR, 7 * 1008 - 16, 2);
      b.arrive(frame(MAC, 1000, 0xee));
      const at = 8 * 1008;
      expect(b.peek(RING + at + 4, 124)).toEqual(frame(MAC, 1000, 0xee).slice(0, 124));
      expect(b.peek(RING + (wrap ? 8192 : 0), 876)).toEqual(frame(MAC, 1000, 0xee).slice(124));
      expect(b.get(R.CBR, 2)).toBe((9 * 1008) % 8192);
    }
  });

  it('a ring outside RAM is an error', () => {
    const b = started();
    b.set(R.RBSTART, RAM_BASE + RAM_BYTES - 32, 4);
    expect(b.arrive(frame(MAC, 60))).toBe(false);
    expect(b.ack()).toBe(SERR);
  });

  it('hands a driver every frame, in order, for any lengths and any pace', () => {
    const step = fc.record({ bytes: fc.integer({ min: 14, max: 1514 }), read: fc.boolean() });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), fc.constantFrom(0, WRAP), (steps, wrap) => {
        const b = started(APM_AB | wrap, 0);
        const expected: number[][] = [];
        let at = 0;
        const readAll = () => {
          while (!(b.get(R.CR, 1) & 1)) {
            const take = (offset: number, n: number): number[] => {
              const from = wrap ? at + offset : (at + offset) % 8192;
              const first = wrap ? n : Math.min(n, 8192 - from);
              return [...b.peek(RING + from, first), ...b.peek(RING, n - first)];
            };
            const header = take(0, 4);
            const length = header[2] | (header[3] << 8);
            const want = expected.shift() ?? [];
            expect(take(4, length - 4).slice(0, want.length)).toEqual(want);
            at = ((at + length + 4 + 3) % 8192) & ~3;
            b.set(R.CAPR, (at - 16) & 0xffff, 2);
          }
        };
        steps.forEach((s, i) => {
          const f = frame(MAC, s.bytes, i & 255);
          if (b.arrive(f)) expected.push(f);
          if (s.read) readAll();
        });
        readAll();
        expect(expected).toEqual([]);
      }),
      { numRuns: 60 },
    );
  });
});

describe('RTL8139 against a hostile guest', () => {
  const value = fc.oneof(
    fc.integer({ min: 0, max: 0xffffffff }),
    fc.constantFrom(RING, TX, RAM_BASE + RAM_BYTES - 8, 0x0c, 60, 1500),
  );
  const action = fc.record({
    word: fc.nat(63),
    size: fc.constantFrom(1 as const, 2 as const, 4 as const),
    value,
    frame: fc.integer({ min: 0, max: 1600 }),
  });
  it('random registers never throw, never reach outside RAM, never keep the thread', () => {
    fc.assert(
      fc.property(fc.array(action, { maxLength: 80 }), (actions) => {
        const b = started();
        for (const a of actions) {
          b.set(a.word * 4, a.size === 4 ? a.value : a.value % 2 ** (8 * a.size), a.size);
          b.get(a.word * 4, a.size);
          b.port.handler(new Uint8Array(a.frame).fill(0xff));
          for (const task of b.deferred.splice(0)) task();
        }
        expect(b.after.every((byte) => byte === 0)).toBe(true);
      }),
      { numRuns: 200 },
    );
  });
});
