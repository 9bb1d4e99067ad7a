import { describe, expect, it } from 'vitest';
import { HartExit, IRQ } from '#engines/full/cpu/hart.js';
import { AT, Bench } from './support/boot.js';
import {
  addi,
  CSR,
  csrrs,
  csrrw,
  ebreak,
  ecall,
  fenceI,
  hang,
  li,
  mret,
  nop,
  sfenceVma,
  sret,
  wfi,
} from './support/encode.js';

// Cases computed by hand from the privileged specification 20211203.

const SIE = 1n << 1n;
const MIE = 1n << 3n;
const SPIE = 1n << 5n;
const MPIE = 1n << 7n;
const SPP = 1n << 8n;
const TVM = 1n << 20n;
const TW = 1n << 21n;
const TSR = 1n << 22n;
const TEXT = BigInt(AT.code);

describe('traps', () => {
  it.each([
    [0, 8n],
    [1, 9n],
  ] as const)('ecall from mode %d goes to M with its own cause', (mode, cause) => {
    const bench = new Bench();
    bench.enter(mode, [ecall], MPIE);
    expect(bench.machineTrap).toEqual({ cause, tval: 0n, epc: TEXT, at: BigInt(AT.machineTrap) });
    expect(bench.hart.state.privilege).toBe(3);
    const status = bench.csr(CSR.mstatus);
    expect((status >> 11n) & 3n).toBe(BigInt(mode)); // MPP
    expect(status & (MIE | MPIE)).toBe(MPIE); // MIE went to MPIE
  });

  it('a delegated exception goes to S, and saves SPP and SPIE', () => {
    const bench = new Bench();
    bench.setCsr(CSR.medeleg, 1n << 8n);
    bench.enter(0, [nop, ecall], SIE);
    expect(bench.supervisorTrap).toEqual({ cause: 8n, tval: 0n, epc: TEXT + 4n, at: BigInt(AT.supervisorTrap) });
    expect(bench.hart.state.privilege).toBe(1);
    expect(bench.csr(CSR.mstatus) & (SIE | SPIE | SPP)).toBe(SPIE);
  });

  it('exceptions in M-mode are never delegated', () => {
    const bench = new Bench();
    bench.setCsr(CSR.medeleg, 0xb3ffn);
    bench.run([ebreak], AT.code);
    expect(bench.machineTrap).toMatchObject({ cause: 3n, tval: TEXT, epc: TEXT });
  });

  it.each([
    ['an undefined word', 0xffffffff, 0xffffffffn],
    ['the defined illegal instruction', 0x00000000, 0n],
    ['a CSR that does not exist', csrrs(1, 0x5c0, 0), BigInt(csrrs(1, 0x5c0, 0))],
    ['a write to a read-only CSR', csrrw(0, CSR.mhartid, 1), BigInt(csrrw(0, CSR.mhartid, 1))],
  ])('%s is illegal, with its bits in mtval', (_name, insn, bits) => {
    const bench = new Bench();
    bench.run([insn], AT.code);
    expect(bench.machineTrap).toMatchObject({ cause: 2n, tval: bits, epc: TEXT });
  });

  it.each([
    ['mret in S', 1, mret, 0n],
    ['sret in U', 0, sret, 0n],
    ['sret in S under TSR', 1, sret, TSR],
    ['wfi in U', 0, wfi, 0n],
    ['wfi in S under TW', 1, wfi, TW],
    ['sfence.vma in U', 0, sfenceVma(0, 0), 0n],
    ['sfence.vma in S under TVM', 1, sfenceVma(0, 0), TVM],
    ['satp in S under TVM', 1, csrrs(1, CSR.satp, 0), TVM],
    ['a machine CSR in S', 1, csrrs(1, CSR.mscratch, 0), 0n],
    ['a supervisor CSR in U', 0, csrrs(1, CSR.sscratch, 0), 0n],
    ['cycle in U without mcounteren', 0, csrrs(1, CSR.cycle, 0), 0n],
    ['time in S without mcounteren', 1, csrrs(1, CSR.time, 0), 0n],
    ['fadd.s while FS is Off', 1, 0x00000053, 0n],
    ['frm while FS is Off', 1, csrrs(1, CSR.frm, 0), 0n],
  ] as const)('%s is illegal', (_name, mode, insn, status) => {
    const bench = new Bench();
    bench.enter(mode, [insn], status);
    expect(bench.machineTrap).toMatchObject({ cause: 2n, tval: BigInt(insn >>> 0), epc: TEXT });
  });

  it('mret and sret restore the interrupt bits and clear MPRV for lower modes', () => {
    const bench = new Bench();
    bench.machine.code([hang], AT.code);
    bench.setCsr(CSR.mepc, TEXT);
    bench.setCsr(CSR.mstatus, (1n << 17n) | (1n << 11n) | MPIE);
    bench.run([mret], AT.data);
    const status = bench.csr(CSR.mstatus);
    expect(status & (1n << 17n)).toBe(0n);
    expect(status & (MIE | MPIE)).toBe(MIE | MPIE);
    expect((status >> 11n) & 3n).toBe(0n);
  });

  it('instructions that trap do not retire', () => {
    const bench = new Bench();
    bench.setCsr(CSR.minstret, 0n);
    const before = bench.hart.state.instret;
    bench.machine.code([hang], AT.machineTrap);
    bench.run([nop, nop, ecall], AT.code);
    bench.hart.run(1);
    expect(bench.machineTrap.epc).toBe(TEXT + 8n);
    // Two nops, and jumps to itself for the rest of both budgets of 23 and 1, which the trap has taken one of.
    expect(bench.hart.state.instret - before).toBe(23);
  });
});

describe('interrupts', () => {
  const enabled = (bench: Bench, bits: number): void => bench.setCsr(CSR.mie, BigInt(bits));

  it('a line interrupts M-mode when MIE and mie allow it, and says so in mcause', () => {
    const bench = new Bench();
    enabled(bench, IRQ.MTIP);
    bench.setCsr(CSR.mstatus, MIE);
    bench.run([hang], AT.code);
    expect(bench.hart.state.pc).toBe(TEXT);
    bench.hart.lines.raise(IRQ.MTIP);
    bench.continue();
    expect(bench.machineTrap).toMatchObject({ cause: (1n << 63n) | 7n, epc: TEXT, at: BigInt(AT.machineTrap) });
  });

  it('waits while MIE is clear; lower modes are interrupted all the same', () => {
    const bench = new Bench();
    enabled(bench, IRQ.MSIP);
    bench.hart.lines.raise(IRQ.MSIP);
    bench.run([hang], AT.code);
    expect(bench.hart.state.pc).toBe(TEXT);
    bench.enter(0, [hang]);
    expect(bench.machineTrap).toMatchObject({ cause: (1n << 63n) | 3n, epc: TEXT });
  });

  it('takes them in the order MEI, MSI, MTI, SEI, SSI, STI', () => {
    const order = [IRQ.MEIP, IRQ.MSIP, IRQ.MTIP, IRQ.SEIP, IRQ.SSIP, IRQ.STIP];
    const causes = [11n, 3n, 7n, 9n, 1n, 5n];
    const bench = new Bench();
    enabled(bench, 0xaaa);
    bench.hart.lines.raise(order.reduce((a, b) => a | b));
    for (const [index, line] of order.entries()) {
      bench.enter(0, [hang]);
      expect(bench.machineTrap.cause & 0xffn).toBe(causes[index]);
      bench.hart.lines.lower(line);
    }
  });

  it('a delegated interrupt goes to S, vectored when stvec says so, and never interrupts M', () => {
    const bench = new Bench();
    bench.setCsr(CSR.mideleg, BigInt(IRQ.SEIP));
    bench.setCsr(CSR.stvec, BigInt(AT.supervisorTrap) | 1n);
    enabled(bench, IRQ.SEIP);
    bench.machine.code([hang], AT.supervisorTrap + 4 * 9);
    bench.hart.lines.raise(IRQ.SEIP);
    bench.setCsr(CSR.mstatus, MIE | SIE);
    bench.run([hang], AT.code);
    expect(bench.hart.state.pc).toBe(TEXT);
    bench.enter(1, [hang], SIE);
    expect(bench.supervisorTrap).toMatchObject({ cause: (1n << 63n) | 9n, at: BigInt(AT.supervisorTrap + 36) });
  });

  it('software bits of mip stay apart from the lines', () => {
    const bench = new Bench();
    bench.hart.lines.raise(IRQ.SEIP);
    bench.run([...li(5, BigInt(IRQ.SSIP)), csrrs(6, CSR.mip, 5), hang], AT.code);
    expect(bench.hart.state.x(6)).toBe(BigInt(IRQ.SEIP));
    bench.hart.lines.lower(IRQ.SEIP);
    expect(bench.csr(CSR.mip)).toBe(BigInt(IRQ.SSIP));
  });

  it('an interrupt that a CSR write lets in comes right after it', () => {
    const bench = new Bench();
    enabled(bench, IRQ.MTIP);
    bench.hart.lines.raise(IRQ.MTIP);
    bench.run([addi(5, 0, 8), csrrs(7, CSR.mstatus, 5), addi(8, 0, 1), hang], AT.code);
    expect(bench.machineTrap.epc).toBe(TEXT + 8n);
    expect(bench.hart.state.x(8)).toBe(0n);
    expect(bench.hart.state.x(7) & MIE).toBe(0n);
  });

  it('wfi sleeps until something is pending, enabled or not by MIE', () => {
    const bench = new Bench();
    enabled(bench, IRQ.MTIP);
    bench.machine.code([wfi, addi(8, 8, 1), wfi, addi(8, 8, 1), hang], AT.code);
    bench.hart.state.pc = TEXT;
    expect(bench.hart.run(100)).toBe(HartExit.Wfi);
    expect(bench.hart.state.pc).toBe(TEXT + 4n);
    bench.hart.lines.raise(IRQ.MTIP);
    expect(bench.hart.lines.attentive).toBe(true);
    expect(bench.hart.run(100)).toBe(HartExit.Budget);
    expect(bench.hart.state.x(8)).toBe(2n);
  });
});

describe('leaving run()', () => {
  it('stops for another thread, goes on after resume', () => {
    const bench = new Bench();
    bench.machine.code([hang], AT.code);
    bench.hart.state.pc = TEXT;
    bench.hart.lines.stop();
    expect(bench.hart.run(1000)).toBe(HartExit.Stopped);
    bench.hart.lines.resume();
    expect(bench.hart.run(1000)).toBe(HartExit.Budget);
  });

  it('gives the processor away when the guest spins', () => {
    const bench = new Bench();
    bench.machine.code([0x0100000f, 0xffdff06f], AT.code); // pause; j .-4
    bench.hart.state.pc = TEXT;
    expect(bench.hart.run(1_000_000)).toBe(HartExit.Pause);
    expect(bench.hart.run(1_000_000)).toBe(HartExit.Pause);
  });

  it('counts instructions exactly', () => {
    const bench = new Bench();
    bench.machine.code([addi(5, 5, 1), addi(5, 5, 1), 0xff9ff06f], AT.code); // two, and back
    bench.hart.state.pc = TEXT;
    bench.hart.state.setX(5, 0n);
    const before = bench.hart.state.instret;
    bench.hart.run(30_000);
    const done = bench.hart.state.instret - before;
    expect(done).toBeGreaterThanOrEqual(30_000);
    expect(done).toBeLessThan(30_003);
    expect(Number(bench.hart.state.x(5))).toBe((done / 3) * 2);
  });
});

describe('CSRs', () => {
  it.each([
    ['misa', CSR.misa, 0n, (2n << 62n) | 0x14112dn],
    [
      'mstatus keeps UXL and SXL; MPP = 2 and unknown bits are refused',
      CSR.mstatus,
      (2n << 11n) | (1n << 40n),
      0xa00000000n,
    ],
    ['medeleg has no M-mode call', CSR.medeleg, -1n, 0xb3ffn],
    ['mideleg has supervisor interrupts only', CSR.mideleg, -1n, 0x222n],
    ['mie', CSR.mie, -1n, 0xaaan],
    ['mepc is even', CSR.mepc, 0xffffffffffffffffn, 0xfffffffffffffffen],
    ['mtvec has two modes', CSR.mtvec, 0x80000003n, 0x80000001n],
    ['pmpaddr has 54 bits', 0x3b5, -1n, (1n << 54n) - 1n],
    ['pmpcfg refuses W without R', 0x3a2, 0x1a1f02n, 0x181f00n],
    ['satp refuses reserved modes', CSR.satp, 5n << 60n, 0n],
    ['tselect selects no trigger but the first', 0x7a0, 1n, 0n],
    ['tdata1: there is none (type 0)', 0x7a1, (2n << 60n) | 0x44n, 0n],
    ['tdata2', 0x7a2, 0x80000000n, 0n],
    ['tinfo says so', 0x7a4, 0n, 1n],
    ['satp has no ASID', CSR.satp, (8n << 60n) | (0xffffn << 44n) | 0x80100n, (8n << 60n) | 0x80100n],
  ])('%s', (_name, number, written, read) => {
    const bench = new Bench();
    bench.setCsr(number, written);
    expect(bench.csr(number)).toBe(read);
  });

  it('sstatus shows mstatus through its mask, and sie what is delegated', () => {
    const bench = new Bench();
    bench.setCsr(CSR.mstatus, SIE | MIE | (3n << 11n) | (1n << 18n));
    expect(bench.csr(CSR.sstatus)).toBe(0x200000000n | SIE | (1n << 18n));
    bench.setCsr(CSR.mideleg, 0x20n);
    bench.setCsr(CSR.sie, -1n);
    expect(bench.csr(CSR.mie)).toBe(0x20n);
  });

  it('minstret counts from what was written', () => {
    const bench = new Bench();
    bench.run([addi(5, 0, 100), csrrw(0, CSR.minstret, 5), nop, nop, csrrs(7, CSR.instret, 0), hang], AT.code);
    expect(bench.hart.state.x(7)).toBe(102n);
  });

  it('time is the machine’s', () => {
    const bench = new Bench();
    bench.machine.ticks = 0x1_2345_6789;
    expect(bench.csr(CSR.time)).toBe(0x1_2345_6789n);
  });

  it('time shows in S by mcounteren, in U by scounteren as well', () => {
    const bench = new Bench();
    bench.machine.ticks = 1234;
    bench.setCsr(CSR.mcounteren, 2n);
    bench.enter(1, [csrrs(7, CSR.time, 0), hang]);
    expect(bench.hart.state.x(7)).toBe(1234n);
    const user = (counters: bigint): Bench => {
      const another = new Bench();
      another.machine.ticks = 1234;
      another.setCsr(CSR.mcounteren, 2n);
      another.setCsr(CSR.scounteren, counters);
      another.enter(0, [csrrs(7, CSR.time, 0), hang]);
      return another;
    };
    expect(user(0n).machineTrap.cause).toBe(2n);
    expect(user(2n).hart.state.x(7)).toBe(1234n);
  });
});

describe('code that changes', () => {
  it('shows after fence.i, whether it was decoded before or not', () => {
    const bench = new Bench();
    const at = BigInt(AT.code);
    bench.run([addi(5, 0, 1), hang], AT.code);
    expect(bench.hart.state.x(5)).toBe(1n);
    const jump = [...li(6, at), 0x00030067]; // jr x6
    bench.machine.code([...jump, fenceI, ...jump], AT.data);
    bench.run(jump, AT.data);
    bench.machine.set32(AT.code, addi(5, 0, 2));
    bench.hart.state.pc = BigInt(AT.data);
    bench.continue();
    bench.hart.state.pc = BigInt(AT.data + jump.length * 4);
    bench.continue();
    expect(bench.hart.state.x(5)).toBe(2n);
  });
});
