import { SINK, unpackRd, unpackRs1 } from '../interpreter/operation.js';
import { CSR_OPERATIONS } from '../interpreter/system-codes.js';
import { OFFSET } from '../layout.js';
import type { HartContext } from './context.js';
import type { Csr, Word64 } from './csr.js';

/** What a CSR instruction came to. */
export const CsrResult = { Done: 0, Illegal: 1, Changed: 2 } as const;
export type CsrResult = (typeof CsrResult)[keyof typeof CsrResult];

/** Executes csrrw, csrrs and csrrc (unprivileged specification, 9.1): what is read, what is written, what is forbidden. */
export class CsrAccess {
  private readonly value: Word64 = { low: 0, high: 0 };

  constructor(
    private readonly hart: HartContext,
    private readonly registers: ReadonlyMap<number, Csr>,
  ) {}

  /** Operand in OFFSET.value; the old value there afterwards. Changed: interrupts or translation may differ now. */
  execute(operation: number, low: number, number: number): CsrResult {
    const { hart, value } = this;
    const csr = this.registers.get(number);
    const writes = operation === CSR_OPERATIONS.write || unpackRs1(low) !== 0;
    if (csr === undefined || ((number >> 8) & 3) > hart.get(OFFSET.privilege)) return CsrResult.Illegal;
    if ((writes && number >>> 10 === 3) || csr.allowed?.() === false) return CsrResult.Illegal;
    const operandLow = hart.get(OFFSET.value);
    const operandHigh = hart.get(OFFSET.value + 4);
    if (operation !== CSR_OPERATIONS.write || unpackRd(low) !== SINK) {
      csr.read(value);
      hart.set64(OFFSET.value, value.low, value.high);
    }
    if (!writes) return CsrResult.Done;
    csr.readForChange?.(value);
    const changed = this.write(csr, operation, operandLow, operandHigh);
    return changed ? CsrResult.Changed : CsrResult.Done;
  }

  private write(csr: Csr, operation: number, low: number, high: number): boolean {
    const { value } = this;
    if (operation === CSR_OPERATIONS.set) return csr.write(value.low | low, value.high | high);
    if (operation === CSR_OPERATIONS.clear) return csr.write(value.low & ~low, value.high & ~high);
    return csr.write(low, high);
  }
}
