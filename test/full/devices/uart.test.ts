import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { UART_STATE_BYTES, Uart } from '#engines/full/devices/uart.js';
import { access, freshState } from './parts.js';

/* Registers and bits by the NS16550AF data sheet's table II. */
const RBR = 0;
const THR = 0;
const IER = 1;
const IIR = 2;
const FCR = 2;
const LCR = 3;
const MCR = 4;
const LSR = 5;
const MSR = 6;
const SCR = 7;
const NONE = 0x01;
const THRE = 0x02;
const DATA = 0x04;
const LINE = 0x06;
const TIMEOUT = 0x0c;

function build(capacity = 1024) {
  const far = { sent: [] as number[], input: [] as number[], bells: [] as number[], capacity };
  const line = { level: false, events: 0 };
  const uart = new Uart(
    {
      state: freshState(UART_STATE_BYTES),
      irq: (level) => {
        line.level = level;
        if (level) line.events++;
      },
    },
    {
      room: () => far.capacity - far.sent.length,
      put: (byte) => far.sent.push(byte),
      take: () => far.input.shift() ?? -1,
      doorbell: (byte) => byte === 2 && far.bells.push(byte) > 0,
    },
  );
  uart.reset();
  const type = (text: string) => {
    far.input.push(...Buffer.from(text));
    uart.serve();
  };
  return { uart, far, line, type };
}

describe('NS16550A', () => {
  it('sends what is written, and says that it is ready for more', () => {
    const { uart, far } = build();
    for (const byte of Buffer.from('ok\n')) {
      expect(uart.read(LSR, 1) & 0x60).toBe(0x60);
      uart.write(THR, 1, byte);
    }
    expect(Buffer.from(far.sent).toString()).toBe('ok\n');
  });

  it('doorbells do not go out', () => {
    const { uart, far } = build();
    uart.write(THR, 1, 2);
    expect(far.sent).toEqual([]);
    expect(far.bells).toEqual([2]);
  });

  it('is busy while the far end has no room, and interrupts when it has again', () => {
    const { uart, far, line } = build(20);
    uart.write(IER, 1, 2);
    for (let i = 0; i < 10; i++) uart.write(THR, 1, 0x61);
    expect(uart.read(LSR, 1) & 0x20).toBe(0);
    uart.read(IIR, 1);
    expect(line.level).toBe(false);
    far.sent.length = 0;
    uart.serve();
    expect(line.level).toBe(true);
    expect(uart.read(IIR, 1) & 0x0f).toBe(THRE);
    expect(uart.read(LSR, 1) & 0x20).toBe(0x20);
  });

  it('a driver that writes 16 bytes whenever THRE is set loses nothing', () => {
    const { uart, far } = build(40);
    for (let burst = 0; burst < 10 && (uart.read(LSR, 1) & 0x20) !== 0; burst++) {
      for (let i = 0; i < 16; i++) uart.write(THR, 1, 0x61);
    }
    expect(uart.counters()['uart.lost']).toBe(0);
    expect(far.sent.length).toBe(32);
  });

  it('THRE interrupts when it is enabled, once: reading IIR takes it away, writing THR brings it back', () => {
    const { uart, line } = build();
    uart.write(IER, 1, 2);
    expect(line.level).toBe(true);
    expect(uart.read(IIR, 1)).toBe(THRE);
    expect(line.level).toBe(false);
    expect(uart.read(IIR, 1)).toBe(NONE);
    uart.write(THR, 1, 0x61);
    expect(line.level).toBe(true);
  });

  it('tells of each byte and of nothing that a driver only looks at', () => {
    const { uart, line, type } = build();
    uart.write(FCR, 1, 1);
    uart.write(IER, 1, 3);
    const before = line.events;
    for (const register of [LSR, LCR, MCR, MSR, SCR]) uart.read(register, 1);
    uart.serve();
    expect(line).toEqual({ level: true, events: before }); // THRE, which only IIR or THR take away
    type('a');
    type('b');
    expect(line.events).toBe(before + 2);
    uart.read(RBR, 1);
    expect(line.events).toBe(before + 3);
  });

  it('receives in order, with data-ready and interrupt until all is read', () => {
    const { uart, line, type } = build();
    uart.write(FCR, 1, 1);
    uart.write(IER, 1, 1);
    type('ab');
    expect(line.level).toBe(true);
    expect(uart.read(IIR, 1)).toBe(0xc0 | DATA);
    expect(uart.read(LSR, 1) & 1).toBe(1);
    expect([uart.read(RBR, 1), uart.read(RBR, 1)]).toEqual([0x61, 0x62]);
    expect(line.level).toBe(false);
    expect(uart.read(LSR, 1) & 1).toBe(0);
    expect(uart.read(RBR, 1)).toBe(0);
  });

  it('holds 16 bytes with FIFOs and one without; more waits outside', () => {
    const { uart, far, type } = build();
    type('0123456789abcdefXYZ');
    expect(far.input.length).toBe(18);
    uart.write(FCR, 1, 1); // switching the FIFOs clears them: the one byte is gone
    expect(far.input.length).toBe(2);
    expect(uart.read(RBR, 1)).toBe('1'.charCodeAt(0));
  });

  it('tells trigger level from time-out', () => {
    const { uart, type } = build();
    uart.write(FCR, 1, 0x81); // 8 bytes
    uart.write(IER, 1, 1);
    type('1234567');
    expect(uart.read(IIR, 1)).toBe(0xc0 | TIMEOUT);
    type('8');
    expect(uart.read(IIR, 1)).toBe(0xc0 | DATA);
  });

  it('receive comes before transmit', () => {
    const { uart, type } = build();
    uart.write(IER, 1, 3);
    type('x');
    expect(uart.read(IIR, 1)).toBe(DATA);
    uart.read(RBR, 1);
    expect(uart.read(IIR, 1)).toBe(THRE);
  });

  it('the divisor latch hides RBR and IER', () => {
    const { uart, far } = build();
    uart.write(LCR, 1, 0x83);
    uart.write(0, 1, 0x0c);
    uart.write(1, 1, 0x01);
    expect([uart.read(0, 1), uart.read(1, 1)]).toEqual([0x0c, 0x01]);
    uart.write(LCR, 1, 0x03);
    expect(uart.read(IER, 1)).toBe(0);
    expect(far.sent).toEqual([]);
  });

  it('the scratch register and IER keep what they can', () => {
    const { uart } = build();
    uart.write(SCR, 1, 0xa5);
    uart.write(IER, 1, 0xff);
    expect([uart.read(SCR, 1), uart.read(IER, 1)]).toEqual([0xa5, 0x0f]);
  });

  it('loop-back: what is sent is received, outputs are inputs, and nothing leaves', () => {
    const { uart, far } = build();
    uart.write(MCR, 1, 0x1a); // LOOP, OUT2, RTS: Linux's probe expects DCD and CTS
    expect(uart.read(MSR, 1) & 0xf0).toBe(0x90);
    uart.write(FCR, 1, 1);
    uart.write(THR, 1, 0x55);
    expect(uart.read(RBR, 1)).toBe(0x55);
    expect(far.sent).toEqual([]);
  });

  it('loop-back beyond the FIFO is an overrun, cleared by reading LSR', () => {
    const { uart, line } = build();
    uart.write(MCR, 1, 0x10);
    uart.write(FCR, 1, 1);
    uart.write(IER, 1, 4);
    for (let i = 0; i < 17; i++) uart.write(THR, 1, i);
    expect(uart.read(IIR, 1) & 0x0f).toBe(LINE);
    expect(uart.read(LSR, 1) & 2).toBe(2);
    expect(uart.read(LSR, 1) & 2).toBe(0);
    expect(line.level).toBe(false);
  });

  it('never throws, whatever is accessed', () => {
    const step = fc.record({
      write: fc.boolean(),
      offset: fc.oneof(fc.nat(8), fc.nat(0xff)),
      size: fc.constantFrom(1 as const, 2 as const, 4 as const),
      value: fc.nat(0xffff_ffff),
      typed: fc.string({ maxLength: 3 }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 100 }), (steps) => {
        const { uart, type } = build(40);
        for (const s of steps) {
          access(uart, s);
          type(s.typed);
        }
      }),
    );
  });
});
