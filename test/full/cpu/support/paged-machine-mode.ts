import { FINISHER, UART } from './bare-hart.js';
import {
  add,
  addi,
  beq,
  bne,
  CSR,
  csrrs,
  csrrw,
  fld,
  fsd,
  iType,
  jal,
  lbu,
  ld,
  li,
  lui,
  mret,
  rType,
  sb,
  sd,
  slli,
  sw,
  wfi,
} from './encode.js';
import {
  AT,
  DUMP,
  HANDLER,
  MAIN_AT,
  PAGE,
  PAGED_DUMP_BYTES,
  REGISTER,
  SEEDS,
  TABLES,
  TO_OTHER_MODE,
} from './paged-layout.js';

/** What random-paged.ts has in M-mode: the start, the handler of all traps, the end. */

/** Adds up cause, value and address of each trap; keeps the last 32 of them. x5, x6 and x7 are kept. */
export function handler(end: number): number[] {
  const { traps } = REGISTER;
  const xor = rType(0x33, 4, 0);
  const mixIn = (register: number): number[] => [slli(7, 6, 5), add(6, 6, 7), xor(6, 6, register)];
  const start = [
    ...[csrrw(0, CSR.mscratch, 5), sd(6, traps, 0), sd(7, traps, 8), csrrs(5, CSR.mcause, 0)],
    ...[addi(6, 0, 3), bne(5, 6, 8), jal(0, 0)], // to the end, by a breakpoint
  ];
  start[start.length - 1] = jal(0, end - (HANDLER + (start.length - 1) * 4));
  const kept = [
    ...[ld(7, traps, 24), addi(6, 7, 1), sd(6, traps, 24), iType(0x13, 7)(7, 7, 31), slli(7, 7, 5), add(7, 7, traps)],
    ...[sd(5, 7, 64), csrrs(6, CSR.mtval, 0), sd(6, 7, 72), csrrs(6, CSR.mepc, 0), sd(6, 7, 80)],
    ...[csrrs(6, CSR.mstatus, 0), sd(6, 7, 88), ld(6, traps, 16), ...mixIn(5)],
    ...[csrrs(5, CSR.mtval, 0), ...mixIn(5), csrrs(5, CSR.mepc, 0), ...mixIn(5), sd(6, traps, 16)],
  ];
  const back = [csrrw(0, CSR.mepc, 5), ld(6, traps, 0), ld(7, traps, 8), csrrs(5, CSR.mscratch, 0), mret];
  const otherMode = [
    ...[csrrs(6, CSR.mstatus, 0), addi(7, 0, 1), slli(7, 7, 11), xor(6, 6, 7), csrrw(0, CSR.mstatus, 6)],
  ];
  const called = [lui(7, TO_OTHER_MODE), xor(5, 5, 7), addi(5, 5, 4), ...otherMode, ...back];
  // An address of the other mode's code, or of data, which sends the caller back.
  const fetched = [
    ...[iType(0x13, 5)(6, 5, 18), addi(6, 6, -(AT.code >> 18)), iType(0x13, 3)(6, 6, 2)],
    bne(6, 0, (1 + 1 + back.length) * 4),
    ...[addi(5, REGISTER.link, 0), ...back, ...otherMode, ...back],
  ];
  // Reads what was executed as that mode sees it: MPRV and MXR.
  const skipped = [
    ...[csrrs(7, CSR.mstatus, 0), lui(6, 0xa0000), csrrs(0, CSR.mstatus, 6), iType(0x03, 5)(6, 5, 0)],
    ...[csrrw(0, CSR.mstatus, 7), iType(0x13, 7)(6, 6, 3), addi(6, 6, -3), bne(6, 0, 8), addi(5, 5, 2), addi(5, 5, 2)],
    ...back,
  ];
  const isCall = [csrrs(6, CSR.mcause, 0), iType(0x13, 7)(7, 6, -2), addi(7, 7, -8), bne(7, 0, 4 + called.length * 4)];
  const isFetch = [...[addi(7, 6, -12), beq(7, 0, 12), addi(7, 6, -1), bne(7, 0, 4 + fetched.length * 4)]];
  return [...start, ...kept, ...isCall, ...called, ...isFetch, ...fetched, ...skipped];
}

export function prologue(rounds: number, mode: bigint, user: boolean): number[] {
  const words = [
    // On one hart QEMU's AMOs are a load and a store; of two, the second sleeps.
    ...[csrrs(5, CSR.mhartid, 0), beq(5, 0, 12), wfi, jal(0, -4)],
    ...[...li(5, BigInt(HANDLER)), csrrw(0, CSR.mtvec, 5)],
    ...[...li(5, -1n), csrrw(0, CSR.pmpaddr0, 5), addi(5, 0, 0x1f), csrrw(0, CSR.pmpcfg0, 5)],
    ...[...li(5, (3n << 13n) | (user ? 0n : 1n << 11n)), csrrw(0, CSR.mstatus, 5), csrrw(0, CSR.fcsr, 0)],
    ...[...li(5, (mode << 60n) | BigInt(TABLES / PAGE)), csrrw(0, CSR.satp, 5)],
    ...[...li(5, BigInt((user ? AT.user : AT.code) + MAIN_AT)), csrrw(0, CSR.mepc, 5)],
    ...li(1, BigInt(SEEDS)),
  ];
  for (let register = 0; register < 32; register++) words.push(fld(register, 1, 256 + register * 8));
  for (let register = 31; register >= 1; register--) words.push(ld(register, 1, register * 8));
  words.push(addi(REGISTER.rounds, 0, rounds), mret);
  return words;
}

/** Registers into the dump, the dump to the serial port, then power off. Entered with x5 in mscratch. */
export function epilogue(): number[] {
  const { traps } = REGISTER;
  const words = [ld(6, traps, 0), ld(7, traps, 8), csrrs(5, CSR.mscratch, 0)];
  words.push(...[sd(5, traps, 32), ...li(5, 3n << 13n), csrrs(0, CSR.mstatus, 5), ...li(5, BigInt(DUMP))]);
  for (let register = 0; register < 32; register++) words.push(sd(register, 5, register * 8));
  for (let register = 0; register < 32; register++) words.push(fsd(register, 5, 256 + register * 8));
  words.push(csrrs(6, CSR.fcsr, 0), sd(6, 5, 512), csrrs(6, CSR.sscratch, 0), sd(6, 5, 520));
  words.push(...li(6, BigInt(DUMP + PAGED_DUMP_BYTES)), ...li(7, BigInt(UART)));
  const wait = [lbu(9, 7, 5), iType(0x13, 7)(9, 9, 0x20), beq(9, 0, -8)];
  const body = [...wait, lbu(9, 5, 0), sb(9, 7, 0), addi(5, 5, 1)];
  words.push(...body, bne(5, 6, -4 * body.length));
  words.push(...li(5, BigInt(FINISHER)), ...li(6, 0x5555n), sw(6, 5, 0), jal(0, 0));
  return words;
}
