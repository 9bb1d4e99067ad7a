import { describe, expect, it } from 'vitest';
import { HartLines, IRQ } from '#engines/full/cpu/hart.js';
import { EVENT } from '#engines/full/cpu/layout.js';
import { STATE_BASE } from './support/bare-hart.js';
import { AT, Bench } from './support/boot.js';
import { addi, CSR, csrrc, csrrs, csrrw, csrrwi, ecall, hang, li, mret, nop, sret } from './support/encode.js';

// Interrupts that instructions let in: privileged specification 20211203, 3.1.6.1, 3.1.9, 3.3.2, 4.1.3; cases by hand.

const { SSIP, MSIP, STIP, MTIP, SEIP, MEIP } = IRQ;
const ALL = SSIP | MSIP | STIP | MTIP | SEIP | MEIP;
const SUPERVISOR = SSIP | STIP | SEIP;
const INTERRUPT = 1n << 63n;
const [SIE, MIE, SPIE, MPIE] = [1n << 1n, 1n << 3n, 1n << 5n, 1n << 7n];
const MPP_S = 1n << 11n;
const SPP = 1n << 8n;

const lines = (bench: Bench): HartLines => new HartLines(bench.machine.memory, STATE_BASE);
const interrupt = (cause: number): bigint => INTERRUPT | BigInt(cause);

/** In M-mode, with these interrupts enabled one by one; nothing delegated but `delegated`. */
function bench(enabled: number, delegated = 0): Bench {
  const made = new Bench();
  made.setCsr(CSR.mideleg, BigInt(delegated));
  made.setCsr(CSR.mie, BigInt(enabled));
  return made;
}

describe('interrupts that an instruction lets in', () => {
  it.each([
    [ALL, 11],
    [ALL & ~MEIP, 3],
    [ALL & ~MEIP & ~MSIP, 7],
    [SUPERVISOR, 9],
    [SSIP | STIP, 1],
    [STIP, 5],
  ])('mstatus.MIE: of lines %i the most urgent is %i', (raised, cause) => {
    const b = bench(ALL);
    lines(b).raise(raised);
    const before = b.hart.state.count(EVENT.interrupts);
    b.run([...li(5, MIE), csrrs(6, CSR.mstatus, 5), addi(7, 0, 1), hang], AT.code);
    expect(b.machineTrap).toMatchObject({ cause: interrupt(cause), tval: 0n, at: BigInt(AT.machineTrap) });
    // After the instruction, which has been executed in full: its old value is in x6, MIE is in MPIE.
    expect(b.machineTrap.epc).toBe(BigInt(AT.code + 4 * (li(5, MIE).length + 1)));
    expect(b.hart.state.x(6) & MIE).toBe(0n);
    expect(b.hart.state.x(7)).toBe(0n);
    expect(b.csr(CSR.mstatus) & (MIE | MPIE)).toBe(MPIE);
    expect(b.hart.state.count(EVENT.interrupts) - before).toBe(1);
    expect(b.hart.state.count(EVENT.interruptsSsip + ((cause - 1) >> 1))).toBe(1);
  });

  it('a vectored mtvec sends it 4 * cause further', () => {
    const b = bench(ALL);
    b.setCsr(CSR.mtvec, BigInt(AT.machineTrap + 1));
    b.machine.code([nop, nop, nop, hang], AT.machineTrap);
    lines(b).raise(MSIP);
    b.run([...li(5, MIE), csrrs(0, CSR.mstatus, 5), hang], AT.code);
    expect(b.machineTrap).toMatchObject({ cause: interrupt(3), at: BigInt(AT.machineTrap + 12) });
  });

  it('csrs mip in M-mode keeps a delegated one for S, and mret goes there to take it', () => {
    const b = bench(ALL, SUPERVISOR);
    b.setCsr(CSR.mepc, BigInt(AT.data));
    b.machine.code([hang], AT.data);
    b.setCsr(CSR.mstatus, MPP_S | MPIE | SIE);
    b.run([addi(5, 0, SSIP), csrrs(6, CSR.mip, 5), mret], AT.code);
    expect(b.hart.state.x(6)).toBe(0n);
    expect(b.supervisorTrap).toMatchObject({
      cause: interrupt(1),
      epc: BigInt(AT.data),
      at: BigInt(AT.supervisorTrap),
    });
    expect(b.csr(CSR.mstatus) & (SIE | SPIE | SPP)).toBe(SPIE | SPP);
  });

  it('with sstatus.SIE clear mret leaves it pending; setting SIE takes it, and clearing sip ends it', () => {
    const b = bench(ALL, SUPERVISOR);
    b.machine.code([csrrc(6, CSR.sip, 5), sret], AT.supervisorTrap);
    const code = [addi(5, 0, SSIP), addi(7, 0, Number(SIE)), csrrs(8, CSR.sip, 0), csrrs(0, CSR.sstatus, 7)];
    b.setCsr(CSR.mip, BigInt(SSIP));
    b.enter(1, [...code, csrrc(0, CSR.sstatus, 7), csrrs(9, CSR.sip, 0), ecall]);
    expect(b.hart.state.x(8)).toBe(BigInt(SSIP));
    expect(b.hart.state.x(6)).toBe(BigInt(SSIP));
    expect(b.hart.state.x(9)).toBe(0n);
    expect(b.supervisorTrap).toMatchObject({ cause: interrupt(1), epc: BigInt(AT.code + 16) });
    expect(b.machineTrap.cause).toBe(9n);
    expect(b.hart.state.count(EVENT.interrupts)).toBe(1);
  });

  it('sret to U takes one of S, whatever SIE is', () => {
    const b = bench(ALL, SUPERVISOR);
    lines(b).raise(SEIP);
    b.setCsr(CSR.sepc, BigInt(AT.data));
    b.machine.code([hang], AT.data);
    b.enter(1, [sret]);
    expect(b.supervisorTrap).toMatchObject({
      cause: interrupt(9),
      epc: BigInt(AT.data),
      at: BigInt(AT.supervisorTrap),
    });
  });

  it('mie and sie let in what is pending', () => {
    const b = bench(0, 0);
    lines(b).raise(MTIP);
    b.setCsr(CSR.mstatus, MIE);
    b.run([...li(5, BigInt(MTIP)), csrrw(6, CSR.mie, 5), addi(7, 0, 1), hang], AT.code);
    expect(b.machineTrap).toMatchObject({
      cause: interrupt(7),
      epc: BigInt(AT.code + 4 * (li(5, BigInt(MTIP)).length + 1)),
    });
    const s = bench(0, SUPERVISOR);
    lines(s).raise(STIP);
    s.enter(1, [addi(5, 0, -1), csrrw(6, CSR.sie, 5), addi(7, 0, 1), ecall], SIE);
    expect(s.supervisorTrap).toMatchObject({ cause: interrupt(5), epc: BigInt(AT.code + 8) });
  });
});

describe('pending and enabled interrupts', () => {
  it('of mip software writes SSIP, STIP and SEIP; of sip SSIP alone, if it is delegated', () => {
    const b = bench(0, SUPERVISOR);
    lines(b).raise(MTIP);
    b.setCsr(CSR.mip, -1n);
    expect(b.csr(CSR.mip)).toBe(BigInt(SUPERVISOR | MTIP));
    b.setCsr(CSR.sip, 0n);
    expect(b.csr(CSR.sip)).toBe(BigInt(STIP | SEIP));
    b.setCsr(CSR.mideleg, 0n);
    b.setCsr(CSR.sip, -1n);
    expect(b.csr(CSR.sip)).toBe(0n);
    expect(b.csr(CSR.mip)).toBe(BigInt(STIP | SEIP | MTIP));
  });

  it('set and clear do not turn a line into a bit of software', () => {
    const b = bench(0, SUPERVISOR);
    lines(b).raise(SEIP);
    b.run([addi(5, 0, SSIP), csrrs(6, CSR.mip, 5), csrrc(7, CSR.mip, 5), hang], AT.code);
    expect([b.hart.state.x(6), b.hart.state.x(7)]).toEqual([BigInt(SEIP), BigInt(SEIP | SSIP)]);
    lines(b).lower(SEIP);
    expect(b.csr(CSR.mip)).toBe(0n);
  });

  it('with menvcfg.STCE set STIP is not for software', () => {
    const b = bench(0, SUPERVISOR);
    b.setCsr(CSR.stimecmp, -1n);
    b.setCsr(CSR.menvcfg, 1n << 63n);
    b.setCsr(CSR.mip, -1n);
    expect(b.csr(CSR.mip)).toBe(BigInt(SSIP | SEIP));
  });

  it('mie has the six bits, sie those that are delegated', () => {
    const b = bench(ALL, SSIP);
    b.setCsr(CSR.mie, -1n);
    expect(b.csr(CSR.mie)).toBe(BigInt(ALL));
    expect(b.csr(CSR.sie)).toBe(BigInt(SSIP));
    b.run([csrrwi(6, CSR.sie, 0), hang], AT.code);
    expect(b.hart.state.x(6)).toBe(BigInt(SSIP));
    expect(b.csr(CSR.mie)).toBe(BigInt(ALL & ~SSIP));
  });

  it.each([CSR.mip, CSR.mie])('CSR %i is illegal in S-mode', (number) => {
    const b = bench(0);
    b.enter(1, [csrrs(6, number, 0), ecall]);
    expect(b.machineTrap).toMatchObject({ cause: 2n, epc: BigInt(AT.code), tval: BigInt(csrrs(6, number, 0) >>> 0) });
  });

  it.each([CSR.sip, CSR.sie])('CSR %i is illegal in U-mode', (number) => {
    const b = bench(0);
    b.enter(0, [csrrs(6, number, 0), ecall]);
    expect(b.machineTrap).toMatchObject({ cause: 2n, epc: BigInt(AT.code) });
  });
});
