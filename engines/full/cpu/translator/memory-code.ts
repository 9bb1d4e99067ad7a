import type { Body, Local } from '../wasm/body.js';
import { type I32, type I64, i32 } from '../wasm/value.js';
import { lineStart } from './choices.js';
import type { Instruction } from './code-source.js';
import { type Cover, type Provisions, provide } from './covers.js';
import { type Ranges, STACK } from './ranges.js';
import type { Block } from './region.js';
import type { StripCode } from './strip-code.js';

const SP = 2;

/** An instruction that accesses memory, where it stands. */
export interface Site {
  readonly block: Block;
  readonly instruction: Instruction;
  /** What rs1 holds. */
  readonly base: I64;
  /** Gives the instruction to the interpreter. */
  readonly fail: () => void;
}

/** Where the address is, how much is accessed, and whether that is a store. */
export interface Access {
  readonly address: I64;
  readonly bytes: number;
  readonly writing: boolean;
}

/** From the guest addresses of a region's accesses to those in wasm memory: by strips, by what was checked before, or alone. */
export class MemoryCode {
  /** For each register what makes an address in wasm memory of its low half, where it is known; 0: each access must look. */
  private readonly deltas = new Map<number, Local<'i32'>>();
  private provisions: Provisions = new Map();

  constructor(
    private readonly body: Body,
    private readonly ranges: Ranges,
    private readonly strips: StripCode,
  ) {}

  /** See TranslatorEmitter.prepare(). */
  prepare(blocks: readonly Block[]): void {
    this.provisions = provide(blocks);
  }

  /** All loads and stores have their base in rs1, and an immediate offset. `use` gets the address, less an offset. */
  access(site: Site, access: Access, use: (at: I32, offset: number) => void): void {
    const { block, instruction, base } = site;
    const { imm } = instruction.operands;
    const group = block.trusted?.get(instruction);
    if (group !== undefined) {
      const { at, offset } = this.strips.address(group, base, imm);
      use(at, offset);
      return;
    }
    const provision = this.provisions.get(block)?.get(instruction);
    if (provision === undefined || provision.kind === 'copy') {
      use(this.address(site, access), 0);
      return;
    }
    const offset = Math.max(0, imm);
    use(
      provision.kind === 'check' ? this.check(site, access, provision.cover, offset) : this.known(site, access, offset),
      offset,
    );
  }

  /** Where an access lies that nothing is known about. */
  address(site: Site, { address, bytes, writing }: Access): I32 {
    return this.ranges.address(slotKey(site), address, bytes, writing, site.fail);
  }

  /** Must come after an instruction: rd points to where another register does, as far as that has been checked. */
  copy(block: Block, instruction: Instruction): void {
    const provision = this.provisions.get(block)?.get(instruction);
    if (provision?.kind !== 'copy') return;
    this.body.set(this.deltaOf(instruction.operands.rd), this.deltaOf(provision.from));
  }

  private check(site: Site, access: Access, cover: Cover, offset: number): I32 {
    const { body } = this;
    const at = body.local('i32');
    const check = { ...access, cover, pointer: body.keep(site.base), low: lowOf(site, access), offset };
    this.ranges.check(slotKey(site), check, {
      delta: this.deltaOf(site.instruction.operands.rs1),
      at,
      fail: site.fail,
    });
    return at;
  }

  private known(site: Site, access: Access, offset: number): I32 {
    const { body } = this;
    const delta = this.deltaOf(site.instruction.operands.rs1);
    const at = body.local('i32', i32.add(lowOf(site, access), delta));
    // It could not be checked with others: they lie in two pages, a stack's frame for one, which are no range.
    body.unlikely(i32.eqz(delta), () => {
      const { address, bytes, writing } = access;
      const alone = this.ranges.addressAlone(slotKey(site), address, bytes, writing, site.fail);
      body.set(at, i32.sub(alone, i32.const(offset)));
    });
    return at;
  }

  private deltaOf(register: number): Local<'i32'> {
    const delta = this.deltas.get(register) ?? this.body.permanent('i32');
    this.deltas.set(register, delta);
    return delta;
  }
}

/** The low half of an address, less the offset that its access in wasm memory has: that cannot be negative. */
const lowOf = ({ instruction, base }: Site, { address }: Access): I32 =>
  i32.wrap(instruction.operands.imm < 0 ? address : base);

/** One slot for the stack; other registers point elsewhere in other places. */
function slotKey({ block, instruction }: Site): string {
  const { rs1 } = instruction.operands;
  return rs1 === SP ? STACK : `x${rs1} at ${lineStart(instruction, block)}`;
}
