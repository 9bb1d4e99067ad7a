import { describe, expect, it } from 'vitest';
import { RetransmissionTimeout } from '#engines/backends/tcp/retransmission-timeout.js';
import { Segment } from '#engines/backends/tcp/segment.js';
import { ACK, Bench, FIN, PSH, RST, SYN, text } from './bench.js';

const S = 1e9;

describe('handshake (RFC 9293, 3.5)', () => {
  it('answers a SYN with its own options, and again when it comes again', () => {
    const bench = new Bench({ receive: 131072 });
    bench.endpoint.accept(Bench.segment({ flags: SYN, seq: 5000, mss: 1460, scale: 7 }));
    const synAck = { flags: SYN | ACK, seq: 1000, ack: 5001, window: 65535, data: [], mss: 1460, scale: 2 };
    expect(bench.output()).toEqual([synAck]);
    expect(bench.receive({ flags: SYN, seq: 5000 })).toEqual([synAck]);
    expect(bench.endpoint.state).toBe('SYN_RECEIVED');
    expect(bench.receive({ seq: 5001, ack: 1001 })).toEqual([]);
    expect(bench.endpoint.state).toBe('ESTABLISHED');
    // Both scale: ours by 2, theirs by 7 (RFC 7323, 2.2: not in the SYN itself).
    expect(bench.write([1])[0].window).toBe(131072 >> 2);
  });

  it('does not scale when the peer does not', () => {
    const bench = new Bench({ receive: 131072 });
    bench.endpoint.accept(Bench.segment({ flags: SYN, seq: 5000 }));
    expect(bench.output()[0].scale).toBeUndefined();
    bench.receive({ seq: 5001, ack: 1001 });
    expect(bench.write([1])[0].window).toBe(65535);
  });

  it('repeats the SYN with growing pauses, then gives up with a reset', () => {
    const bench = new Bench();
    bench.endpoint.connect();
    expect(bench.output()[0]).toMatchObject({ flags: SYN, seq: 1000, ack: 0 });
    for (const seconds of [1, 2, 4, 8, 16, 32]) {
      expect(bench.wait((seconds - 0.001) * S)).toEqual([]);
      expect(bench.wait(0.001 * S)).toMatchObject([{ flags: SYN, seq: 1000 }]);
    }
    bench.wait(64 * S);
    expect(bench.endpoint).toMatchObject({ state: 'CLOSED', failure: 'timeout' });
  });

  it('opens actively, refuses a wrong acknowledgement, and ends on a reset', () => {
    const bench = new Bench();
    bench.endpoint.connect();
    bench.output();
    expect(bench.receive({ flags: SYN | ACK, seq: 9000, ack: 77 })).toMatchObject([{ flags: RST, seq: 77 }]);
    expect(bench.receive({ flags: SYN | ACK, seq: 9000, ack: 1001 })).toMatchObject([
      { flags: ACK, seq: 1001, ack: 9001 },
    ]);
    expect(bench.endpoint.state).toBe('ESTABLISHED');
    const refused = new Bench();
    refused.endpoint.connect();
    refused.output();
    refused.receive({ flags: RST | ACK, seq: 0, ack: 77 });
    expect(refused.endpoint.state).toBe('SYN_SENT');
    refused.receive({ flags: RST | ACK, seq: 0, ack: 1001 });
    expect(refused.endpoint).toMatchObject({ state: 'CLOSED', failure: 'reset' });
  });

  it('opens when both begin at once (figure 7)', () => {
    const bench = new Bench();
    bench.endpoint.connect();
    bench.output();
    expect(bench.receive({ flags: SYN, seq: 300 })).toMatchObject([{ flags: SYN | ACK, seq: 1000, ack: 301 }]);
    bench.receive({ flags: ACK, seq: 301, ack: 1001 });
    expect(bench.endpoint.state).toBe('ESTABLISHED');
  });

  it('resets who acknowledges what was not sent', () => {
    const bench = new Bench();
    bench.endpoint.accept(Bench.segment({ flags: SYN, seq: 5000 }));
    bench.output();
    expect(bench.receive({ seq: 5001, ack: 1002 })).toMatchObject([{ flags: RST, seq: 1002 }]);
    expect(bench.endpoint.state).toBe('SYN_RECEIVED');
  });
});

describe('data', () => {
  it('carries bytes both ways across the wrap of sequence numbers', () => {
    const bench = Bench.established({ iss: 0xfffffffe, peerMss: 4 });
    expect(bench.endpoint.sender.mss).toBe(64);
    const sent = bench.write(text('hello'));
    expect(sent).toMatchObject([{ flags: ACK | PSH, seq: 0xffffffff, ack: 5001, data: text('hello') }]);
    bench.receive({ seq: 5001, ack: 4, data: text('world') });
    expect(bench.read()).toEqual(text('world'));
    expect(bench.endpoint.sender.una).toBe(4);
  });

  it('answers a burst with one acknowledgement, data carries it, and a gap is told for each segment', () => {
    const bench = Bench.established();
    const at = (seq: number) => bench.endpoint.receive(Bench.segment({ seq, ack: 1001, data: [1, 2] }), bench.now);
    at(5001);
    at(5003);
    expect(bench.output()).toMatchObject([{ flags: ACK, ack: 5005 }]);
    expect(bench.output()).toEqual([]);
    at(5005);
    expect(bench.write([9])).toMatchObject([{ ack: 5007, data: [9] }]);
    for (const seq of [5009, 5011, 5013]) at(seq);
    expect(bench.output().map((packet) => packet.ack)).toEqual([5007, 5007, 5007]);
    at(5007);
    expect(bench.output()).toMatchObject([{ ack: 5015 }]);
    expect(bench.read()).toHaveLength(14);
  });

  it('cuts what overlaps, and answers what lies outside of the window', () => {
    const bench = Bench.established({ receive: 16 });
    bench.receive({ seq: 5001, ack: 1001, data: [1, 2, 3] });
    expect(bench.receive({ seq: 5001, ack: 1001, data: [1, 2, 3] })).toMatchObject([{ flags: ACK, ack: 5004 }]);
    bench.receive({ seq: 4999, ack: 1001, data: [7, 7, 1, 2, 3, 4, 5] });
    bench.receive({ seq: 5006, ack: 1001, data: Array(30).fill(6) });
    expect(bench.read()).toEqual([1, 2, 3, 4, 5, ...Array(11).fill(6)]);
    bench.output();
    expect(bench.receive({ seq: 5100, ack: 1001, data: [1] })).toMatchObject([{ flags: ACK, seq: 1001, ack: 5017 }]);
    expect(bench.endpoint.receiver.readable).toBe(0);
  });

  it('closes its window when the owner does not read, and says so when it opens again', () => {
    const bench = Bench.established({ receive: 4096 });
    const [full] = bench.receive({ seq: 5001, ack: 1001, data: Array(4096).fill(1) });
    expect(full).toMatchObject({ ack: 9097, window: 0 });
    // A probe gets an answer, and nothing is taken (3.8.6.1).
    expect(bench.receive({ seq: 9097, ack: 1001, data: [1] })).toMatchObject([{ ack: 9097, window: 0 }]);
    expect(bench.read()).toHaveLength(4096);
    expect(bench.output()).toMatchObject([{ ack: 9097, window: 4096 }]);
  });

  it("keeps to the peer's window, probes a closed one, and goes on when it opens", () => {
    const bench = Bench.established({ window: 10 });
    expect(bench.write(Array.from({ length: 20 }, (_, i) => i)).map((packet) => packet.data.length)).toEqual([10]);
    expect(bench.receive({ seq: 5001, ack: 1011, window: 0 })).toEqual([]);
    expect(bench.wait(1 * S)).toMatchObject([{ seq: 1011, data: [10] }]);
    bench.receive({ seq: 5001, ack: 1011, window: 0 });
    expect(bench.wait(1.5 * S)).toEqual([]);
    expect(bench.wait(0.5 * S)).toMatchObject([{ seq: 1011, data: [10] }]);
    const rest = bench.receive({ seq: 5001, ack: 1011, window: 100 });
    expect(rest).toMatchObject([{ seq: 1011, data: [10, 11, 12, 13, 14, 15, 16, 17, 18, 19] }]);
    // Whoever answers probes is never given up.
    for (let i = 0; i < 40; i++) {
      bench.receive({ seq: 5001, ack: 1011, window: 0 });
      bench.wait(61 * S);
    }
    expect(bench.endpoint.state).toBe('ESTABLISHED');
  });

  it('waits when the wire takes no more, and loses nothing', () => {
    const bench = Bench.established({ peerMss: 100 });
    bench.wireRoom = 2;
    expect(bench.write(Array(1000).fill(5))).toHaveLength(2);
    expect(bench.endpoint.blocked).toBe(true);
    bench.wireRoom = 3;
    expect(bench.output().map((packet) => packet.seq)).toEqual([1201, 1301, 1401]);
    bench.wireRoom = 100;
    expect(bench.output()).toHaveLength(5);
    expect(bench.endpoint.blocked).toBe(false);
    expect(bench.endpoint.sender.counters.retransmitted).toBe(0);
  });
});

describe('loss', () => {
  it('sends again after the timeout, one segment first, and doubles it each time (RFC 6298, 5)', () => {
    const bench = Bench.established({ peerMss: 100 });
    bench.write(Array(300).fill(1));
    for (const seconds of [1, 2, 4]) {
      expect(bench.wait((seconds - 0.001) * S)).toEqual([]);
      expect(bench.wait(0.001 * S)).toMatchObject([{ seq: 1001 }]);
    }
    // Slow start after it: the next acknowledgement lets two out.
    expect(bench.receive({ seq: 5001, ack: 1101 }).map((packet) => packet.seq)).toEqual([1101, 1201]);
  });

  it('gives up a silent peer, after more than 100 s (RFC 9293, 3.8.3)', () => {
    const bench = Bench.established();
    bench.write([1]);
    const start = bench.now;
    let last: number | undefined;
    while (bench.endpoint.state !== 'CLOSED') last = bench.wait(bench.endpoint.deadline - bench.now).at(-1)?.flags;
    expect(bench.now - start).toBeGreaterThan(100 * S);
    expect(last).toBe(RST | ACK);
    expect(bench.endpoint.failure).toBe('timeout');
  });

  it('sends the first one again at the third duplicate acknowledgement (RFC 5681, 3.2)', () => {
    const bench = Bench.established({ peerMss: 100 });
    bench.write(Array(1000).fill(1));
    const duplicate = () => bench.receive({ seq: 5001, ack: 1001 });
    expect([duplicate(), duplicate()]).toEqual([[], []]);
    expect(duplicate()).toMatchObject([{ seq: 1001 }]);
    expect(duplicate()).toEqual([]);
    // Partly acknowledged: the next hole is filled at once (RFC 6582).
    expect(bench.receive({ seq: 5001, ack: 1301 })).toMatchObject([{ seq: 1301 }]);
    expect(bench.receive({ seq: 5001, ack: 2001 })).toEqual([]);
    expect(bench.endpoint.deadline).toBe(Number.POSITIVE_INFINITY);
  });
});

describe('closing (RFC 9293, 3.6)', () => {
  it('closes first, waits, and answers a FIN that comes again', () => {
    const bench = Bench.established();
    bench.write([1, 2]);
    expect(bench.finish()).toMatchObject([{ flags: FIN | ACK, seq: 1003 }]);
    expect(bench.endpoint.state).toBe('FIN_WAIT_1');
    bench.receive({ seq: 5001, ack: 1004 });
    expect(bench.endpoint.state).toBe('FIN_WAIT_2');
    expect(bench.receive({ flags: FIN | ACK, seq: 5001, ack: 1004, data: [3] })).toMatchObject([{ ack: 5003 }]);
    expect(bench.endpoint.state).toBe('TIME_WAIT');
    expect(bench.read()).toEqual([3]);
    expect(bench.receive({ flags: FIN | ACK, seq: 5001, ack: 1004, data: [3] })).toMatchObject([
      { flags: ACK, ack: 5003 },
    ]);
    expect(bench.wait(9 * S)).toEqual([]);
    bench.wait(1 * S);
    expect(bench.endpoint).toMatchObject({ state: 'CLOSED', failure: undefined });
  });

  it('closes second, still sends, and is done with the last acknowledgement', () => {
    const bench = Bench.established();
    expect(bench.receive({ flags: FIN | ACK, seq: 5001, ack: 1001 })).toMatchObject([{ flags: ACK, ack: 5002 }]);
    expect(bench.endpoint.state).toBe('CLOSE_WAIT');
    expect(bench.write([1])).toMatchObject([{ data: [1], ack: 5002 }]);
    expect(bench.finish()).toMatchObject([{ flags: FIN | ACK, seq: 1002 }]);
    expect(bench.endpoint.state).toBe('LAST_ACK');
    bench.receive({ seq: 5002, ack: 1003 });
    expect(bench.endpoint.state).toBe('CLOSED');
  });

  it('closes with both at once, and repeats a lost FIN', () => {
    const bench = Bench.established();
    bench.finish();
    expect(bench.wait(1 * S)).toMatchObject([{ flags: FIN | ACK, seq: 1001 }]);
    bench.receive({ flags: FIN | ACK, seq: 5001, ack: 1001 });
    expect(bench.endpoint.state).toBe('CLOSING');
    bench.receive({ seq: 5002, ack: 1002 });
    expect(bench.endpoint.state).toBe('TIME_WAIT');
  });

  it('takes a FIN only when all before it is here', () => {
    const bench = Bench.established();
    bench.receive({ flags: FIN | ACK, seq: 5003, ack: 1001, data: [3, 4] });
    expect(bench.endpoint.state).toBe('ESTABLISHED');
    expect(bench.receive({ seq: 5001, ack: 1001, data: [1, 2] })).toMatchObject([{ ack: 5006 }]);
    expect(bench.endpoint.state).toBe('CLOSE_WAIT');
    expect(bench.read()).toEqual([1, 2, 3, 4]);
  });

  it('ends on a reset that is exactly in place, asks again otherwise (RFC 5961, 3), and resets by itself', () => {
    const bench = Bench.established();
    expect(bench.receive({ flags: RST, seq: 5002 })).toMatchObject([{ flags: ACK, ack: 5001 }]);
    expect(bench.receive({ flags: SYN, seq: 5001 })).toMatchObject([{ flags: ACK, ack: 5001 }]);
    expect(bench.receive({ flags: RST, seq: 9999999 })).toEqual([]);
    expect(bench.endpoint.state).toBe('ESTABLISHED');
    bench.receive({ flags: RST, seq: 5001 });
    expect(bench.endpoint).toMatchObject({ state: 'CLOSED', failure: 'reset' });
    const other = Bench.established();
    other.endpoint.abort();
    expect(other.taken()).toMatchObject([{ flags: RST | ACK, seq: 1001, ack: 5001 }]);
  });
});

describe('round trips and headers', () => {
  it('computes the timeout as RFC 6298, 2, says', () => {
    const timeout = new RetransmissionTimeout();
    expect(timeout.value).toBe(1 * S);
    timeout.sample(2 * S); // SRTT 2, RTTVAR 1
    expect(timeout.value).toBe(6 * S);
    timeout.sample(4 * S); // RTTVAR 0.75 + 0.5, SRTT 2.25
    expect(timeout.value).toBe(7.25 * S);
    for (let i = 0; i < 20; i++) timeout.backOff();
    expect(timeout.value).toBe(60 * S);
    for (let i = 0; i < 200; i++) timeout.sample(1000);
    expect(timeout.value).toBe(1 * S);
  });

  it('refuses headers and options whose lengths contradict each other', () => {
    const header = (offset: number, ...options: number[]) =>
      Uint8Array.from([0, 1, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, offset << 4, SYN, 1, 0, 0, 0, 0, 0, ...options]);
    const parse = (bytes: Uint8Array, total = bytes.length) => new Segment().parse(bytes, 0, total);
    expect(parse(header(5))).toBe(true);
    expect(parse(header(5), 19)).toBe(false);
    expect(parse(header(4))).toBe(false);
    expect(parse(header(6))).toBe(false);
    expect(parse(header(6, 2, 0, 0, 0))).toBe(false);
    expect(parse(header(6, 2, 5, 0, 0))).toBe(false);
    expect(parse(header(6, 1, 1, 1, 2))).toBe(false);
    const segment = new Segment();
    expect(segment.parse(header(8, 2, 4, 5, 180, 3, 3, 200, 1, 99, 2, 0, 77), 0, 32)).toBe(true);
    expect(segment).toMatchObject({ mss: 1460, scale: 14, dataBytes: 0, seq: 3, ack: 4, window: 256 });
  });
});
