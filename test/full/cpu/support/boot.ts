import { type Hart, RAM_BASE } from '#engines/full/cpu/hart.js';
import { OFFSET } from '#engines/full/cpu/layout.js';
import type { TranslateMode } from '#engines/full/cpu/translator/translator.js';
import { BareMachine, type CompilerOf } from './bare-hart.js';
import { addi, CSR, csrrs, csrrw, hang, li, mret } from './encode.js';

/** Where the pieces of a privileged test lie. */
export const AT = {
  machineTrap: RAM_BASE + 0x800,
  supervisorTrap: RAM_BASE + 0xc00,
  /** Code that runs in the mode under test. */
  code: RAM_BASE + 0x1000,
  data: RAM_BASE + 0x2000,
  tables: RAM_BASE + 0x10_0000,
} as const;

/** Bits of a page table entry. */
export const PTE = { V: 1, R: 2, W: 4, X: 8, U: 16, G: 32, A: 64, D: 128 } as const;

/** A machine that is taken to a mode by M-mode code, and the state that its tests look at. */
export class Bench {
  readonly machine: BareMachine;
  hart: Hart;

  constructor(translate?: TranslateMode, harts = 1, compiler?: CompilerOf) {
    this.machine = new BareMachine(harts, translate, compiler);
    this.hart = this.machine.hart;
    this.use(0);
  }

  /** From now on another hart, just reset. */
  use(index: number): void {
    this.hart = this.machine.harts[index];
    this.machine.code([hang], AT.machineTrap);
    this.machine.code([hang], AT.supervisorTrap);
    const everything = [...li(5, -1n), csrrw(0, CSR.pmpaddr0, 5), addi(5, 0, 0x1f), csrrw(0, CSR.pmpcfg0, 5)];
    const vectors = [
      ...li(5, BigInt(AT.machineTrap)),
      csrrw(0, CSR.mtvec, 5),
      ...li(5, BigInt(AT.supervisorTrap)),
      csrrw(0, CSR.stvec, 5),
    ];
    this.run([...everything, ...vectors, hang], RAM_BASE);
  }

  /** Runs words at an address until they hang in a loop or at a trap vector. */
  run(words: readonly number[], at: number): void {
    this.machine.code(words, at);
    this.hart.state.pc = BigInt(at);
    this.continue(words.length + 20);
  }

  continue(budget = 60): void {
    this.hart.run(budget);
  }

  /** Writes a CSR with M-mode code; the hart must be in M-mode. */
  setCsr(number: number, value: bigint): void {
    const at = RAM_BASE + 0x400;
    this.run([...li(5, value), csrrw(0, number, 5), hang], at);
  }

  /** Reads a CSR with M-mode code. */
  csr(number: number): bigint {
    this.hart.state.set(OFFSET.privilege, (this.hart.state.get(OFFSET.privilege) & ~0xffffffffn) | 3n); // privilege = M
    this.run([csrrs(6, number, 0), hang], RAM_BASE + 0x600);
    return this.hart.state.x(6);
  }

  /** mret into `mode` (0 U, 1 S) at `address`, with further bits of mstatus. */
  enter(mode: 0 | 1, words: readonly number[], status = 0n, address: bigint = BigInt(AT.code)): void {
    this.machine.code(words, AT.code);
    this.setCsr(CSR.mepc, address);
    this.setCsr(CSR.mstatus, (BigInt(mode) << 11n) | status);
    this.run([mret], RAM_BASE + 0x700);
    this.continue(words.length + 20);
  }

  /** Cause of the last trap into M, its value and its address. */
  get machineTrap(): { cause: bigint; tval: bigint; epc: bigint; at: bigint } {
    const { state } = this.hart;
    return {
      cause: state.get(OFFSET.mcause),
      tval: state.get(OFFSET.mtval),
      epc: state.get(OFFSET.mepc),
      at: state.pc,
    };
  }

  get supervisorTrap(): { cause: bigint; tval: bigint; epc: bigint; at: bigint } {
    const { state } = this.hart;
    return {
      cause: state.get(OFFSET.scause),
      tval: state.get(OFFSET.stval),
      epc: state.get(OFFSET.sepc),
      at: state.pc,
    };
  }

  /** Maps a 4 KiB page (level 0), or a larger one, in a table of `levels` that begins at AT.tables. */
  map(virtual: bigint, physical: number, flags: number, level = 0, levels = 3): void {
    let table = AT.tables;
    for (let at = levels - 1; at > level; at--) {
      const slot = table + Number((virtual >> BigInt(12 + 9 * at)) & 511n) * 8;
      const known = Number(this.machine.get64(slot) >> 10n) * 4096;
      const next = known !== 0 ? known : this.newTable();
      this.machine.set64(slot, (BigInt(next) >> 2n) | BigInt(PTE.V));
      table = next;
    }
    this.machine.set64(this.leafSlot(table, virtual, level), (BigInt(physical) >> 2n) | BigInt(flags));
  }

  /** The entry that maps a page of 4 KiB; its tables must exist. */
  entry(virtual: bigint, levels = 3): bigint {
    let table = AT.tables;
    for (let at = levels - 1; at > 0; at--) {
      table = Number(this.machine.get64(this.leafSlot(table, virtual, at)) >> 10n) * 4096;
    }
    return this.machine.get64(this.leafSlot(table, virtual, 0));
  }

  /** Turns paging on, by its mode in satp (8: Sv39). */
  page(mode = 8n): void {
    this.setCsr(CSR.satp, (mode << 60n) | (BigInt(AT.tables) >> 12n));
  }

  private tables = 1;
  private newTable(): number {
    return AT.tables + this.tables++ * 4096;
  }
  private leafSlot(table: number, virtual: bigint, level: number): number {
    return table + Number((virtual >> BigInt(12 + 9 * level)) & 511n) * 8;
  }
}
